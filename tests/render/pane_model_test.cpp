// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/pane_model.h"

#include <QSignalSpy>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace loftscope {
namespace {

std::shared_ptr<const ImagePyramid> photoOf(Extent extent) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.area() * 3));
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<std::uint8_t>(i % 251);
    return ImagePyramid::of(Image(extent, std::move(pixels)));
}

std::shared_ptr<MapBuffer> countingMap(int channels, Extent extent, float offset = 0) {
    std::vector<float> values(static_cast<std::size_t>(channels * extent.area()));
    std::iota(values.begin(), values.end(), offset);
    return MapBuffer::whole(channels, extent, std::move(values));
}

PaneContent contentOf(LayerKind form, std::shared_ptr<MapBuffer> map) {
    PaneContent content;
    content.form = form;
    content.map = std::move(map);
    return content;
}

struct PaneModelTest : ::testing::Test {
    PaneModel model;
    int photo = 0;

    void SetUp() override {
        model.setPhoto(photoOf({20, 40}));
        photo = model.idAt(0);
        model.setContent(photo, contentOf(LayerKind::Photo, nullptr));
    }
    int add(LayerKind form, std::shared_ptr<MapBuffer> map) {
        const int id = model.addPane({});
        model.setContent(id, contentOf(form, std::move(map)));
        return id;
    }
};

TEST_F(PaneModelTest, StartsWithThePhotoAndHoldsUpToTwelvePanes) {
    EXPECT_EQ(model.pane(photo)->kind, "photo");
    for (int i = 0; i < 11; ++i)
        EXPECT_NE(model.addPane({}), 0);
    EXPECT_EQ(model.addPane({}), 0);
    EXPECT_EQ(model.state().panes.size(), 12U);
}

TEST_F(PaneModelTest, TheLastPaneCannotBeRemoved) {
    model.removePane(photo);
    EXPECT_EQ(model.state().panes.size(), 1U);
}

TEST_F(PaneModelTest, RemovingTheSelectedPaneSelectsAnother) {
    const int id = add(LayerKind::Scores, countingMap(3, {2, 4}));
    model.setReference(id);
    model.toggleMaximised(id);
    ASSERT_EQ(model.state().selected, id);
    model.removePane(id);
    EXPECT_EQ(model.state().selected, photo);
    EXPECT_EQ(model.state().reference, photo);
    EXPECT_EQ(model.state().maximised, 0);
}

TEST_F(PaneModelTest, UndoAndRedoRestoreEveryStep) {
    const WorkspaceState empty = model.state();
    const int id = model.addPane({});
    const WorkspaceState added = model.state();
    PaneState changed = *model.pane(id);
    changed.kind = "similarity";
    model.setPane(changed, "Show similarity");
    const WorkspaceState shown = model.state();
    EXPECT_EQ(model.undoText(), "Show similarity");
    model.undo();
    EXPECT_EQ(model.state(), added);
    model.undo();
    EXPECT_EQ(model.state(), empty);
    EXPECT_FALSE(model.canUndo());
    model.redo();
    model.redo();
    EXPECT_EQ(model.state(), shown);
    EXPECT_FALSE(model.canRedo());
}

TEST_F(PaneModelTest, ADragIsOneStepOfUndo) {
    const int id = add(LayerKind::Scalar, countingMap(1, {2, 4}));
    const WorkspaceState before = model.state();
    for (int i = 1; i < 20; ++i)
        model.setRange(id, 0, {0, static_cast<float>(i)});
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0, 19}));
    model.undo();
    EXPECT_EQ(model.state(), before);
    model.redo();
    model.endGesture();
    model.setRange(id, 0, {0, 100});
    model.undo();
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0, 19})) << "a second drag is a second step";
}

TEST_F(PaneModelTest, ANewChangeForgetsWhatWasUndone) {
    model.addPane({});
    model.undo();
    model.setColumns(3);
    EXPECT_FALSE(model.canRedo());
}

TEST_F(PaneModelTest, SignalsTellWhatChangedAndNothingElse) {
    const int id = add(LayerKind::Scores, countingMap(3, {2, 4}));
    QSignalSpy layout(&model, &PaneModel::layoutChanged);
    QSignalSpy pane(&model, &PaneModel::paneChanged);
    QSignalSpy view(&model, &PaneModel::viewChanged);
    QSignalSpy picks(&model, &PaneModel::picksChanged);
    model.placePick({3, 4});
    EXPECT_EQ(picks.count(), 1);
    model.setView(id, {{3, 3}, 2, false});
    EXPECT_EQ(view.count(), 1);
    model.setView(id, {{3, 3}, 2, false});
    EXPECT_EQ(view.count(), 1) << "nothing changed";
    PaneState other = *model.pane(id);
    other.smooth = true;
    model.setPane(other, "Smooth");
    ASSERT_EQ(pane.count(), 1);
    EXPECT_EQ(pane[0][0].toInt(), id);
    EXPECT_EQ(layout.count(), 0);
    model.swapPanes(photo, id);
    EXPECT_EQ(layout.count(), 1);
    EXPECT_EQ(model.idAt(0), id);
}

TEST_F(PaneModelTest, LinkedPanesShareAViewAndUnlinkedOnesDoNot) {
    const int id = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const View zoomed{{10, 10}, 4, false};
    model.setView(photo, zoomed);
    EXPECT_EQ(model.viewOf(id), zoomed);
    model.setLinked(false);
    EXPECT_EQ(model.viewOf(id), zoomed) << "unlinking moves nothing";
    model.setView(id, {{1, 2}, 8, false});
    EXPECT_EQ(model.viewOf(photo), zoomed);
    model.select(id);
    model.setLinked(true);
    EXPECT_EQ(model.viewOf(photo), (View{{1, 2}, 8, false}));
}

TEST_F(PaneModelTest, PicksMoveUntilPinnedThenAnotherIsPlaced) {
    model.placePick({3.5, 4.5});
    model.placePick({5.5, 6.5});
    ASSERT_EQ(model.state().picks.size(), 1U);
    EXPECT_EQ(model.activePick()->at, glm::dvec2(5.5, 6.5));
    model.pinPick();
    model.placePick({9.5, 1.5});
    ASSERT_EQ(model.state().picks.size(), 2U);
    EXPECT_EQ(model.activePick()->number, 2);
    EXPECT_NE(model.state().picks[0].color, model.state().picks[1].color);
    model.clearPicks();
    EXPECT_FALSE(model.activePick());
}

TEST_F(PaneModelTest, NudgingMovesByWholePixelsAndStopsAtTheBorder) {
    model.placePick({3.2, 4.9});
    model.nudgePick(1, 0);
    EXPECT_EQ(model.activePick()->at, glm::dvec2(4.5, 4.5));
    model.nudgePick(-10, 100);
    EXPECT_EQ(pixelContaining(model.activePick()->at, {20, 40}), (Pixel{0, 19}));
    model.nudgePick(100, 0);
    EXPECT_EQ(pixelContaining(model.activePick()->at, {20, 40}), (Pixel{39, 19}));
}

TEST_F(PaneModelTest, ANewPhotoFitsTheViewAndForgetsPicksContentsAndUndo) {
    const int id = add(LayerKind::Scores, countingMap(3, {2, 4}));
    model.placePick({3, 4});
    model.setView(id, {{1, 1}, 8, false});
    model.setPhoto(photoOf({7, 5}));
    EXPECT_TRUE(model.viewOf(id).fitted);
    EXPECT_TRUE(model.state().picks.empty());
    EXPECT_EQ(model.content(id).map, nullptr);
    EXPECT_FALSE(model.canUndo());
    EXPECT_EQ(model.state().panes.size(), 2U) << "the panes themselves stay";
}

TEST_F(PaneModelTest, ValuesAreReadAtTheSamePhotoPointInEveryPane) {
    const int low = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const int map = add(LayerKind::Scalar, countingMap(1, {20, 40}));
    const glm::dvec2 point(25.5, 13.5);
    const auto rgb = model.valueAt(photo, point);
    ASSERT_TRUE(rgb);
    EXPECT_EQ(rgb->values.front(), (3 * (13 * 40 + 25)) % 251);
    const auto scores = model.valueAt(low, point);
    ASSERT_TRUE(scores);
    EXPECT_EQ(scores->pixel, (Pixel{2, 1}));
    EXPECT_EQ(scores->values, (std::vector<float>{6, 14, 22}));
    EXPECT_EQ(model.valueAt(map, point)->values, (std::vector<float>{13 * 40 + 25}));
    EXPECT_FALSE(model.valueAt(map, {40, 3})) << "outside the photo";
}

TEST_F(PaneModelTest, ACroppedMapHasNoValueBesideIt) {
    const int id = add(LayerKind::Scalar, countingMap(1, {2, 2}));
    PaneContent content = model.content(id);
    content.region = {{10, 0}, {20, 20}};
    model.setContent(id, content);
    EXPECT_FALSE(model.valueAt(id, {5, 5}));
    EXPECT_EQ(model.valueAt(id, {25, 5})->values.front(), 1);
}

TEST_F(PaneModelTest, PendingPixelsReadTheFallbackAndSayPreview) {
    const int id = model.addPane({});
    PaneContent content;
    content.form = LayerKind::Scalar;
    content.map = std::make_shared<MapBuffer>(1, Extent{20, 40}, Extent{10, 10});
    content.fallback = countingMap(1, {2, 4}, 100);
    model.setContent(id, content);
    auto value = model.valueAt(id, {25, 3});
    ASSERT_TRUE(value);
    EXPECT_TRUE(value->preview);
    EXPECT_EQ(value->values.front(), 102);
    ASSERT_TRUE(model.putTile(id, {20, 0, 10, 10}, std::vector<float>(100, 7)));
    value = model.valueAt(id, {25, 3});
    EXPECT_FALSE(value->preview);
    EXPECT_EQ(value->values.front(), 7);
    EXPECT_FALSE(model.putTile(id, {35, 0, 10, 10}, std::vector<float>(100, 7)));
}

TEST_F(PaneModelTest, AutomaticRangesFollowPercentilesUntilSetByHand) {
    const int id = add(LayerKind::Scalar, countingMap(1, {1, 101}));
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{1, 99}));
    PaneState state = *model.pane(id);
    state.lowPercent = 0;
    state.highPercent = 50;
    model.setPane(state, "Percentiles");
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0, 50}));
    model.setRange(id, 0, {-1, 2});
    EXPECT_EQ(model.layerOf(id).scalar.range, (ValueRange{-1, 2}));
    model.setAutoRange(id);
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0, 50}));
}

TEST_F(PaneModelTest, FixingOneChannelKeepsTheOthersAsTheyAre) {
    const int id = add(LayerKind::Scores, countingMap(3, {1, 101}));
    const ValueRange green = model.rangeOf(id, 1);
    model.setRange(id, 0, {5, 6});
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{5, 6}));
    EXPECT_EQ(model.rangeOf(id, 1), green);
}

TEST_F(PaneModelTest, RangesOfAnUnfinishedMapDoNotFlicker) {
    const int id = model.addPane({});
    PaneContent content;
    content.form = LayerKind::Scalar;
    content.map = std::make_shared<MapBuffer>(1, Extent{1, 4});
    content.ranges = {ValueRange{-5, 5}};
    model.setContent(id, content);
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{-5, 5}));
    model.putTile(id, {0, 0, 1, 1}, std::array{900.0F});
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{-5, 5}));
    // Those of a map that is whole, but whose values are for the time being, hold as well.
    model.putTile(id, {1, 0, 3, 1}, std::array{1.0F, 2.0F, 3.0F});
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{-5, 5}));
}

TEST_F(PaneModelTest, AFlipBelongsToTheComponentAndNotToTheColour) {
    const int id = add(LayerKind::Scores, countingMap(5, {1, 101}));
    model.changePanes([&](const PaneState& pane) { return pane.id == id; },
                      [](PaneState& pane) { pane.flips = 1U << 3U; }, "Flip");
    EXPECT_EQ(model.layerOf(id).scores.flipped, (std::array{false, false, false}));
    model.stepComponents(id, 1);
    EXPECT_EQ(model.layerOf(id).scores.flipped, (std::array{true, false, false}));
    PaneState alone = *model.pane(id);
    alone.singleComponent = true;
    alone.scalar.channel = 3;
    model.setPane(alone, "One component");
    const Layer layer = model.layerOf(id);
    EXPECT_EQ(layer.sign, -1) << "of one component the value itself is turned";
    EXPECT_FALSE(layer.scalar.reversed);
    EXPECT_EQ(layer.scalar.range.low, -model.rangeOf(id, 0).high);
}

TEST_F(PaneModelTest, RangesLeaveOutWhatTheMaskBlackens) {
    const int id = add(LayerKind::Scores, countingMap(3, {1, 101}));
    PaneState state = *model.pane(id);
    state.lowPercent = 0;
    state.highPercent = 100;
    state.scores.mask = {true, 0, 50, true};
    model.setPane(state, "Mask");
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{50, 100}));
    EXPECT_EQ(model.rangeOf(id, 1), (ValueRange{151, 201}));
    state.scores.mask.keepAbove = false;
    model.setPane(state, "Mask");
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0, 49}));
}

TEST_F(PaneModelTest, ADuplicateStandsBehindItsOriginal) {
    const int id = add(LayerKind::Scalar, countingMap(1, {2, 4}));
    PaneState state = *model.pane(photo);
    state.smooth = true;
    model.setPane(state, "Smooth");
    const int copy = model.duplicatePane(photo);
    EXPECT_EQ(model.idAt(1), copy);
    EXPECT_EQ(model.idAt(2), id);
    EXPECT_TRUE(model.pane(copy)->smooth);
    EXPECT_EQ(model.state().selected, copy);
    while (model.addPane({}) != 0) {
    }
    EXPECT_EQ(model.duplicatePane(photo), 0);
}

TEST_F(PaneModelTest, ChangingSeveralPanesIsOneStep) {
    const int first = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const int second = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const WorkspaceState before = model.state();
    model.changePanes([&](const PaneState& pane) { return pane.id != photo; },
                      [](PaneState& pane) { pane.basis = "shared"; }, "Choose basis");
    EXPECT_EQ(model.pane(first)->basis, "shared");
    EXPECT_EQ(model.pane(second)->basis, "shared");
    EXPECT_EQ(model.pane(photo)->basis, "own");
    model.undo();
    EXPECT_EQ(model.state(), before);
}

TEST_F(PaneModelTest, WhiteningDividesRangesAndGainsByTheDeviation) {
    const int id = add(LayerKind::Scores, countingMap(3, {1, 101}));
    PaneContent content = model.content(id);
    content.deviations = {2, 1, 1};
    model.setContent(id, content);
    PaneState state = *model.pane(id);
    state.whiten = true;
    model.setPane(state, "Whiten");
    EXPECT_EQ(model.rangeOf(id, 0), (ValueRange{0.5F, 49.5F}));
    EXPECT_EQ(model.layerOf(id).scores.whitening[0], 0.5F);
}

TEST_F(PaneModelTest, DifferenceSubtractsAtTheSamePhotoPoint) {
    const int a = add(LayerKind::Scalar, countingMap(1, {20, 40}, 5));
    const int b = add(LayerKind::Scalar, countingMap(1, {20, 40}));
    PaneState state;
    state.minuend = a;
    state.subtrahend = b;
    state.scalar.map = ColorMap::BlueRed;
    const int difference = model.addPane(state);
    model.setContent(difference, contentOf(LayerKind::Difference, nullptr));
    EXPECT_EQ(model.layerOf(difference).kind, LayerKind::Difference);
    EXPECT_EQ(model.layerOf(difference).scalar.map, ColorMap::BlueRed);
    EXPECT_EQ(model.layerOf(difference).scalar.range, (ValueRange{-5, 5}));
    EXPECT_EQ(model.valueAt(difference, {7, 7})->values.front(), 5);
}

TEST_F(PaneModelTest, ScoresAreNotSubtracted) {
    const int a = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const int b = add(LayerKind::Scalar, countingMap(1, {2, 4}));
    EXPECT_EQ(model.differenceOf(a, b, *model.pane(a)).kind, LayerKind::Empty);
    EXPECT_EQ(model.differenceOf(a, a, *model.pane(a)).kind, LayerKind::Empty);
    EXPECT_EQ(model.differenceOf(a, photo, *model.pane(a)).kind, LayerKind::Empty);
    // One component of them can be.
    PaneState alone = *model.pane(a);
    alone.singleComponent = true;
    alone.scalar.channel = 2;
    model.setPane(alone, "One component");
    EXPECT_EQ(model.differenceOf(a, b, *model.pane(a)).kind, LayerKind::Difference);
}

TEST_F(PaneModelTest, TheComparisonOfFeaturesIsTheMapThatWasComputedForIt) {
    const int a = add(LayerKind::Scores, countingMap(3, {2, 4}));
    const int b = add(LayerKind::Scores, countingMap(3, {2, 4}));
    model.setReference(a);
    model.select(b);
    model.setCompare(CompareMode::Difference);
    EXPECT_EQ(model.comparisonLayer().kind, LayerKind::Empty);
    model.setComparison(contentOf(LayerKind::Scalar, countingMap(1, {1, 101})));
    const Layer layer = model.comparisonLayer();
    EXPECT_EQ(layer.kind, LayerKind::Scalar);
    EXPECT_EQ(layer.scalar.range, (ValueRange{0, 99})) << "a distance begins at zero";
}

TEST_F(PaneModelTest, SeveralPicksKeepTheirNumbersAndPanesFollowTheirs) {
    model.addPick({3.5, 4.5});
    model.addPick({5.5, 6.5});
    model.addPick({9.5, 1.5});
    EXPECT_TRUE(model.state().picks[0].pinned) << "the pick before stays";
    EXPECT_EQ(model.activePick()->number, 3);
    PaneState state;
    state.pick = 2;
    const int bound = model.addPane(state);
    EXPECT_EQ(model.pickOf(*model.pane(bound))->at, glm::dvec2(5.5, 6.5));
    EXPECT_EQ(model.pickOf(*model.pane(photo))->number, 3) << "the active one";
    model.removePick(0);
    EXPECT_EQ(model.activePick()->number, 3);
    EXPECT_EQ(model.pickOf(*model.pane(bound))->number, 2) << "numbers stay";
    model.addPick({1.5, 1.5});
    EXPECT_EQ(model.activePick()->number, 1) << "a free number is used again";
    model.stepPick(1);
    EXPECT_EQ(model.activePick()->number, 2);
    model.stepPick(-1);
    model.stepPick(-1);
    EXPECT_EQ(model.activePick()->number, 3);
    model.removePick(1);
    EXPECT_FALSE(model.pickOf(*model.pane(bound)));
}

TEST_F(PaneModelTest, ComponentTriplesStepAndStopAtTheEnds) {
    const int id = add(LayerKind::Scores, countingMap(7, {2, 4}));
    model.stepComponents(id, 1);
    EXPECT_EQ(model.pane(id)->scores.components, (std::array{3, 4, 5}));
    model.stepComponents(id, 1);
    EXPECT_EQ(model.pane(id)->scores.components, (std::array{6, 6, 6}));
    model.stepComponents(id, 1);
    EXPECT_EQ(model.pane(id)->scores.components, (std::array{6, 6, 6}));
    model.stepComponents(id, -1);
    model.stepComponents(id, -1);
    model.stepComponents(id, -1);
    EXPECT_EQ(model.pane(id)->scores.components, (std::array{0, 1, 2}));
}

TEST_F(PaneModelTest, StaleUntilNewContent) {
    const int id = add(LayerKind::Scalar, countingMap(1, {2, 4}));
    model.markStale([&](const PaneState& pane) { return pane.id == id; });
    EXPECT_TRUE(model.content(id).stale);
    PaneContent fresh;
    fresh.map = countingMap(1, {2, 4});
    model.setContent(id, fresh);
    EXPECT_FALSE(model.content(id).stale);
}

TEST_F(PaneModelTest, HistogramOfARangeIsOfTheChannelItShows) {
    const int id = add(LayerKind::Scores, countingMap(3, {1, 101}));
    EXPECT_EQ(model.histogramAt(id, 0)->range, (ValueRange{0, 100}));
    EXPECT_EQ(model.histogramAt(id, 2)->range, (ValueRange{202, 302}));
    EXPECT_FALSE(model.histogramAt(photo, 0));
}

TEST_F(PaneModelTest, RestoredStatesAreMadeConsistent) {
    WorkspaceState state;
    state.panes.resize(15);
    state.selected = 999;
    state.activePick = 4;
    model.setState(state, "Open session");
    EXPECT_EQ(model.state().panes.size(), 12U);
    EXPECT_NE(model.pane(model.state().selected), nullptr);
    EXPECT_EQ(model.state().activePick, -1);
    const int added = model.idAt(3);
    EXPECT_NE(added, model.idAt(4)) << "every pane has its own id";
}

} // namespace
} // namespace loftscope
