// SPDX-License-Identifier: Apache-2.0
// The real window with the default models on made-up photos, and settings of its own.
#pragma once

#include "ui/window/main_window.h"
#include "ui/window/window_script.h"

#include <QAction>
#include <QApplication>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFile>
#include <QImage>
#include <QMimeData>
#include <QTemporaryDir>
#include <QTest>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

namespace loftscope {

/// Warnings of Qt since the last look; filled by the test program's message handler.
QStringList& qtWarnings();

struct WindowFixture : ::testing::Test {
    QTemporaryDir folder;
    std::unique_ptr<MainWindow> window;

    QString madeUpPhoto(const QString& name, int width = 96, int height = 64, int hue = 20) const {
        QImage image(width, height, QImage::Format_RGB888);
        const QColor inner = QColor::fromHsv(hue % 360, 200, 220);
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                const bool inside = std::hypot(x - width / 2, y - height / 2) < height / 3;
                image.setPixel(x, y, inside ? inner.rgb() : qRgb(x * 255 / width, 120, 60));
            }
        }
        const QString path = folder.filePath(name);
        EXPECT_TRUE(image.save(path));
        return path;
    }
    QString brokenPhoto(const QString& name) const {
        const QString path = folder.filePath(name);
        QFile file(path);
        EXPECT_TRUE(file.open(QIODevice::WriteOnly));
        file.write("\xff\xd8\xff\xe0 this is no photo");
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
    /// Whose maps take so long that something can happen in between.
    WindowOptions slowOptions() const {
        WindowOptions slow = options();
        slow.workspace.inputSize = 512;
        slow.workspace.engine.tile = 16;
        return slow;
    }
    void start(const WindowOptions& with) {
        window.reset();
        window = std::make_unique<MainWindow>(with);
        window->show();
        ASSERT_TRUE(QTest::qWaitForWindowExposed(window.get()));
    }
    void SetUp() override {
        ASSERT_TRUE(folder.isValid());
        start(options());
    }
    void open(const QString& path) {
        window->openFile(path);
        ASSERT_TRUE(waitIdle(*window));
    }
    int paneOf(const std::string& kind, const std::string& method = "any") const {
        for (const PaneState& pane : window->model().state().panes)
            if (pane.kind == kind && (method == "any" || pane.method == method)) return pane.id;
        return 0;
    }
    const PaneContent& contentOf(const std::string& kind, const std::string& method = "any") const {
        return window->model().content(paneOf(kind, method));
    }
    /// Until LoftUp has begun to show its own tiles.
    void waitForLoftUp() {
        ASSERT_TRUE(QTest::qWaitFor(
            [&] { return contentOf("features", "loftup").details.contains("first colours"); },
            60000));
    }
    QPoint widgetAt(int pane, double x, double y) const {
        const glm::dvec2 at = window->canvas().transformOf(pane).widgetFromPixel({x, y});
        return QPointF(at.x, at.y).toPoint();
    }
    void sendMouse(QEvent::Type type, QPoint at, Qt::MouseButtons buttons) {
        CanvasWidget& canvas = window->canvas();
        QMouseEvent event(type, at, canvas.mapToGlobal(at),
                          type == QEvent::MouseMove ? Qt::NoButton : Qt::LeftButton, buttons, {});
        QApplication::sendEvent(&canvas, &event);
    }
    void drop(const QStringList& paths) {
        QMimeData data;
        QList<QUrl> urls;
        for (const QString& path : paths)
            urls.append(QUrl::fromLocalFile(path));
        data.setUrls(urls);
        QDragEnterEvent enter({50, 50}, Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(window.get(), &enter);
        EXPECT_TRUE(enter.isAccepted());
        QDropEvent event(QPointF(50, 50), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(window.get(), &event);
    }
    QAction* command(const QString& id) const {
        QAction* action = window->commands().find(id);
        EXPECT_NE(action, nullptr) << id.toStdString();
        return action;
    }
    QString title() const { return window->windowTitle().section(' ', 0, 0); }
};

} // namespace loftscope
