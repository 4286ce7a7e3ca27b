// SPDX-License-Identifier: Apache-2.0
#include "ui/window/window_script.h"

#include "ui/window/main_window.h"

#include <QApplication>
#include <QEventLoop>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QMouseEvent>
#include <QPixmap>
#include <QTimer>
#include <fmt/format.h>

namespace loftscope {

namespace {

constexpr int dragSteps = 8;

void runEvents(int milliseconds) {
    QEventLoop loop;
    QTimer::singleShot(milliseconds, &loop, &QEventLoop::quit);
    loop.exec();
}

void sendMouse(QWidget& widget, QEvent::Type type, QPointF at, Qt::MouseButton button,
               Qt::MouseButtons buttons) {
    QMouseEvent event(type, at, widget.mapToGlobal(at), button, buttons, {});
    QApplication::sendEvent(&widget, &event);
}

void sendKey(QWidget& widget, const QKeySequence& keys) {
    const QKeyCombination key = keys[0];
    QKeyEvent override(QEvent::ShortcutOverride, key.key(), key.keyboardModifiers());
    override.ignore();
    QApplication::sendEvent(&widget, &override);
    if (!override.isAccepted()) {
        for (QAction* action : widget.window()->actions()) {
            if (action->shortcut() != keys || !action->isEnabled()) continue;
            action->trigger();
            return;
        }
    }
    QKeyEvent press(QEvent::KeyPress, key.key(), key.keyboardModifiers());
    QApplication::sendEvent(&widget, &press);
    QKeyEvent release(QEvent::KeyRelease, key.key(), key.keyboardModifiers());
    QApplication::sendEvent(&widget, &release);
}

class Player {
public:
    explicit Player(MainWindow& window)
        : window_(window) {}

    Result<void> play(const QJsonObject& step) {
        const QString what = step["do"].toString();
        if (what == "click") return drag(step, "at", "at");
        if (what == "drag") return drag(step, "from", "to");
        if (what == "key") {
            const QKeySequence keys(step["key"].toString());
            if (keys.isEmpty()) return fail(ErrorCode::InvalidArgument, "'key' names no key");
            sendKey(window_.canvas(), keys);
            return {};
        }
        if (what == "wait-idle") {
            waitIdle(window_);
            return {};
        }
        if (what == "screenshot") return saveScreenshot(window_, step["file"].toString());
        if (what == "resize") {
            const QJsonArray size = step["size"].toArray();
            if (size.size() != 2 || size[0].toInt() < 1 || size[1].toInt() < 1)
                return fail(ErrorCode::InvalidArgument, "'size' must be [width, height]");
            window_.resize(size[0].toInt(), size[1].toInt());
            runEvents(50);
            return {};
        }
        if (what == "quit") {
            window_.close();
            return {};
        }
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is not click, drag, key, wait-idle, screenshot, resize or "
                                "quit",
                                what.toStdString()));
    }

private:
    Result<QPointF> pointOf(const QJsonObject& step, const char* key) const {
        const int pane = window_.model().idAt(step["pane"].toInt() - 1);
        const QJsonArray at = step[key].toArray();
        if (pane == 0) return fail(ErrorCode::InvalidArgument, "there is no such 'pane'");
        if (at.size() != 2)
            return fail(ErrorCode::InvalidArgument, fmt::format("'{}' must be [x, y]", key));
        if (window_.canvas().pictureOf(pane).empty() || !window_.model().photo())
            return fail(ErrorCode::InvalidArgument, "the pane is not shown");
        const glm::dvec2 point = window_.canvas().transformOf(pane).widgetFromPixel(
            glm::dvec2{at[0].toDouble() + 0.5, at[1].toDouble() + 0.5});
        return QPointF(point.x, point.y);
    }

    Result<void> drag(const QJsonObject& step, const char* fromKey, const char* toKey) {
        LOFTSCOPE_TRY(const QPointF from, pointOf(step, fromKey));
        LOFTSCOPE_TRY(const QPointF to, pointOf(step, toKey));
        CanvasWidget& canvas = window_.canvas();
        sendMouse(canvas, QEvent::MouseMove, from, Qt::NoButton, Qt::NoButton);
        sendMouse(canvas, QEvent::MouseButtonPress, from, Qt::LeftButton, Qt::LeftButton);
        for (int i = 1; i <= dragSteps && from != to; ++i) {
            sendMouse(canvas, QEvent::MouseMove, from + (to - from) * i / dragSteps, Qt::NoButton,
                      Qt::LeftButton);
            QApplication::processEvents();
        }
        sendMouse(canvas, QEvent::MouseButtonRelease, to, Qt::LeftButton, Qt::NoButton);
        return {};
    }

    MainWindow& window_;
};

} // namespace

Result<QJsonArray> readScript(const QString& path) {
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return fail(
            ErrorCode::NotFound,
            fmt::format("The script '{}' cannot be read: check the path.", path.toStdString()));
    QJsonParseError error;
    const QJsonDocument document = QJsonDocument::fromJson(file.readAll(), &error);
    if (!document.isArray())
        return fail(ErrorCode::Malformed,
                    fmt::format("The script '{}' is not a JSON array of steps: {}.",
                                path.toStdString(), error.errorString().toStdString()));
    return document.array();
}

Result<void> playScript(MainWindow& window, const QJsonArray& steps) {
    Player player(window);
    int number = 0;
    for (const QJsonValue& step : steps) {
        ++number;
        const Result<void> done = player.play(step.toObject());
        if (!done)
            return fail(done.error().code, fmt::format("Step {} of the script failed: {}.", number,
                                                       done.error().message));
        if (!window.isVisible()) return {};
    }
    return {};
}

void waitIdle(MainWindow& window) {
    do {
        runEvents(10);
    } while (!window.idle());
    // What has arrived last is painted, too.
    window.canvas().repaint();
    runEvents(30);
}

Result<void> saveScreenshot(MainWindow& window, const QString& path) {
    runEvents(30);
    if (path.isEmpty() || !window.grab().save(path))
        return fail(ErrorCode::WriteFailed,
                    fmt::format("The screenshot '{}' could not be written: check folder and ending",
                                path.toStdString()));
    return {};
}

} // namespace loftscope
