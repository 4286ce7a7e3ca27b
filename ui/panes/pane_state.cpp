// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/pane_state.h"

namespace loftscope {

std::array<std::uint8_t, 3> pickColor(int number) {
    static constexpr std::array<std::array<std::uint8_t, 3>, 7> colors{{{230, 159, 0},
                                                                        {86, 180, 233},
                                                                        {0, 158, 115},
                                                                        {240, 228, 66},
                                                                        {0, 114, 178},
                                                                        {213, 94, 0},
                                                                        {204, 121, 167}}};
    const int count = static_cast<int>(colors.size());
    return colors[static_cast<std::size_t>((((number - 1) % count) + count) % count)];
}

} // namespace loftscope
