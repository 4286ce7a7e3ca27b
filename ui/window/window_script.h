// SPDX-License-Identifier: Apache-2.0
// Steps played on the real window with real events: for documentation pictures and bug reports.
#pragma once

#include "core/base/error.h"

#include <QString>

class QJsonArray;

namespace loftscope {

class MainWindow;

/// An array of steps, each an object with "do":
///   {"do": "click", "pane": 1, "at": [x, y]}             pane counts from 1, at in photo pixels
///   {"do": "drag", "pane": 1, "from": [x, y], "to": [x, y]}
///   {"do": "key", "key": "W"}                             as in menus: "Ctrl+Z", "Space"
///   {"do": "wait-idle"}, {"do": "resize", "size": [w, h]}
///   {"do": "screenshot", "file": "main.png"}, {"do": "quit"}
/// Errors: NotFound, Malformed (naming the step).
Result<QJsonArray> readScript(const QString& path);

/// Plays the steps; runs the event loop while it waits. Errors: InvalidArgument (naming the step),
/// WriteFailed.
Result<void> playScript(MainWindow& window, const QJsonArray& steps);

/// Runs the event loop until nothing is computed any more and the window is painted.
void waitIdle(MainWindow& window);
/// A picture of the whole window. Errors: WriteFailed.
Result<void> saveScreenshot(MainWindow& window, const QString& path);

} // namespace loftscope
