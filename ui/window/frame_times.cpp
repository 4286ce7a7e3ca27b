// SPDX-License-Identifier: Apache-2.0
#include "ui/window/frame_times.h"

#include "ui/window/main_window.h"
#include "ui/window/sent_events.h"

#include <QElapsedTimer>
#include <QEventLoop>
#include <QJsonObject>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QTimer>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace loftscope {

namespace {

constexpr int quietMs = 30;
constexpr int quietTries = 10;
/// A window that nobody can see is not painted: after this long there is nothing to time.
constexpr int unseenMs = 2000;

void sendPan(CanvasWidget& canvas, QEvent::Type type, QPointF at) {
    const bool moves = type == QEvent::MouseMove;
    const bool released = type == QEvent::MouseButtonRelease;
    sendMouse(canvas, type, at, moves ? Qt::NoButton : Qt::MiddleButton,
              released ? Qt::NoButton : Qt::MiddleButton, {});
}

/// Runs events until the panes were painted and are on screen; false where that took longer.
bool waitForFrame(CanvasWidget& canvas, int milliseconds) {
    QEventLoop loop;
    bool shown = false;
    QObject::connect(&canvas, &QOpenGLWidget::frameSwapped, &loop, [&] {
        shown = true;
        loop.quit();
    });
    QTimer::singleShot(milliseconds, &loop, &QEventLoop::quit);
    loop.exec();
    return shown;
}

/// Time of all threads: a software rasteriser paints in threads of its own.
double processorMs() {
    return static_cast<double>(std::clock()) * 1000 / CLOCKS_PER_SEC;
}

QJsonObject summary(std::vector<double> values) {
    std::ranges::sort(values);
    const auto at = [&](double share) {
        const auto last = static_cast<double>(values.size() - 1);
        return values[static_cast<std::size_t>(std::lround(share * last))];
    };
    return {{"median", at(0.5)}, {"p95", at(0.95)}, {"largest", values.back()}};
}

} // namespace

FrameTimes measureFrames(MainWindow& window, int pane, int count) {
    CanvasWidget& canvas = window.canvas();
    const Box picture = canvas.pictureOf(pane);
    const QPointF middle(picture.center().x, picture.center().y);
    FrameTimes times;
    const auto paint = [&](const auto& change) {
        // Frames that earlier changes asked for are not this one's; while maps arrive, some are.
        for (int i = 0; i < quietTries && waitForFrame(canvas, quietMs); ++i)
            ;
        QElapsedTimer clock;
        clock.start();
        const double before = processorMs();
        change();
        canvas.update();
        if (!waitForFrame(canvas, unseenMs)) return;
        times.processorMs.push_back(processorMs() - before);
        times.wallMs.push_back(static_cast<double>(clock.nsecsElapsed()) / 1e6);
    };

    // A third each: in, around, and out again by as many notches.
    const int zooms = std::max(1, count / 3);
    const int pans = std::max(1, count - 2 * zooms);
    for (int i = 0; i < zooms; ++i)
        paint([&] { sendWheel(canvas, middle, 30, {}); });
    sendPan(canvas, QEvent::MouseButtonPress, middle);
    for (int i = 1; i <= pans; ++i) {
        const double angle = 2 * M_PI * i / pans;
        const QPointF around(picture.size.x * 0.2 * std::sin(angle),
                             picture.size.y * 0.2 * (1 - std::cos(angle)));
        paint([&] { sendPan(canvas, QEvent::MouseMove, middle + around); });
    }
    sendPan(canvas, QEvent::MouseButtonRelease, middle);
    for (int i = 0; i < zooms; ++i)
        paint([&] { sendWheel(canvas, middle, -30, {}); });
    return times;
}

QJsonObject describeFrames(MainWindow& window, const FrameTimes& times) {
    CanvasWidget& canvas = window.canvas();
    canvas.makeCurrent();
    const auto* renderer = canvas.context()->functions()->glGetString(GL_RENDERER);
    canvas.doneCurrent();
    const double ratio = canvas.devicePixelRatioF();
    return {{"frames", static_cast<int>(times.wallMs.size())},
            {"panes", static_cast<int>(window.model().state().panes.size())},
            {"width", static_cast<int>(canvas.width() * ratio)},
            {"height", static_cast<int>(canvas.height() * ratio)},
            {"renderer", QString::fromUtf8(reinterpret_cast<const char*>(renderer))},
            {"wall_ms", summary(times.wallMs)},
            {"processor_ms", summary(times.processorMs)}};
}

} // namespace loftscope
