// SPDX-License-Identifier: Apache-2.0
#include "core/figure/figure_spec.h"

#include <algorithm>

namespace loftscope {

Corner cornerFor(const Inset& inset, const std::vector<Inset>& taken) {
    const double x = inset.x + inset.width / 2;
    const double y = inset.y + inset.height / 2;
    struct Choice {
        Corner corner;
        double x;
        double y;
    };
    // In this order where several are as far: readers look at the bottom right last.
    const std::array choices{Choice{Corner::BottomRight, 1, 1}, Choice{Corner::BottomLeft, 0, 1},
                             Choice{Corner::TopRight, 1, 0}, Choice{Corner::TopLeft, 0, 0}};
    const Choice* best = nullptr;
    double farthest = -1;
    for (const Choice& choice : choices) {
        if (std::ranges::find(taken, choice.corner, &Inset::corner) != taken.end()) continue;
        const double distance = (choice.x - x) * (choice.x - x) + (choice.y - y) * (choice.y - y);
        if (distance > farthest + 1e-9) {
            best = &choice;
            farthest = distance;
        }
    }
    return best == nullptr ? Corner::BottomRight : best->corner;
}

} // namespace loftscope
