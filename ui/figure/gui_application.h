// SPDX-License-Identifier: Apache-2.0
// Qt for painting alone: letters need a QGuiApplication, but no display.
#pragma once

#include "core/base/error.h"

namespace loftscope {

/// Makes one on the offscreen platform unless the program already has a QGuiApplication; call on
/// the main thread. Keeps the C locale's decimal point and Qt's warnings off the terminal. Errors:
/// Internal (the program runs a QCoreApplication without a GUI, beside which none can be made).
Result<void> ensureGuiApplication();

} // namespace loftscope
