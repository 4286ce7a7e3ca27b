// SPDX-License-Identifier: Apache-2.0
#include "ui/window/frame_times.h"

#include "ui/window/main_window.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QJsonObject>
#include <QMouseEvent>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace loftscope {

namespace {

void sendWheel(CanvasWidget& canvas, QPointF at, int turn) {
    QWheelEvent event(at, canvas.mapToGlobal(at), {}, {0, turn}, Qt::NoButton, {},
                      Qt::NoScrollPhase, false);
    QApplication::sendEvent(&canvas, &event);
}

void sendPan(CanvasWidget& canvas, QEvent::Type type, QPointF at) {
    const bool moves = type == QEvent::MouseMove;
    QMouseEvent event(type, at, canvas.mapToGlobal(at), moves ? Qt::NoButton : Qt::MiddleButton,
                      type == QEvent::MouseButtonRelease ? Qt::NoButton : Qt::MiddleButton, {});
    QApplication::sendEvent(&canvas, &event);
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
    // A window that nobody can see is not painted, and its times would mean nothing.
    int painted = 0;
    const QMetaObject::Connection counting =
        QObject::connect(&canvas, &QOpenGLWidget::aboutToCompose, [&painted] { ++painted; });
    const auto paint = [&](const auto& change) {
        const int paintedBefore = painted;
        QElapsedTimer clock;
        clock.start();
        const double before = processorMs();
        change();
        canvas.repaint();
        canvas.makeCurrent();
        canvas.context()->functions()->glFinish();
        canvas.doneCurrent();
        if (painted > paintedBefore) {
            times.processorMs.push_back(processorMs() - before);
            times.wallMs.push_back(static_cast<double>(clock.nsecsElapsed()) / 1e6);
        }
        QApplication::processEvents();
    };

    // A third each: in, around, and out again by as many notches.
    const int zooms = std::max(1, count / 3);
    const int pans = std::max(1, count - 2 * zooms);
    for (int i = 0; i < zooms; ++i)
        paint([&] { sendWheel(canvas, middle, 30); });
    sendPan(canvas, QEvent::MouseButtonPress, middle);
    for (int i = 1; i <= pans; ++i) {
        const double angle = 2 * M_PI * i / pans;
        const QPointF around(picture.size.x * 0.2 * std::sin(angle),
                             picture.size.y * 0.2 * (1 - std::cos(angle)));
        paint([&] { sendPan(canvas, QEvent::MouseMove, middle + around); });
    }
    sendPan(canvas, QEvent::MouseButtonRelease, middle);
    for (int i = 0; i < zooms; ++i)
        paint([&] { sendWheel(canvas, middle, -30); });
    QObject::disconnect(counting);
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
