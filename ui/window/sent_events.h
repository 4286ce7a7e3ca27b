// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QEvent>
#include <QPointF>
#include <Qt>

class QWidget;

namespace loftscope {

/// Sends a mouse event to `widget` as if it came from the user's mouse. `at` is in pixels of the
/// widget; `button` is the one that changes, `buttons` those that are down.
void sendMouse(QWidget& widget, QEvent::Type type, QPointF at, Qt::MouseButton button,
               Qt::MouseButtons buttons, Qt::KeyboardModifiers modifiers);

/// Turns the mouse wheel over `widget` by `turn` eighths of a degree: 120 are a notch away from
/// the user.
void sendWheel(QWidget& widget, QPointF at, int turn, Qt::KeyboardModifiers modifiers);

/// Lets the program do what it has to do for this time.
void runEvents(int milliseconds);

} // namespace loftscope
