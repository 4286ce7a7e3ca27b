// SPDX-License-Identifier: Apache-2.0
// Sessions of the real window: round trip, moved folders, missing files, crashes.
#include "core/pipeline/comparison.h"
#include "core/session/session_file.h"
#include "core/weights/tensor_file.h"
#include "tests/window/window_fixture.h"
#include "ui/panes/session_state.h"
#include "ui/render/layer_picture.h"
#include "ui/window/session_keeper.h"

#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QProcess>
#include <QSignalSpy>

namespace loftscope {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct SessionTest : WindowFixture {
    PaneModel& model() const { return window->model(); }
    SessionKeeper& keeper() const { return window->sessions(); }
    void save(const QString& path) const {
        QSignalSpy noted(&keeper(), &SessionKeeper::noted);
        keeper().saveTo(path);
        ASSERT_TRUE(QTest::qWaitFor([&] { return noted.count() > 0; }, 20000));
    }
    /// Until the session's photo and panes are shown.
    void openSession(const QString& path) {
        window->openFile(path);
        ASSERT_TRUE(QTest::qWaitFor([&] { return model().undoText() == "Open session"; }, 60000));
        ASSERT_TRUE(waitIdle(*window));
    }
    void arrange() {
        open(madeUpPhoto("photo.png"));
        QTest::mouseClick(&window->canvas(), Qt::LeftButton, {},
                          widgetAt(paneOf("photo"), 48.5, 32.5));
        model().addPick({5.5, 6.5});
        PaneState pane = *model().pane(paneOf("features", "loftup"));
        pane.scores.components = {3, 4, 5};
        pane.flips = 1U << 4;
        pane.whiten = true;
        pane.scores.mask = {true, 0, 0.25F, false};
        model().setPane(pane, "test");
        model().setReference(paneOf("features", "bilinear"));
        model().setCompare(CompareMode::Wipe);
        model().setWipe({WipeEdge::Horizontal, 0.25});
        model().setView(paneOf("photo"), {{30, 20}, 5, false});
        ASSERT_TRUE(waitIdle(*window));
    }
};

/// Ids are not kept; their places are.
WorkspaceState byPlace(WorkspaceState state) {
    return stateOf(sessionOf(state));
}

TEST_F(SessionTest, EverythingComesBackInAnotherWindow) {
    arrange();
    const WorkspaceState before = model().state();
    save(folder.filePath("kept.loftscope"));
    start(options());
    openSession(folder.filePath("kept.loftscope"));
    EXPECT_EQ(byPlace(model().state()), byPlace(before));
    EXPECT_EQ(model().state().picks.size(), 2U);
    EXPECT_EQ(model().state().wipe.position, 0.25);
    EXPECT_EQ(model().photoExtent(), (Extent{64, 96}));
    EXPECT_NE(contentOf("features", "loftup").map, nullptr) << "and is computed";
    EXPECT_FALSE(window->errorBar().showsError()) << window->errorBar().text().toStdString();
}

TEST_F(SessionTest, AMovedFolderTakesItsPhotoAlong) {
    QDir(folder.path()).mkpath("old");
    open(madeUpPhoto("old/photo.png"));
    model().setColumns(2);
    save(folder.filePath("old/kept.loftscope"));
    ASSERT_TRUE(QDir(folder.path()).rename("old", "new"));
    start(options());
    openSession(folder.filePath("new/kept.loftscope"));
    EXPECT_EQ(model().photoExtent(), (Extent{64, 96}));
    EXPECT_EQ(window->workspace().photoPath(), folder.filePath("new/photo.png"));
}

TEST_F(SessionTest, WhatIsMissingIsNamedAndTheRestIsShown) {
    arrange();
    save(folder.filePath("kept.loftscope"));
    ASSERT_TRUE(QFile::remove(folder.filePath("photo.png")));
    start(options());
    openSession(folder.filePath("kept.loftscope"));
    ASSERT_TRUE(QTest::qWaitFor([&] { return window->errorBar().showsError(); }, 20000));
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("photo.png"));
    EXPECT_EQ(model().state().compare, CompareMode::Wipe);
    EXPECT_EQ(model().state().panes.size(), 6U);
}

TEST_F(SessionTest, NonsenseIsRefusedAndNothingIsLost) {
    arrange();
    const WorkspaceState before = model().state();
    QFile file(folder.filePath("broken.loftscope"));
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("{\"loftscope\": ");
    file.close();
    window->openFile(file.fileName());
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("broken.loftscope"));
    EXPECT_EQ(model().state(), before);
}

TEST_F(SessionTest, ACrashLosesNothingAndAnOrderlyEndLeavesNothing) {
    arrange();
    const QString kept = folder.filePath("recovery.loftscope");
    keeper().keepNow();
    ASSERT_TRUE(QTest::qWaitFor([&] { return QFile::exists(kept); }, 20000));
    const WorkspaceState before = model().state();
    const QString saved = folder.filePath("copy");
    ASSERT_TRUE(QFile::copy(kept, saved));
    window.reset();
    EXPECT_FALSE(QFile::exists(kept));

    ASSERT_TRUE(QFile::copy(saved, kept));
    start(options());
    EXPECT_TRUE(keeper().hasRecovery());
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("shown again"));
    command("session.recover")->trigger();
    ASSERT_TRUE(QTest::qWaitFor([&] { return model().undoText() == "Open session"; }, 60000));
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(byPlace(model().state()), byPlace(before));
    EXPECT_TRUE(keeper().path().isEmpty()) << "the recovered session has no file of its own";
}

TEST_F(SessionTest, TheCommandLineNamesEverything) {
    arrange();
    command("edit.copy-command")->trigger();
    const std::string text = QApplication::clipboard()->text().toStdString();
    EXPECT_THAT(text, HasSubstr("loftscope render"));
    EXPECT_THAT(text, HasSubstr("photo.png"));
    EXPECT_THAT(text, HasSubstr("loftscope_vit16.safetensors"));
    EXPECT_THAT(text, HasSubstr("loftup;components=3+4+5"));
}

/// Scores of a method's pane as the command line computes them for this photo of the session.
at::Tensor scoresOfCommand(const QString& session, const QString& folder) {
    QProcess program;
    program.start(LOFTSCOPE_PROGRAM,
                  {"render", session, "-o", folder + "/a.png", "--data", folder, "-q"});
    EXPECT_TRUE(program.waitForFinished(120000));
    EXPECT_EQ(program.exitCode(), 0) << program.readAllStandardError().toStdString();
    EXPECT_FALSE(QString(program.readAllStandardError()).contains("not known"));
    return readTensor((folder + "/4-loftup.npy").toStdString()).value();
}

TEST_F(SessionTest, ALockedBasisStaysWhatItWas) {
    open(madeUpPhoto("first.png"));
    command("basis.lock")->trigger();
    ASSERT_TRUE(waitIdle(*window));
    open(madeUpPhoto("second.png", 96, 64, 200));
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("locked basis"));
    const auto scores = [this] {
        const auto values = contentOf("features", "loftup").map->channel(0);
        return std::vector<float>(values.begin(), values.end());
    };
    const std::vector<float> before = scores();
    const QString kept = folder.filePath("kept.loftscope");
    EXPECT_FALSE(keeper().commandNote().isEmpty()) << "no file has the basis yet";
    save(kept);
    EXPECT_TRUE(keeper().commandNote().isEmpty());
    EXPECT_THAT(keeper().commandLine().toStdString(),
                HasSubstr("--locked-from " + kept.toStdString()));

    // The command line computes the same numbers, and draws the same colours.
    QDir(folder.path()).mkpath("command");
    const at::Tensor theirs = scoresOfCommand(kept, folder.filePath("command"));
    ASSERT_EQ(static_cast<std::size_t>(theirs[0].numel()), before.size());
    const auto* const first = theirs.const_data_ptr<float>();
    for (std::size_t i = 0; i < before.size(); ++i)
        ASSERT_NEAR(first[i], before[i], 1e-4);

    // Another window shows it again, and not the basis of its own photo.
    start(options());
    openSession(kept);
    EXPECT_EQ(scores(), before);
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("locked basis"));
    window->workspace().setBasis("own");
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_NE(scores(), before) << "or this would prove nothing";
}

/// The figure that the command line draws of a session.
Result<FigureSpec> figureOfCommand(
    const QString& kept, const std::function<bool(const PlannedPane&)>& wanted =
                             [](const PlannedPane&) { return true; }) {
    LOFTSCOPE_TRY(const Session session, readSession(kept.toStdString()));
    SceneRequest request;
    request.image = session.photo.path.string();
    request.backbone = session.backbone.path;
    request.inputSize = session.inputSize;
    LOFTSCOPE_TRY(const Scene scene, makeScene(request, {}));
    ComparisonRequest comparison;
    comparison.plan = figureOf(session);
    std::vector<ComparedMethod> methods;
    for (const std::string& method : methodsOf(comparison.plan.panes)) {
        const auto weights = session.upsamplers.find(method);
        const fs::path path =
            weights == session.upsamplers.end() ? fs::path() : weights->second.path;
        LOFTSCOPE_TRY(LoadedUpsampler loaded, loadUpsampler(method, path, c10::Device("cpu")));
        methods.push_back({method, std::move(loaded)});
    }
    std::erase_if(comparison.plan.panes, [&](const PlannedPane& pane) { return !wanted(pane); });
    for (const auto& [method, values] : session.lockedBases) {
        LOFTSCOPE_TRY(comparison.lockedBases[method], basisFromValues(values));
    }
    return compareMethods(scene, methods, comparison, {});
}

void expectSame(const Image& drawn, const Image& shown) {
    ASSERT_EQ(drawn.extent(), shown.extent());
    for (std::size_t i = 0; i < drawn.pixels().size(); ++i)
        ASSERT_LE(std::abs(drawn.pixels()[i] - shown.pixels()[i]), 1) << "byte " << i;
}

TEST_F(SessionTest, WindowAndCommandLineDrawALockedBasisInTheSameColours) {
    open(madeUpPhoto("first.png"));
    command("basis.lock")->trigger();
    ASSERT_TRUE(waitIdle(*window));
    open(madeUpPhoto("second.png", 96, 64, 200));
    const int loftUp = paneOf("features", "loftup");
    // Alone and without a heading, so that the figure is the map.
    const Image shown = pictureOf(model().layerOf(loftUp), {{0, 0}, {96, 64}}).image;
    const QString kept = folder.filePath("kept.loftscope");
    save(kept);
    const auto drawn = figureOfCommand(kept, [](const PlannedPane& pane) {
        return pane.view.kind == PaneView::Kind::Features && pane.view.method == "loftup";
    });
    ASSERT_TRUE(drawn) << drawn.error().message;
    expectSame(drawn->panes.front().picture, shown);
}

TEST_F(SessionTest, TurnedSignsAreShownAndSubtractedTheSameByWindowAndCommandLine) {
    open(madeUpPhoto("photo.png"));
    const auto showAlone = [&](const std::string& method, std::uint32_t flips, ValueRange range) {
        PaneState pane = *model().pane(paneOf("features", method));
        pane.singleComponent = true;
        pane.scalar.channel = 0;
        pane.scalar.range = range;
        pane.autoRange = false;
        pane.flips = flips;
        model().setPane(pane, "test");
        return pane.id;
    };
    // A range that is not symmetric tells before the flip from after it.
    const int turned = showAlone("", 1, {-1, 3});
    const int plain = showAlone("bilinear", 0, {-3, 2});
    PaneState pane = *model().pane(paneOf("similarity"));
    pane.kind = "difference";
    pane.minuend = turned;
    pane.subtrahend = plain;
    pane.scalar.map = ColorMap::BlueRed;
    pane.scalar.range = {-5, 4};
    pane.autoRange = false;
    model().setPane(pane, "test");
    ASSERT_TRUE(waitIdle(*window));

    // What is shown is minus the score, and the difference is that of what is shown.
    const MapBuffer& map = *model().content(turned).map;
    const glm::dvec2 point{70.5, 20.5};
    const auto valueOf = [&](int id) {
        const auto value = model().valueAt(id, point);
        return value ? value->values.front() : std::nanf("");
    };
    EXPECT_EQ(valueOf(turned), -map.at(0, model().valueAt(turned, point)->pixel));
    EXPECT_EQ(valueOf(pane.id), valueOf(turned) - valueOf(plain));

    const QString kept = folder.filePath("kept.loftscope");
    save(kept);
    const auto drawn = figureOfCommand(kept);
    ASSERT_TRUE(drawn) << drawn.error().message;
    // Attention waits for a pick.
    const std::vector<int> ids{paneOf("photo"), turned, plain, paneOf("features", "loftup"),
                               pane.id};
    ASSERT_EQ(drawn->panes.size(), ids.size());
    for (const int i : {1, 2, 4}) {
        const auto place = static_cast<std::size_t>(i);
        SCOPED_TRACE(drawn->panes[place].title);
        expectSame(drawn->panes[place].picture,
                   pictureOf(model().layerOf(ids[place]), {{0, 0}, {96, 64}}).image);
        const Layer layer = model().layerOf(ids[place]);
        ASSERT_TRUE(drawn->panes[place].bar);
        EXPECT_EQ(drawn->panes[place].bar->low, static_cast<double>(layer.scalar.range.low));
        EXPECT_EQ(drawn->panes[place].bar->reversed, layer.scalar.reversed);
    }
}

TEST_F(SessionTest, AMaximisedPaneIsDrawnAlone) {
    open(madeUpPhoto("photo.png"));
    const int loftUp = paneOf("features", "loftup");
    window->workspace().setBasis("shared"); // its colours need the others all the same
    ASSERT_TRUE(waitIdle(*window));
    const QString kept = folder.filePath("kept.loftscope");
    save(kept);
    const auto all = figureOfCommand(kept);
    ASSERT_TRUE(all) << all.error().message;
    ASSERT_EQ(all->panes.size(), 4U);
    model().toggleMaximised(loftUp);
    save(kept);
    const auto alone = figureOfCommand(kept);
    ASSERT_TRUE(alone) << alone.error().message;
    ASSERT_EQ(alone->panes.size(), 1U);
    EXPECT_EQ(alone->panes.front().title, "LoftUp");
    expectSame(alone->panes.front().picture, all->panes[3].picture);
    EXPECT_THAT(keeper().commandLine().toStdString(), HasSubstr("\"only\":4"));

    QProcess program;
    program.start(LOFTSCOPE_PROGRAM,
                  {"render", kept, "-o", folder.filePath("a.png"), "--json", "-q"});
    ASSERT_TRUE(program.waitForFinished(120000));
    EXPECT_EQ(program.readAllStandardOutput().count("\"title\""), 1);
}

} // namespace
} // namespace loftscope
