// SPDX-License-Identifier: Apache-2.0
// The greys around the pictures. Nothing coloured: the maps are the only colours on the canvas.
#pragma once

#include <array>
#include <cstdint>

namespace loftscope {

struct Gray {
    std::uint8_t level = 0;
    std::uint8_t alpha = 255;
};

struct CanvasTheme {
    Gray gap;        ///< between panes
    Gray background; ///< behind a picture that does not fill its pane
    Gray header;
    Gray selectedHeader;
    Gray text;
    Gray mutedText;
    Gray frame;      ///< around the selected pane while the canvas has the keyboard
    Gray quietFrame; ///< around the selected pane otherwise
    Gray plate;      ///< behind text on a picture
    Gray plateText;
};

inline CanvasTheme darkCanvas() {
    return {{16, 255},  {27, 255},  {37, 255},  {56, 255}, {222, 255},
            {150, 255}, {214, 255}, {110, 255}, {14, 190}, {235, 255}};
}

inline CanvasTheme lightCanvas() {
    return {{190, 255}, {222, 255}, {238, 255}, {252, 255}, {28, 255},
            {98, 255},  {40, 255},  {130, 255}, {250, 215}, {24, 255}};
}

} // namespace loftscope
