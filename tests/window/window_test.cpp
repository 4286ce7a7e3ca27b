// SPDX-License-Identifier: Apache-2.0
// The real window with the default models on made-up photos.
#include "ui/window/main_window.h"
#include "ui/window/window_script.h"

#include <QAction>
#include <QApplication>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFile>
#include <QImage>
#include <QJsonArray>
#include <QJsonObject>
#include <QLabel>
#include <QMimeData>
#include <QTemporaryDir>
#include <QTest>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>

namespace loftscope {
namespace {

struct WindowTest : ::testing::Test {
    QTemporaryDir folder;
    std::unique_ptr<MainWindow> window;

    QString madeUpPhoto(const QString& name, int width, int height) {
        QImage image(width, height, QImage::Format_RGB888);
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                const bool inside = std::hypot(x - width / 2, y - height / 2) < height / 3;
                image.setPixel(x, y, inside ? qRgb(220, 90, 40) : qRgb(x * 255 / width, 120, 60));
            }
        }
        const QString path = folder.filePath(name);
        EXPECT_TRUE(image.save(path));
        return path;
    }
    WindowOptions options() const {
        WindowOptions options;
        options.settingsPath = folder.filePath("settings.ini");
        options.workspace.inputSize = 64;
        const std::string models = LOFTSCOPE_RESOURCES "/models/";
        options.workspace.engine.backbone = models + "loftscope_vit16.safetensors";
        options.workspace.engine.weights["loftup"] = models + "loftscope_vit16_loftup.safetensors";
        return options;
    }
    void open(const WindowOptions& with) {
        window = std::make_unique<MainWindow>(with);
        window->show();
        ASSERT_TRUE(QTest::qWaitForWindowExposed(window.get()));
    }
    void openPhoto(int width = 96, int height = 64) {
        window->openFile(madeUpPhoto("photo.png", width, height));
        waitIdle(*window);
    }
    /// LoftUp has begun to show its own tiles.
    void waitForFirstColours() {
        ASSERT_TRUE(QTest::qWaitFor(
            [&] { return contentOf("features", "loftup").details.contains("first colours"); },
            60000));
    }
    void SetUp() override {
        ASSERT_TRUE(folder.isValid());
        open(options());
    }

    int paneOf(const std::string& kind, const std::string& method = "any") {
        for (const PaneState& pane : window->model().state().panes)
            if (pane.kind == kind && (method == "any" || pane.method == method)) return pane.id;
        return 0;
    }
    const PaneContent& contentOf(const std::string& kind, const std::string& method = "any") {
        return window->model().content(paneOf(kind, method));
    }
    QPoint widgetAt(int pane, double x, double y) {
        const glm::dvec2 at = window->canvas().transformOf(pane).widgetFromPixel({x, y});
        return QPointF(at.x, at.y).toPoint();
    }
    void click(int pane, double x, double y) {
        QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(pane, x, y));
    }
    void drop(const QString& path) {
        QMimeData data;
        data.setUrls({QUrl::fromLocalFile(path)});
        QDragEnterEvent enter({50, 50}, Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(window.get(), &enter);
        EXPECT_TRUE(enter.isAccepted());
        QDropEvent event(QPointF(50, 50), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(window.get(), &event);
    }
    QAction* action(const QKeySequence& keys) {
        for (QAction* each : window->actions())
            if (each->shortcut() == keys) return each;
        return nullptr;
    }
};

TEST_F(WindowTest, OpeningAPhotoFillsEveryPane) {
    openPhoto();
    EXPECT_FALSE(window->errorBar().isVisible()) << window->errorBar().text().toStdString();
    EXPECT_EQ(window->model().photoExtent(), (Extent{64, 96}));
    for (const auto& [kind, method] : std::vector<std::pair<std::string, std::string>>{
             {"features", ""}, {"features", "bilinear"}, {"features", "loftup"}}) {
        const PaneContent& content = contentOf(kind, method);
        ASSERT_NE(content.map, nullptr) << method;
        EXPECT_TRUE(content.map->complete()) << method;
        EXPECT_EQ(content.map->channels(), 9);
        EXPECT_LT(content.progress, 0) << method;
        EXPECT_THAT(content.details.toStdString(), ::testing::HasSubstr("own basis"));
    }
    EXPECT_EQ(contentOf("features", "").map->extent(), (Extent{4, 6}));
    // What depends on a pick says what to do.
    EXPECT_FALSE(contentOf("attention").message.isEmpty());
    EXPECT_EQ(contentOf("attention").map, nullptr);
    EXPECT_THAT(window->windowTitle().toStdString(), ::testing::StartsWith("photo.png"));
}

TEST_F(WindowTest, AClickFillsAttentionAndSimilarity) {
    openPhoto();
    click(paneOf("photo"), 48.5, 32.5);
    waitIdle(*window);
    ASSERT_NE(contentOf("attention").map, nullptr);
    ASSERT_NE(contentOf("similarity").map, nullptr);
    EXPECT_EQ(contentOf("attention").map->extent(), (Extent{4, 6}));
    EXPECT_EQ(contentOf("similarity").map->extent(), (Extent{64, 96}));
    EXPECT_FALSE(contentOf("similarity").stale);
    EXPECT_NEAR(contentOf("similarity").map->at(0, {48, 32}), 1.0F, 1e-4F);
    EXPECT_THAT(window->inspector().attentionText().toStdString(), ::testing::HasSubstr("Entropy"));
    // The last block at first; the grid chooses another head, without computing anything.
    EXPECT_THAT(contentOf("attention").details.toStdString(), ::testing::HasSubstr("block 2/2"));
    const auto before = contentOf("attention").map->channel(0)[5];
    AttentionGrid& grid = *window->inspector().attentionGrid();
    QTest::mouseClick(&grid, Qt::LeftButton, {}, grid.cellOf(0, 2).center());
    EXPECT_EQ(window->model().pane(paneOf("attention"))->block, 0);
    EXPECT_EQ(window->model().pane(paneOf("attention"))->head, 2);
    EXPECT_TRUE(window->idle());
    EXPECT_NE(contentOf("attention").map->channel(0)[5], before);
    // Esc: nothing is picked any more.
    window->model().clearPicks();
    EXPECT_EQ(contentOf("attention").map, nullptr);
}

TEST_F(WindowTest, AStormOfMouseMovesEndsWithTheNewestPick) {
    openPhoto();
    const int pane = paneOf("features", "loftup");
    const auto send = [&](QEvent::Type type, QPoint at, Qt::MouseButtons buttons) {
        CanvasWidget& canvas = window->canvas();
        QMouseEvent event(type, at, canvas.mapToGlobal(at),
                          type == QEvent::MouseMove ? Qt::NoButton : Qt::LeftButton, buttons, {});
        QApplication::sendEvent(&canvas, &event);
    };
    send(QEvent::MouseButtonPress, widgetAt(pane, 5, 5), Qt::LeftButton);
    for (int i = 0; i < 60; ++i) {
        send(QEvent::MouseMove, widgetAt(pane, 5 + i * 1.2, 5 + i % 40), Qt::LeftButton);
        if (i % 7 == 0) QApplication::processEvents();
    }
    send(QEvent::MouseMove, widgetAt(pane, 70.5, 40.5), Qt::LeftButton);
    send(QEvent::MouseButtonRelease, widgetAt(pane, 70.5, 40.5), Qt::NoButton);
    waitIdle(*window);
    const auto pick = window->model().activePick();
    ASSERT_TRUE(pick);
    const Pixel pixel = pixelContaining(pick->at, window->model().photoExtent());
    EXPECT_NEAR(static_cast<double>(pixel.x), 70, 1);
    EXPECT_NEAR(contentOf("similarity").map->at(0, pixel), 1.0F, 1e-4F);
    EXPECT_EQ(
        window->workspace().attentionFor(*window->model().pane(paneOf("attention")))->request.pixel,
        pixel);
}

TEST_F(WindowTest, ABrokenFileShowsTheBarAndKeepsThePicture) {
    openPhoto();
    const QString broken = folder.filePath("broken.jpg");
    QFile file(broken);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("\xff\xd8\xff\xe0 this is no photo");
    file.close();
    drop(broken);
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().isVisible());
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_EQ(window->model().photoExtent(), (Extent{64, 96}));
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
    // The picture that is still there still answers.
    click(paneOf("photo"), 10.5, 10.5);
    waitIdle(*window);
    EXPECT_NE(contentOf("attention").map, nullptr);
    // The next good photo takes the bar away.
    drop(madeUpPhoto("other.png", 80, 80));
    waitIdle(*window);
    EXPECT_FALSE(window->errorBar().isVisible());
    EXPECT_EQ(window->model().photoExtent(), (Extent{80, 80}));
}

TEST_F(WindowTest, ACheckpointIsRecognisedAndUsed) {
    openPhoto();
    drop(LOFTSCOPE_RESOURCES "/models/loftscope_vit16_loftup.safetensors");
    waitIdle(*window);
    EXPECT_THAT(window->errorBar().text().toStdString(), ::testing::HasSubstr("upsampler"));
    EXPECT_FALSE(window->errorBar().showsError());
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
    drop(LOFTSCOPE_RESOURCES "/models/loftscope_vit16.safetensors");
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().isVisible());
    EXPECT_THAT(window->errorBar().text().toStdString(), ::testing::HasSubstr("a backbone"));
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
    EXPECT_EQ(window->model().photoExtent(), (Extent{64, 96}));
}

TEST_F(WindowTest, ClosingWhileBusyEnds) {
    WindowOptions large = options();
    large.workspace.inputSize = 512;
    large.workspace.engine.tile = 16;
    open(large);
    window->openFile(madeUpPhoto("large.png", 700, 600));
    // Until LoftUp works on its map.
    waitForFirstColours();
    EXPECT_FALSE(contentOf("features", "loftup").map->complete());
    EXPECT_TRUE(window->workspace().busy());
    window->close();
    window.reset();
}

TEST_F(WindowTest, CancelInTheMiddleLeavesThePreview) {
    WindowOptions large = options();
    large.workspace.inputSize = 512;
    large.workspace.engine.tile = 16;
    open(large);
    window->openFile(madeUpPhoto("large.png", 700, 600));
    waitForFirstColours();
    window->workspace().cancel();
    waitIdle(*window);
    EXPECT_FALSE(window->errorBar().isVisible());
    const PaneContent& content = contentOf("features", "loftup");
    EXPECT_FALSE(content.map->complete());
    EXPECT_NE(content.fallback, nullptr);
    EXPECT_THAT(content.details.toStdString(), ::testing::HasSubstr("cancelled"));
}

TEST_F(WindowTest, SmallAndLongPhotos) {
    for (const auto& [width, height] :
         std::vector<std::pair<int, int>>{{1, 1}, {160, 20}, {3, 50}}) {
        openPhoto(width, height);
        EXPECT_FALSE(window->errorBar().showsError()) << window->errorBar().text().toStdString();
        EXPECT_TRUE(contentOf("features", "loftup").map->complete());
        window->model().placePick({width / 2.0, height / 2.0});
        waitIdle(*window);
        EXPECT_NE(contentOf("attention").map, nullptr);
    }
}

TEST_F(WindowTest, KeysAreActionsWithoutClashes) {
    std::set<QString> seen;
    for (const QAction* each : window->actions()) {
        if (each->shortcut().isEmpty()) continue;
        EXPECT_TRUE(seen.insert(each->shortcut().toString()).second)
            << each->shortcut().toString().toStdString();
    }
    openPhoto();
    action(QKeySequence("W"))->trigger();
    EXPECT_EQ(window->model().state().compare, CompareMode::Wipe);
    action(QKeySequence("D"))->trigger();
    EXPECT_EQ(window->model().state().compare, CompareMode::Difference);
    EXPECT_FALSE(action(QKeySequence("W"))->isChecked());
    action(QKeySequence("2"))->trigger();
    EXPECT_EQ(window->model().selectedPane().id, paneOf("features", ""));
    action(QKeySequence("]"))->trigger();
    EXPECT_EQ(window->model().selectedPane().scores.components[0], 3);
    EXPECT_THAT(contentOf("features", "").details.toStdString(), ::testing::HasSubstr("PCA 4-6"));
    action(QKeySequence("F1"))->trigger();
    EXPECT_NE(window->findChild<QWidget*>("keys"), nullptr);
}

TEST_F(WindowTest, RemembersRecentPhotosAndLayoutInItsOwnFile) {
    openPhoto();
    window->resize(900, 700);
    QApplication::processEvents();
    window->close();
    window.reset();
    EXPECT_TRUE(QFile::exists(folder.filePath("settings.ini")));
    open(options());
    EXPECT_EQ(window->recentFiles(), QStringList{folder.filePath("photo.png")});
    EXPECT_EQ(window->size(), QSize(900, 700));
}

TEST_F(WindowTest, AScriptDrivesTheWindow) {
    openPhoto();
    const QString picture = folder.filePath("shot.png");
    const auto done = playScript(
        *window,
        {QJsonObject{{"do", "click"}, {"pane", 1}, {"at", QJsonArray{20, 20}}},
         QJsonObject{{"do", "wait-idle"}}, QJsonObject{{"do", "key"}, {"key", "Right"}},
         QJsonObject{{"do", "key"}, {"key", "W"}},
         QJsonObject{{"do", "resize"}, {"size", QJsonArray{1000, 700}}},
         QJsonObject{{"do", "wait-idle"}}, QJsonObject{{"do", "screenshot"}, {"file", picture}}});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(QImage(picture).size(), QSize(1000, 700));
    EXPECT_EQ(pixelContaining(window->model().activePick()->at, {64, 96}).x, 21);
    EXPECT_EQ(window->model().state().compare, CompareMode::Wipe);
    const auto wrong = playScript(*window, {QJsonObject{{"do", "dance"}}});
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, ::testing::HasSubstr("Step 1"));
}

} // namespace
} // namespace loftscope
