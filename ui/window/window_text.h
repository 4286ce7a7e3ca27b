// SPDX-License-Identifier: Apache-2.0
// What the window says outside of a QObject's own class.
#pragma once

#include <QCoreApplication>
#include <QString>

namespace loftscope {

/// `text` in the user's language, where a translation is installed.
inline QString windowText(const char* text) {
    return QCoreApplication::translate("Window", text);
}

} // namespace loftscope
