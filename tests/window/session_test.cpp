// SPDX-License-Identifier: Apache-2.0
// Sessions of the real window: round trip, moved folders, missing files, crashes.
#include "tests/window/window_fixture.h"
#include "ui/panes/session_state.h"
#include "ui/window/session_keeper.h"

#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QSignalSpy>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

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
    EXPECT_THAT(text, HasSubstr("bootstrap_vit_ti16.safetensors"));
    EXPECT_THAT(text, HasSubstr("loftup;components=3+4+5"));
}

} // namespace
} // namespace loftscope
