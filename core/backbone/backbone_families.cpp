// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/backbone_families.h"

#include "core/backbone/clip.h"
#include "core/backbone/dinov2.h"
#include "core/backbone/dinov3.h"
#include "core/backbone/radio.h"
#include "core/backbone/siglip.h"

namespace loftscope {

const std::vector<BackboneFamily>& backboneFamilies() {
    static const std::vector<BackboneFamily> families{
        {"vit", recogniseVitModel},  {"dinov3", recogniseDinov3}, {"clip", recogniseClip},
        {"siglip", recogniseSiglip}, {"radio", recogniseRadio},
    };
    return families;
}

} // namespace loftscope
