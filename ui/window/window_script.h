// SPDX-License-Identifier: Apache-2.0
// Steps played on the real window with real events: for documentation pictures, tests and bug
// reports. docs/scripting.md describes every step.
#pragma once

#include "core/base/error.h"

#include <QString>
#include <QStringList>

class QJsonArray;

namespace loftscope {

class MainWindow;

/// Names of the steps that there are.
QStringList scriptSteps();

/// An array of steps, each an object with "do". Errors: NotFound, Malformed (no JSON, no array),
/// InvalidArgument (as checkScript).
Result<QJsonArray> readScript(const QString& path);

/// Looks at every step without playing any. Errors: InvalidArgument, naming the step's number and
/// what is wrong with it.
Result<void> checkScript(const QJsonArray& steps);

/// Plays the steps; runs the event loop while it waits. Errors: InvalidArgument (naming the step),
/// WriteFailed.
Result<void> playScript(MainWindow& window, const QJsonArray& steps);

/// Runs the event loop until nothing is computed any more and the window is painted. False if that
/// takes longer.
bool waitIdle(MainWindow& window, int timeoutMs = 600'000);
/// A picture of the window with everything that is open over it. Errors: WriteFailed.
Result<void> saveScreenshot(MainWindow& window, const QString& path);

} // namespace loftscope
