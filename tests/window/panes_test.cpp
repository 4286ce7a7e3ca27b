// SPDX-License-Identifier: Apache-2.0
// Contents, picks, comparison and colours, driven through menus, mouse and panels.
#include "tests/window/window_fixture.h"
#include "ui/window/colors_panel.h"
#include "ui/window/histogram_view.h"
#include "ui/window/pane_menu.h"
#include "ui/window/picks_table.h"
#include "ui/window/variance_bars.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHeaderView>
#include <QMenu>
#include <QPushButton>
#include <QScrollBar>
#include <QSlider>
#include <QTableWidget>
#include <QToolButton>
#include <gmock/gmock.h>

#include <random>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct PanesTest : WindowFixture {
    PaneModel& model() { return window->model(); }
    void openPhoto(int width = 96, int height = 64) {
        open(madeUpPhoto("photo.png", width, height));
    }
    void click(int pane, double x, double y, Qt::KeyboardModifiers modifiers = {}) {
        QTest::mouseClick(&window->canvas(), Qt::LeftButton, modifiers, widgetAt(pane, x, y));
    }
    /// Panels show what has changed once control returns to the event loop.
    void settle() {
        window->canvas().repaint();
        QTest::qWait(20);
    }
    /// Chooses an entry of a pane's menu by its path.
    void choose(int pane, const QStringList& path) {
        QMenu menu;
        fillPaneMenu(menu, model(), window->workspace(), pane);
        QMenu* where = &menu;
        for (int i = 0; i < path.size(); ++i) {
            QAction* found = nullptr;
            for (QAction* action : where->actions())
                if (action->text() == path[i]) found = action;
            ASSERT_NE(found, nullptr) << path.join(" > ").toStdString();
            ASSERT_TRUE(found->isEnabled()) << path.join(" > ").toStdString();
            if (i + 1 == path.size()) {
                found->trigger();
            } else {
                where = found->menu();
                ASSERT_NE(where, nullptr);
            }
        }
    }
    void show(int pane, const QStringList& path) {
        choose(pane, QStringList{"Show"} + path);
        waitIdle(*window);
    }
    template <typename Widget>
    Widget* inColors(const QString& name = {}) {
        return window->colors().findChild<Widget*>(name);
    }
    double sumOf(const PaneContent& content) {
        double sum = 0;
        for (const float value : content.map->channel(0))
            sum += static_cast<double>(value);
        return sum;
    }
};

TEST_F(PanesTest, EveryEntryOfTheMenuShowsSomething) {
    openPhoto();
    click(paneOf("photo"), 48.5, 32.5);
    waitIdle(*window);
    const int pane = paneOf("features", "");
    QMenu menu;
    fillPaneMenu(menu, model(), window->workspace(), pane);
    int shown = 0;
    for (const ContentKind& kind : contentKinds()) {
        for (const PaneChoice& choice : kind.choices(window->workspace().context(), pane)) {
            if (!choice.enabled) continue;
            model().setPane(changedTo(*model().pane(pane), choice.pane), "Show");
            waitIdle(*window);
            const Layer layer = model().layerOf(pane);
            if (kind.key == "text") {
                EXPECT_THAT(model().content(pane).message.toStdString(), HasSubstr("look for"));
                continue;
            }
            const bool noAttention = kind.hasHeads && layer.kind == LayerKind::Empty;
            if (noAttention) {
                EXPECT_THAT(model().content(pane).message.toStdString(), HasSubstr("no attention"))
                    << choice.label.toStdString();
            } else {
                EXPECT_NE(layer.kind, LayerKind::Empty)
                    << kind.name.toStdString() << " " << choice.label.toStdString() << ": "
                    << model().content(pane).message.toStdString();
            }
            EXPECT_FALSE(model().content(pane).title.isEmpty());
            EXPECT_TRUE(model().rangeCount(pane) != 1 || !model().content(pane).unit.isEmpty())
                << choice.label.toStdString();
            ++shown;
        }
    }
    EXPECT_GT(shown, 20);
}

TEST_F(PanesTest, MethodsWithoutTheirCheckpointCannotBeChosen) {
    WindowOptions without = options();
    without.workspace.engine.weights.clear();
    start(without);
    openPhoto();
    QMenu menu;
    fillPaneMenu(menu, model(), window->workspace(), paneOf("photo"));
    const auto features = contentKinds()[1].choices(window->workspace().context(), 0);
    const auto loftUp =
        std::ranges::find_if(features, [](const auto& each) { return each.label == "LoftUp"; });
    ASSERT_NE(loftUp, features.end());
    EXPECT_FALSE(loftUp->enabled);
    EXPECT_THAT(loftUp->tip.toStdString(), HasSubstr("checkpoint"));
    // With it they can.
    window->openFile(LOFTSCOPE_RESOURCES "/models/loftscope_vit16_loftup.safetensors");
    waitIdle(*window);
    EXPECT_NE(paneOf("features", "loftup"), 0);
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
}

TEST_F(PanesTest, OneToTwelvePanesByMenu) {
    openPhoto();
    while (model().state().panes.size() > 1)
        choose(model().idAt(0), {"Remove"});
    for (int i = 1; i < maximumPanes; ++i)
        choose(model().idAt(0), {"Duplicate"});
    EXPECT_EQ(model().state().panes.size(), 12U);
    settle();
    for (int i = 0; i < maximumPanes; ++i)
        EXPECT_FALSE(window->canvas().pictureOf(model().idAt(i)).empty()) << i;
    const int first = model().idAt(0);
    choose(first, {"Maximise"});
    EXPECT_EQ(model().state().maximised, first);
    choose(first, {"Back to all panes"});
    EXPECT_EQ(model().state().maximised, 0);
}

TEST_F(PanesTest, AClickOnTheTitleOpensTheMenuAndADoubleClickBesideItMaximises) {
    openPhoto();
    settle();
    const int pane = paneOf("features", "loftup");
    const Box title = window->canvas().titleOf(pane);
    ASSERT_FALSE(title.empty());
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {},
                      QPointF(title.center().x, title.center().y).toPoint());
    settle();
    auto* menu = qobject_cast<QMenu*>(QApplication::activePopupWidget());
    ASSERT_NE(menu, nullptr);
    EXPECT_EQ(menu->actions().front()->text(), "Show");
    menu->close();
    const Box header = window->canvas().headerOf(pane);
    QTest::mouseDClick(&window->canvas(), Qt::LeftButton, {},
                       QPointF(header.end().x - 60, header.center().y).toPoint());
    EXPECT_EQ(model().state().maximised, pane);
    settle();
    const Box wide = window->canvas().headerOf(pane);
    QTest::mouseDClick(&window->canvas(), Qt::LeftButton, {},
                       QPointF(wide.end().x - 60, wide.center().y).toPoint());
    EXPECT_EQ(model().state().maximised, 0);
}

TEST_F(PanesTest, SelfAttentionOfClsNeedsNoPickAndThatOfAPatchFollowsIt) {
    openPhoto();
    const int pane = paneOf("similarity");
    show(pane, {"Self-attention", "Of the CLS token"});
    ASSERT_NE(model().content(pane).map, nullptr);
    EXPECT_THAT(model().content(pane).details.toStdString(), HasSubstr("layer 8/8"));
    const double inPatches = sumOf(model().content(pane));
    EXPECT_GT(inPatches, 0.2);
    EXPECT_LT(inPatches, 1) << "some goes to CLS";
    choose(pane, {"Layer", "3"});
    choose(pane, {"Head", "2"});
    EXPECT_THAT(model().content(pane).details.toStdString(), HasSubstr("layer 3/8, head 2/3"));
    EXPECT_TRUE(window->idle()) << "all layers and heads came at once";
    show(pane, {"Self-attention", "Of the picked patch"});
    EXPECT_EQ(model().content(pane).map, nullptr);
    click(paneOf("photo"), 10.5, 10.5);
    waitIdle(*window);
    ASSERT_NE(model().content(pane).map, nullptr);
    EXPECT_EQ(model().pane(pane)->block, 2) << "the layer stays";
}

TEST_F(PanesTest, PanesBoundToPicksStayWithThemAndCanBeCompared) {
    openPhoto();
    click(paneOf("photo"), 48.5, 32.5);
    waitIdle(*window);
    click(paneOf("photo"), 5.5, 5.5, Qt::ShiftModifier);
    waitIdle(*window);
    ASSERT_EQ(model().state().picks.size(), 2U);
    const int free = paneOf("similarity");
    const int bound = model().duplicatePane(free);
    choose(bound, {"Follow pick", "Pick 1"});
    waitIdle(*window);
    EXPECT_THAT(model().content(bound).details.toStdString(), HasSubstr("to pick 1"));
    EXPECT_NEAR(model().content(bound).map->at(0, {48, 32}), 1, 1e-4);
    EXPECT_NEAR(model().content(free).map->at(0, {5, 5}), 1, 1e-4);
    click(paneOf("photo"), 90.5, 60.5);
    waitIdle(*window);
    EXPECT_NEAR(model().content(bound).map->at(0, {48, 32}), 1, 1e-4) << "stays";
    EXPECT_NEAR(model().content(free).map->at(0, {90, 60}), 1, 1e-4) << "follows";
    // Their difference is zero nowhere but where the two agree, and signed.
    model().setReference(bound);
    model().select(free);
    model().setCompare(CompareMode::Difference);
    EXPECT_EQ(model().comparisonLayer().kind, LayerKind::Difference);
    // Nudging moves the active pick alone.
    window->canvas().setFocus();
    QTest::keyClick(&window->canvas(), Qt::Key_Left);
    QTest::keyClick(&window->canvas(), Qt::Key_Up, Qt::ShiftModifier);
    waitIdle(*window);
    EXPECT_NEAR(model().content(free).map->at(0, {89, 50}), 1, 1e-4);
    EXPECT_TRUE(command("pick.remove")->shortcuts().contains(QKeySequence(Qt::Key_Backspace)));
    command("pick.remove")->trigger();
    EXPECT_EQ(model().state().picks.size(), 1U);
}

TEST_F(PanesTest, TheTableShowsEveryPaneAtEveryPickAndAtTheCursor) {
    openPhoto();
    click(paneOf("photo"), 48.5, 32.5);
    waitIdle(*window);
    settle();
    const PicksTable& table = *window->inspector().picks();
    EXPECT_EQ(table.table()->horizontalScrollBar()->maximum(), 0) << "a pick and the cursor fit";
    click(paneOf("photo"), 5.5, 5.5, Qt::ShiftModifier);
    waitIdle(*window);
    QTest::mouseMove(&window->canvas(), widgetAt(paneOf("photo"), 70.5, 20.5));
    settle();
    ASSERT_EQ(table.table()->columnCount(), 3);
    ASSERT_EQ(table.table()->rowCount(), 7);
    EXPECT_EQ(table.textAt(0, 0), "(48, 32)");
    EXPECT_EQ(table.textAt(0, 1), "(5, 5)");
    EXPECT_EQ(table.textAt(0, 2), "(70, 20)");
    EXPECT_EQ(table.textAt(1, 0), "220 105 47");
    EXPECT_EQ(table.textAt(6, 1), "1.00") << "similarity to itself";
    for (int row = 1; row < 7; ++row)
        for (int column = 0; column < 3; ++column)
            EXPECT_FALSE(table.textAt(row, column).isEmpty()) << row << ", " << column;
    // A click on a pick's name makes it the active one.
    table.table()->horizontalScrollBar()->setValue(0);
    QHeaderView* header = table.table()->horizontalHeader();
    QTest::mouseClick(header->viewport(), Qt::LeftButton, {},
                      {header->sectionViewportPosition(0) + 20, 8});
    EXPECT_EQ(model().activePick()->number, 1);
    QTest::mouseClick(table.pinButton(), Qt::LeftButton);
    EXPECT_FALSE(model().state().picks[0].pinned) << "it was pinned by the second one";
    QTest::mouseClick(table.removeButton(), Qt::LeftButton);
    EXPECT_EQ(model().state().picks.size(), 1U);
}

TEST_F(PanesTest, FeaturesAreComparedByCosineDistance) {
    openPhoto();
    const int loftUp = paneOf("features", "loftup");
    const int bilinear = paneOf("features", "bilinear");
    model().setReference(bilinear);
    model().select(loftUp);
    model().setCompare(CompareMode::Difference);
    waitIdle(*window);
    const Layer layer = model().comparisonLayer();
    ASSERT_EQ(layer.kind, LayerKind::Scalar);
    EXPECT_EQ(layer.map->extent(), (Extent{64, 96}));
    EXPECT_EQ(layer.scalar.range.low, 0);
    EXPECT_GT(layer.scalar.range.high, 0);
    // What cannot be compared says so.
    model().select(paneOf("photo"));
    EXPECT_EQ(model().comparisonLayer().kind, LayerKind::Empty);
    EXPECT_FALSE(model().comparison().message.isEmpty());
    // As a pane of its own.
    model().setCompare(CompareMode::Off);
    const int pane = paneOf("similarity");
    show(pane, {"Difference", "3 Bilinear and 4 LoftUp: cosine distance"});
    EXPECT_EQ(model().content(pane).map->extent(), (Extent{64, 96}));
    model().removePane(bilinear);
    EXPECT_THAT(model().content(pane).message.toStdString(), HasSubstr("gone"));
}

TEST_F(PanesTest, ASharedBasisSaysWhatItWasFittedOnAndWarnsOfLearnedUpsamplers) {
    openPhoto();
    model().select(paneOf("features", "bilinear"));
    settle();
    EXPECT_THAT(window->colors().basisText().toStdString(), HasSubstr("Bilinear 96 x 64"));
    EXPECT_FALSE(window->colors().warns());
    auto* basis = inColors<QComboBox>("basis");
    basis->setCurrentIndex(basis->findData("shared"));
    Q_EMIT basis->activated(basis->currentIndex());
    waitIdle(*window);
    settle();
    EXPECT_THAT(window->colors().basisText().toStdString(),
                ::testing::AllOf(HasSubstr("low-res"), HasSubstr("Bilinear"), HasSubstr("LoftUp")));
    EXPECT_TRUE(window->colors().warns());
    EXPECT_EQ(contentOf("features", "").deviations, contentOf("features", "loftup").deviations);
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("shared basis"));
    // Without LoftUp the basis is another one, and there is nothing to warn of.
    const auto before = contentOf("features", "").deviations;
    model().removePane(paneOf("features", "loftup"));
    waitIdle(*window);
    settle();
    EXPECT_FALSE(window->colors().warns());
    EXPECT_NE(contentOf("features", "").deviations, before);
    model().undo();
    waitIdle(*window);
    EXPECT_EQ(contentOf("features", "").deviations, before);
}

TEST_F(PanesTest, ALockedBasisSurvivesTheNextPhotoAndAFileBringsItBack) {
    openPhoto();
    const auto own = contentOf("features", "loftup").deviations;
    model().select(paneOf("features", "loftup"));
    QTest::mouseClick(inColors<QToolButton>("lockBasis"), Qt::LeftButton);
    waitIdle(*window);
    EXPECT_EQ(contentOf("features", "loftup").deviations, own);
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("locked basis"));
    const QString file = folder.filePath("basis.safetensors");
    window->workspace().saveBasis(*model().pane(paneOf("features", "loftup")), file.toStdString());
    waitIdle(*window);
    EXPECT_TRUE(QFileInfo::exists(file));
    window->openFile(madeUpPhoto("next.png", 120, 70));
    waitIdle(*window);
    EXPECT_EQ(contentOf("features", "loftup").deviations, own);
    window->workspace().setBasis("own");
    waitIdle(*window);
    EXPECT_NE(contentOf("features", "loftup").deviations, own);
    window->workspace().setBasis("file:" + file.toStdString());
    waitIdle(*window);
    EXPECT_EQ(contentOf("features", "loftup").deviations, own);
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(),
                HasSubstr("basis of basis.safetensors"));
    window->workspace().setBasis("file:/nowhere.safetensors");
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().isVisible());
    EXPECT_FALSE(contentOf("features", "loftup").message.isEmpty());
}

TEST_F(PanesTest, DisplayChoicesComputeNothing) {
    openPhoto();
    const int pane = paneOf("features", "loftup");
    model().select(pane);
    settle();
    const auto map = model().content(pane).map;
    QTest::mouseClick(inColors<VarianceBars>(), Qt::LeftButton, {},
                      inColors<VarianceBars>()->barOf(4).center());
    EXPECT_EQ(model().pane(pane)->scores.components, (std::array{3, 4, 5}));
    EXPECT_EQ(model().pane(paneOf("features", ""))->scores.components, (std::array{3, 4, 5}))
        << "colours go together";
    model().setColorsTogether(false);
    QTest::mouseDClick(inColors<VarianceBars>(), Qt::LeftButton, {},
                       inColors<VarianceBars>()->barOf(8).center());
    EXPECT_TRUE(model().pane(pane)->singleComponent);
    EXPECT_EQ(model().layerOf(pane).scalar.channel, 8);
    EXPECT_EQ(model().layerOf(pane).scalar.map, ColorMap::BlueRed);
    EXPECT_FALSE(model().pane(paneOf("features", ""))->singleComponent) << "not any more";
    EXPECT_TRUE(window->idle());
    EXPECT_EQ(model().content(pane).map, map) << "the same scores all the time";
}

TEST_F(PanesTest, CommandsDoWhatThePanelsDo) {
    openPhoto();
    const int pane = paneOf("features", "loftup");
    model().select(pane);
    command("colors.flip-2")->trigger();
    EXPECT_EQ(model().layerOf(pane).scores.flipped, (std::array{false, true, false}));
    command("colors.sigmoid")->trigger();
    EXPECT_EQ(model().layerOf(pane).scores.scaling, ScoreScaling::Sigmoid);
    EXPECT_TRUE(command("colors.whiten")->isChecked()) << "the sigmoid is of whitened scores";
    command("colors.mask")->trigger();
    EXPECT_TRUE(model().layerOf(paneOf("features", "")).scores.mask.enabled);
    command("colors.alone")->trigger();
    EXPECT_EQ(model().layerOf(pane).kind, LayerKind::Scalar);
    command("basis.shared")->trigger();
    waitIdle(*window);
    EXPECT_TRUE(command("basis.shared")->isChecked());
    command("basis.lock")->trigger();
    waitIdle(*window);
    EXPECT_TRUE(command("basis.lock")->isChecked());
    EXPECT_EQ(contentOf("features", "").deviations, contentOf("features", "loftup").deviations)
        << "what was locked is the shared one";
    command("basis.lock")->trigger();
    waitIdle(*window);
    EXPECT_EQ(model().pane(pane)->basis, "own");

    click(paneOf("photo"), 48.5, 32.5);
    click(paneOf("photo"), 8.5, 8.5, Qt::ShiftModifier);
    waitIdle(*window);
    command("pick.next")->trigger();
    EXPECT_EQ(model().activePick()->number, 1);
    command("pick.remove")->trigger();
    EXPECT_EQ(model().activePick()->number, 2);
    waitIdle(*window);
    const int attention = paneOf("attention");
    model().select(attention);
    command("attention.next-head")->trigger();
    EXPECT_EQ(model().pane(attention)->head, 0);
    command("attention.previous-head")->trigger();
    EXPECT_EQ(model().pane(attention)->head, -1) << "the mean";
    command("attention.next-block")->trigger();
    EXPECT_EQ(model().pane(attention)->block, -1) << "after the last block comes the mean";
    command("pane.overlay")->trigger();
    EXPECT_LT(model().layerOf(attention).opacity, 1);
    EXPECT_TRUE(command("pane.overlay")->isChecked());
    command("pane.overlay")->trigger();
    EXPECT_EQ(model().layerOf(attention).opacity, 1);
    command("pane.next-color-map")->trigger();
    EXPECT_NE(model().layerOf(attention).scalar.map, ColorMap::Viridis);
}

TEST_F(PanesTest, WhatWasCancelledCanBeAskedForAgain) {
    start(slowOptions());
    window->openFile(madeUpPhoto("large.png", 700, 600));
    waitForLoftUp();
    window->workspace().cancel();
    waitIdle(*window);
    EXPECT_FALSE(contentOf("features", "loftup").map->complete());
    command("compute.retry")->trigger();
    EXPECT_TRUE(window->workspace().busy());
    window->workspace().cancel();
    waitIdle(*window);
}

TEST_F(PanesTest, TheHistogramsEndsAndTheMaskAreDragged) {
    openPhoto();
    const int pane = paneOf("features", "loftup");
    model().select(pane);
    settle();
    auto* histogram = inColors<HistogramView>("rangeHistogram");
    const ValueRange before = model().rangeOf(pane, 0);
    const QPoint high(static_cast<int>(histogram->xOf(before.high)), 20);
    QTest::mousePress(histogram, Qt::LeftButton, {}, high);
    for (int i = 1; i <= 4; ++i) {
        const QPoint at = high - QPoint(15 * i, 0);
        QMouseEvent move(QEvent::MouseMove, at, histogram->mapToGlobal(at), Qt::NoButton,
                         Qt::LeftButton, {});
        QApplication::sendEvent(histogram, &move);
    }
    QTest::mouseRelease(histogram, Qt::LeftButton, {}, high - QPoint(60, 0));
    EXPECT_LT(model().rangeOf(pane, 0).high, before.high);
    EXPECT_EQ(model().rangeOf(pane, 0).low, before.low);
    EXPECT_FALSE(model().pane(pane)->autoRange);
    model().undo();
    EXPECT_EQ(model().rangeOf(pane, 0), before) << "the drag was one step";

    for (QCheckBox* box : window->colors().findChildren<QCheckBox*>())
        if (box->text() == "Foreground mask") box->click();
    settle();
    auto* mask = inColors<HistogramView>("maskHistogram");
    ASSERT_TRUE(mask->isVisibleTo(&window->colors()));
    QTest::mouseClick(mask, Qt::LeftButton, {}, {mask->width() / 2, 20});
    const ForegroundMask set = model().layerOf(pane).scores.mask;
    EXPECT_TRUE(set.enabled);
    EXPECT_NE(set.threshold, 0);
    const ForegroundMask other = model().layerOf(paneOf("features", "")).scores.mask;
    const float here = set.threshold / model().content(pane).deviations[0];
    const float there = other.threshold / contentOf("features", "").deviations[0];
    EXPECT_NEAR(here, there, 1e-4) << "the same cut in the other pane's own units";
}

TEST_F(PanesTest, TheOverlayLetsThePhotoThrough) {
    openPhoto();
    click(paneOf("photo"), 48.5, 32.5);
    waitIdle(*window);
    const int pane = paneOf("attention");
    model().select(pane);
    settle();
    const auto colorAt = [&] {
        settle();
        const QImage image = window->canvas().grabFramebuffer();
        const QPoint at = widgetAt(pane, 20.5, 20.5) * window->canvas().devicePixelRatioF();
        return image.pixelColor(at);
    };
    const QColor alone = colorAt();
    inColors<QSlider>("opacity")->setValue(0);
    const QColor photo = colorAt();
    const auto value = model().valueAt(paneOf("photo"), {20.5, 20.5});
    EXPECT_NEAR(photo.red(), value->values[0], 3);
    inColors<QSlider>("opacity")->setValue(50);
    EXPECT_NEAR(colorAt().red(), (photo.red() + alone.red()) / 2.0, 4);
}

TEST_F(PanesTest, TwoHundredRandomChoicesEndInAConsistentWindow) {
    openPhoto(48, 32);
    std::mt19937 random(5);
    const auto upTo = [&](std::size_t n) { return static_cast<int>(random() % n); };
    for (int i = 0; i < 200; ++i) {
        const auto& panes = model().state().panes;
        const int pane = panes[static_cast<std::size_t>(upTo(panes.size()))].id;
        QMenu menu;
        fillPaneMenu(menu, model(), window->workspace(), pane);
        // Any entry of any depth.
        QMenu* where = &menu;
        QAction* action = nullptr;
        while (where != nullptr && !where->actions().isEmpty()) {
            action = where->actions()[upTo(static_cast<std::size_t>(where->actions().size()))];
            where = action->menu();
        }
        if (action != nullptr && action->isEnabled()) action->trigger();
        switch (upTo(8)) {
        case 0:
            model().undo();
            break;
        case 1:
            model().redo();
            break;
        case 2:
            model().placePick({upTo(48) + 0.5, upTo(32) + 0.5});
            break;
        case 3:
            model().addPick({upTo(48) + 0.5, upTo(32) + 0.5});
            break;
        case 4:
            model().removePick(upTo(3));
            break;
        case 5:
            model().setCompare(static_cast<CompareMode>(upTo(3)));
            break;
        default:
            model().select(pane);
            break;
        }
        if (i % 20 == 0) settle();
    }
    waitIdle(*window);
    settle();
    EXPECT_FALSE(model().state().panes.empty());
    for (const PaneState& pane : model().state().panes)
        EXPECT_LT(model().content(pane.id).progress, 0)
            << model().content(pane.id).title.toStdString();
}

} // namespace
} // namespace loftscope
