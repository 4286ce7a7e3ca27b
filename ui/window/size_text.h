// SPDX-License-Identifier: Apache-2.0
// Sizes as panes and panels write them.
#pragma once

#include "core/base/geometry.h"

#include <QString>

namespace loftscope {

/// "336 × 224": width first, as photos are named.
inline QString sizeText(const Extent& extent) {
    return QStringLiteral("%1 \u00d7 %2").arg(extent.width).arg(extent.height);
}

} // namespace loftscope
