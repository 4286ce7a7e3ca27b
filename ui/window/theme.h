// SPDX-License-Identifier: Apache-2.0
// Dark and light: neutral greys, so that the maps are the only colours on screen.
#pragma once

namespace loftscope {

/// Style, palette and style sheet of the whole application.
void applyTheme(bool dark);

} // namespace loftscope
