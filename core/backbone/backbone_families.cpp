// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/backbone_families.h"

#include "core/backbone/dinov2.h"

namespace loftscope {

const std::vector<BackboneFamily>& backboneFamilies() {
    static const std::vector<BackboneFamily> families{
        {"vit", recogniseVitModel},
    };
    return families;
}

} // namespace loftscope
