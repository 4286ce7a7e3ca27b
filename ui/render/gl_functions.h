// SPDX-License-Identifier: Apache-2.0
// OpenGL 3.3 core of the current context.
#pragma once

#include <QOpenGLFunctions_3_3_Core>

namespace loftscope {

/// Null if no context is current or it is older than 3.3 core.
QOpenGLFunctions_3_3_Core* glFunctions();

} // namespace loftscope
