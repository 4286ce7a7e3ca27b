// SPDX-License-Identifier: Apache-2.0
// What people are used to from other programs: folders, drops, the palette, keys, panels, undo,
// remembered layout, themes.
#include "tests/window/window_fixture.h"
#include "ui/window/command_palette.h"
#include "ui/window/evaluation_panel.h"
#include "ui/window/fuzzy_match.h"
#include "ui/window/log_panel.h"
#include "ui/window/photo_folder.h"
#include "ui/window/photo_strip.h"
#include "ui/window/status_line.h"

#include <QClipboard>
#include <QDialog>
#include <QDir>
#include <QDockWidget>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QTreeWidget>

#include <set>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct HabitsTest : WindowFixture {};

// --- without a window -------------------------------------------------------------------------

TEST(FuzzyMatch, FindsLettersInOrder) {
    EXPECT_TRUE(fuzzyMatch("clp", "Clear picks"));
    EXPECT_FALSE(fuzzyMatch("plc", "Clear"));
    EXPECT_TRUE(fuzzyMatch("pane max", "Maximise the pane"));
    EXPECT_TRUE(fuzzyMatch("", "anything"));
    EXPECT_FALSE(fuzzyMatch("a", ""));
    EXPECT_THAT(fuzzyMatch("wi", "Show the Wipe")->positions, ::testing::ElementsAre(9, 10));
}

TEST(FuzzyMatch, StartsOfWordsAndRunsComeFirst) {
    const auto score = [](const char* pattern, const char* text) {
        return fuzzyMatch(pattern, text)->score;
    };
    EXPECT_GT(score("fit", "Fit"), score("fit", "Flip it"));
    EXPECT_GT(score("cp", "Clear picks"), score("cp", "Scope"));
    EXPECT_GT(score("wipe", "Wipe"), score("wipe", "White pipe"));
}

TEST(PhotoFolder, CountsAsPeopleDo) {
    const QTemporaryDir folder;
    for (const char* name : {"p10.png", "p2.png", "p1.JPG", "notes.txt", ".hidden.png"})
        ASSERT_TRUE(QFile(folder.filePath(name)).open(QIODevice::WriteOnly));
    QStringList names;
    for (const QString& path : photosIn(folder.path()))
        names.append(QFileInfo(path).fileName());
    EXPECT_EQ(names, (QStringList{"p1.JPG", "p2.png", "p10.png"}));
}

TEST(PhotoFolder, StepsAndStopsAtTheEnds) {
    const QStringList photos{"/a/1.png", "/a/2.png", "/a/3.png"};
    EXPECT_EQ(photoBeside(photos, "/a/1.png", 1), "/a/2.png");
    EXPECT_EQ(photoBeside(photos, "/a/3.png", 1), "/a/3.png");
    EXPECT_EQ(photoBeside(photos, "/a/1.png", -1), "/a/1.png");
    EXPECT_EQ(photoBeside(photos, "/b/other.png", 1), "/a/1.png");
    EXPECT_EQ(photoBeside({}, "/a/1.png", 1), "");
}

// --- files ------------------------------------------------------------------------------------

TEST_F(HabitsTest, StepsThroughAFolder) {
    const QString first = madeUpPhoto("a1.png", 96, 64);
    madeUpPhoto("a2.png", 80, 64);
    brokenPhoto("a3.jpg");
    madeUpPhoto("a10.png", 64, 80);
    window->openFile(folder.path());
    waitIdle(*window);
    EXPECT_EQ(title(), "a1.png");
    EXPECT_TRUE(window->panel("photos")->isVisible());
    EXPECT_EQ(window->photoStrip().photos().size(), 4);
    command("file.next")->trigger();
    waitIdle(*window);
    EXPECT_EQ(title(), "a2.png");
    command("file.next")->trigger();
    waitIdle(*window);
    EXPECT_EQ(title(), "a2.png") << "a broken file does not take the picture away";
    EXPECT_TRUE(window->errorBar().showsError());
    command("file.next")->trigger();
    waitIdle(*window);
    EXPECT_EQ(title(), "a10.png") << "nor does it stop the stepping";
    EXPECT_FALSE(window->errorBar().isVisible());
    command("file.next")->trigger();
    EXPECT_THAT(window->statusLine().currentMessage().toStdString(), HasSubstr("last photo"));
    // Three steps at once end where three steps end.
    for (int i = 0; i < 3; ++i)
        command("file.previous")->trigger();
    waitIdle(*window);
    EXPECT_EQ(title(), "a1.png");
    EXPECT_EQ(window->model().photoExtent(), (Extent{64, 96}));
}

TEST_F(HabitsTest, TheStripShowsThumbnails) {
    madeUpPhoto("a1.png");
    madeUpPhoto("a2.png");
    window->openFolder(folder.path());
    waitIdle(*window);
    const auto* model = window->photoStrip().model();
    ASSERT_TRUE(QTest::qWaitFor([&] {
        for (int row = 0; row < 2; ++row)
            if (model->data(model->index(row, 0), Qt::DecorationRole).value<QImage>().isNull())
                return false;
        return true;
    }));
    EXPECT_EQ(window->photoStrip().currentIndex().row(), 0);
    Q_EMIT window->photoStrip().chosen(window->photoStrip().photos()[1]);
    waitIdle(*window);
    EXPECT_EQ(title(), "a2.png");
    EXPECT_EQ(window->photoStrip().currentIndex().row(), 1);
}

TEST_F(HabitsTest, DroppedPhotosAreTheOnesToStepThrough) {
    const QString b = madeUpPhoto("b.png");
    const QString d = madeUpPhoto("d.png");
    madeUpPhoto("c.png");
    drop({b, d});
    waitIdle(*window);
    EXPECT_EQ(title(), "b.png");
    command("file.next")->trigger();
    waitIdle(*window);
    EXPECT_EQ(title(), "d.png");
}

TEST_F(HabitsTest, AnEmptyFolderIsASentence) {
    QDir(folder.path()).mkdir("empty");
    window->openFile(folder.filePath("empty"));
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("no photos"));
}

TEST_F(HabitsTest, PastesAPicture) {
    QGuiApplication::clipboard()->setImage(QImage(40, 30, QImage::Format_RGB32));
    command("edit.paste")->trigger();
    waitIdle(*window);
    EXPECT_EQ(window->model().photoExtent(), (Extent{30, 40}));
    EXPECT_THAT(window->windowTitle().toStdString(), HasSubstr("pasted"));
    QGuiApplication::clipboard()->setText("words");
    command("edit.paste")->trigger();
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("no picture"));
    EXPECT_FALSE(window->errorBar().showsError());
}

TEST_F(HabitsTest, AMismatchingCheckpointIsASentenceWithAWayOut) {
    open(madeUpPhoto("a.png"));
    const PaneContent before = contentOf("features", "loftup");
    ASSERT_TRUE(before.map->complete());
    drop({LOFTSCOPE_TEST_DATA "/golden/loftup_tiny.weights.safetensors"});
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().showsError()) << window->errorBar().text().toStdString();
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("channels"));
    const auto buttons = window->errorBar().findChildren<QPushButton*>();
    EXPECT_TRUE(std::any_of(buttons.begin(), buttons.end(), [](const QPushButton* button) {
        return button->isVisible() && button->text().contains("Open");
    }));
    // Another one that fits is all it takes.
    drop({LOFTSCOPE_RESOURCES "/models/loftscope_vit16_loftup.safetensors"});
    waitIdle(*window);
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
}

TEST_F(HabitsTest, AFileThatIsNeitherIsASentence) {
    const QString path = folder.filePath("model.pth");
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("no tensors in here");
    file.close();
    drop({path});
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_THAT(window->log().text().toStdString(),
                HasSubstr(window->errorBar().text().toStdString()));
}

// --- commands ---------------------------------------------------------------------------------

TEST_F(HabitsTest, EveryCommandExplainsItself) {
    std::set<QString> keys;
    for (const QAction* action : window->commands().all()) {
        const std::string id = action->objectName().toStdString();
        EXPECT_GT(action->statusTip().size(), 10) << id;
        EXPECT_TRUE(action->toolTip().startsWith(action->statusTip())) << id;
        if (!action->shortcut().isEmpty()) {
            EXPECT_THAT(action->toolTip().toStdString(),
                        HasSubstr(action->shortcut().toString().toStdString()))
                << id;
        }
        for (const QKeySequence& each : action->shortcuts())
            EXPECT_TRUE(keys.insert(each.toString()).second) << each.toString().toStdString();
        EXPECT_FALSE(Commands::groupOf(action).isEmpty()) << id;
    }
}

TEST_F(HabitsTest, TheSheetOfKeysNamesEveryKey) {
    command("help.keys")->trigger();
    const auto* sheet = window->findChild<QDialog*>("keys");
    ASSERT_NE(sheet, nullptr);
    EXPECT_FALSE(sheet->isModal());
    QStringList texts;
    for (const QLabel* label : sheet->findChildren<QLabel*>())
        texts.append(label->text());
    for (const QAction* action : window->commands().all()) {
        if (action->shortcut().isEmpty()) continue;
        EXPECT_TRUE(texts.contains(Commands::plainName(action)) ||
                    action->objectName().startsWith("pane.select-"))
            << Commands::plainText(action).toStdString();
    }
}

TEST_F(HabitsTest, ThePaletteRunsWhatIsTyped) {
    open(madeUpPhoto("a.png"));
    command("help.palette")->trigger();
    CommandPalette& palette = window->commandPalette();
    ASSERT_TRUE(palette.isVisible());
    EXPECT_GT(palette.shown().size(), 40);
    QTest::keyClicks(palette.input(), "wip");
    ASSERT_FALSE(palette.shown().isEmpty());
    EXPECT_EQ(palette.shown().first(), command("compare.wipe"));
    QTest::keyClick(palette.input(), Qt::Key_Return);
    EXPECT_FALSE(palette.isVisible());
    EXPECT_EQ(window->model().state().compare, CompareMode::Wipe);
    // Groups are searched, too; what was used last comes first; nothing found is no crash.
    command("help.palette")->trigger();
    EXPECT_EQ(palette.shown().first(), command("compare.wipe"));
    QTest::keyClicks(palette.input(), "compare diff");
    EXPECT_EQ(palette.shown().first(), command("compare.difference"));
    palette.input()->setText("no such command at all");
    EXPECT_TRUE(palette.shown().isEmpty());
    QTest::keyClick(palette.input(), Qt::Key_Down);
    QTest::keyClick(palette.input(), Qt::Key_Return);
    EXPECT_TRUE(palette.isVisible());
    QTest::keyClick(palette.input(), Qt::Key_Escape);
    EXPECT_FALSE(palette.isVisible());
}

TEST_F(HabitsTest, ThePaletteOpensRecentPhotos) {
    open(madeUpPhoto("first.png"));
    open(madeUpPhoto("second.png", 80, 80));
    command("help.palette")->trigger();
    CommandPalette& palette = window->commandPalette();
    QTest::keyClicks(palette.input(), "first.png");
    QTest::keyClick(palette.input(), Qt::Key_Return);
    waitIdle(*window);
    EXPECT_EQ(title(), "first.png");
}

TEST_F(HabitsTest, GoesToAPixel) {
    open(madeUpPhoto("a.png", 96, 64));
    command("view.go-to")->trigger();
    auto* dialog = window->findChild<QDialog*>("goTo");
    ASSERT_NE(dialog, nullptr);
    QTest::keyClicks(dialog->findChild<QLineEdit*>(), "70, 12");
    QTest::keyClick(dialog->findChild<QLineEdit*>(), Qt::Key_Return);
    ASSERT_TRUE(window->model().activePick());
    EXPECT_EQ(pixelContaining(window->model().activePick()->at, {64, 96}), (Pixel{70, 12}));
    command("edit.copy-values")->trigger();
    EXPECT_THAT(QGuiApplication::clipboard()->text().toStdString(), HasSubstr("x 70  y 12"));
    EXPECT_THAT(QGuiApplication::clipboard()->text().toStdString(), HasSubstr("Photo\tR "));
}

// --- computing --------------------------------------------------------------------------------

TEST_F(HabitsTest, SizesAreUndoable) {
    open(madeUpPhoto("a.png", 96, 64));
    window->model().placePick({20, 20});
    waitIdle(*window);
    auto* input = window->findChild<QSpinBox*>("inputSize");
    input->setValue(128);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(window->workspace().features()->input, (Extent{128, 192}));
    EXPECT_TRUE(window->model().activePick()) << "the picks stay";
    auto* output = window->findChild<QSpinBox*>("outputSize");
    output->setValue(32);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(window->workspace().features()->output, (Extent{32, 48}));
    command("edit.undo")->trigger();
    command("edit.undo")->trigger();
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(window->workspace().features()->input, (Extent{64, 96}));
    EXPECT_EQ(window->workspace().features()->output, (Extent{64, 96}));
    EXPECT_EQ(input->value(), 64);
    EXPECT_EQ(output->value(), 0);
}

TEST_F(HabitsTest, PanelsTellModelsTimesAndChannels) {
    open(madeUpPhoto("a.png"));
    const auto textsOf = [&](const char* panel) {
        QStringList texts;
        for (const QTreeWidget* tree : window->panel(panel)->findChildren<QTreeWidget*>())
            for (const QTreeWidgetItem* item :
                 tree->findItems("*", Qt::MatchWildcard | Qt::MatchRecursive))
                for (int column = 0; column < tree->columnCount(); ++column)
                    texts.append(item->text(column));
        return texts.join('\n').toStdString();
    };
    EXPECT_THAT(textsOf("model"), HasSubstr("loftscope_vit16.safetensors"));
    EXPECT_THAT(textsOf("model"), HasSubstr("192 channels"));
    EXPECT_THAT(textsOf("model"), HasSubstr("0.485"));
    EXPECT_THAT(textsOf("compute"), HasSubstr("Backbone"));
    EXPECT_THAT(textsOf("compute"), HasSubstr(" MB"));
    EXPECT_THAT(textsOf("statistics"), HasSubstr("LoftUp"));
    EXPECT_THAT(textsOf("statistics"), HasSubstr("Low-res"));
    EXPECT_THAT(window->log().text().toStdString(), HasSubstr("SHA-256"));
    window->log().copyAll();
    EXPECT_EQ(QGuiApplication::clipboard()->text(), window->log().text());
}

TEST_F(HabitsTest, StageAndPercentWhileBusyAndCancelInTheMiddle) {
    start(slowOptions());
    window->openFile(madeUpPhoto("large.png", 700, 600));
    waitForLoftUp();
    auto* cancel = window->statusLine().findChild<QPushButton*>("cancel");
    EXPECT_TRUE(cancel->isVisible());
    EXPECT_THAT(window->statusLine().stageText().toStdString(),
                ::testing::MatchesRegex("[A-Z].*, [0-9]+ %"));
    QTest::mouseClick(cancel, Qt::LeftButton);
    ASSERT_TRUE(waitIdle(*window, 20000));
    EXPECT_FALSE(cancel->isVisible());
    EXPECT_FALSE(window->errorBar().isVisible()) << "cancelling is no error";
    EXPECT_FALSE(contentOf("features", "loftup").map->complete());
    EXPECT_THAT(window->log().text().toStdString(), HasSubstr("cancelled"));
}

TEST_F(HabitsTest, ClosingWhileBusyEndsWithoutTheRest) {
    start(slowOptions());
    window->openFile(madeUpPhoto("large.png", 700, 600));
    waitForLoftUp();
    window->close();
    EXPECT_FALSE(window->isVisible());
    const auto map = contentOf("features", "loftup").map;
    window.reset();
    EXPECT_FALSE(map->complete());
}

// --- looks ------------------------------------------------------------------------------------

TEST_F(HabitsTest, RemembersPanelsThemeAndRecentPhotos) {
    open(madeUpPhoto("a.png"));
    command("panel.log")->trigger();
    ASSERT_TRUE(window->panel("log")->isVisible());
    window->panel("statistics")->hide();
    window->setDark(false);
    window->close();
    start(options());
    EXPECT_TRUE(window->panel("log")->isVisible());
    EXPECT_FALSE(window->panel("statistics")->isVisible());
    EXPECT_FALSE(window->isDark());
    EXPECT_EQ(window->recentFiles(), QStringList{folder.filePath("a.png")});
    command("view.reset-layout")->trigger();
    EXPECT_FALSE(window->panel("log")->isVisible());
    window->setDark(true);
}

TEST_F(HabitsTest, ShowsAnEvaluationAsTableAndBars) {
    start(options());
    const QString path = folder.filePath("results.json");
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write(R"({"evaluation": "video", "results": [
        {"method": "Bilinear", "j_and_f": 50, "j_and_f_interval": [40, 60]},
        {"method": "JBU", "j_and_f": 62.5, "j_and_f_interval": [50, 70], "gain": 12.5,
         "gain_interval": [-1, 20]}]})");
    file.close();
    EXPECT_FALSE(window->panel("evaluation")->isVisible());
    window->openEvaluation(path);
    EXPECT_TRUE(window->panel("evaluation")->isVisible());
    const QTreeWidget* table = window->evaluation().table();
    ASSERT_EQ(table->topLevelItemCount(), 2);
    EXPECT_EQ(table->topLevelItem(1)->text(1), "62.5");
    EXPECT_EQ(table->topLevelItem(1)->text(3), "12.5");
    // A file of another kind is named and changes nothing.
    QFile other(folder.filePath("other.json"));
    ASSERT_TRUE(other.open(QIODevice::WriteOnly));
    other.write("{}");
    other.close();
    window->openEvaluation(other.fileName());
    EXPECT_TRUE(window->errorBar().isVisible());
    EXPECT_EQ(table->topLevelItemCount(), 2);
}

TEST_F(HabitsTest, EveryControlHasANameForScreenReaders) {
    open(madeUpPhoto("a.png"));
    for (const char* id :
         {"inspector", "model", "compute", "statistics", "photos", "log", "evaluation"}) {
        window->showPanel(id);
        for (const QWidget* widget : window->panel(id)->findChildren<QWidget*>()) {
            if (widget->focusPolicy() == Qt::NoFocus || !widget->isVisible()) continue;
            const auto* view = qobject_cast<const QAbstractScrollArea*>(widget->parentWidget());
            if (view != nullptr || widget->objectName().startsWith("qt_")) continue;
            const auto* button = qobject_cast<const QAbstractButton*>(widget);
            const bool named = !widget->accessibleName().isEmpty() ||
                               (button != nullptr && !button->text().isEmpty()) ||
                               qobject_cast<const QLabel*>(widget) != nullptr ||
                               qobject_cast<const QScrollArea*>(widget) != nullptr ||
                               widget->parentWidget()->accessibleName().size() > 0;
            EXPECT_TRUE(named) << id << ": " << widget->metaObject()->className() << " "
                               << widget->objectName().toStdString();
        }
    }
}

} // namespace
} // namespace loftscope
