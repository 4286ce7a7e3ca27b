// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/upsampler_methods.h"

#include "core/upsample/anyup.h"
#include "core/upsample/featup.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/jafar.h"
#include "core/upsample/joint_bilateral.h"
#include "core/upsample/loftup.h"
#include "core/upsample/naf.h"
#include "core/upsample/uplift.h"

namespace loftscope {

namespace {

template <Interpolation kind>
std::unique_ptr<Upsampler> interpolation() {
    return makeInterpolation(kind);
}

std::unique_ptr<Upsampler> jointBilateral() {
    return makeJointBilateral();
}

} // namespace

const std::vector<UpsamplerMethod>& upsamplerMethods() {
    static const std::vector<UpsamplerMethod> methods{
        {"nearest", "Nearest", "the feature of the nearest patch",
         interpolation<Interpolation::Nearest>},
        {"bilinear", "Bilinear", "bilinear interpolation", interpolation<Interpolation::Bilinear>},
        {"bicubic", "Bicubic", "bicubic interpolation", interpolation<Interpolation::Bicubic>},
        {"jbu", "JBU",
         "joint bilateral upsampling, guided by the picture's colours, without training",
         jointBilateral},
        {"loftup", "LoftUp", "LoftUp: cross-attention from pixels to patch tokens", nullptr,
         recogniseLoftUpModel, false},
        {"anyup", "AnyUp", "AnyUp: window attention from pixels to patch tokens, for any backbone",
         nullptr, recogniseAnyUp},
        {"jafar", "JAFAR",
         "JAFAR: attention from pixels to all patch tokens, weighing them as they are", nullptr,
         recogniseJafar},
        {"naf", "NAF",
         "NAF: attention from pixels to the 9 x 9 patch tokens around them, for any backbone",
         nullptr, recogniseNaf},
        {"uplift", "UPLiFT", "UPLiFT: doubles the grid four times by averages of 17 neighbours",
         nullptr, recogniseUplift},
        {"featup", "FeatUp JBU",
         "FeatUp's trained joint bilateral stack; the map is 16 times the grid", nullptr,
         recogniseFeatUp, false},
    };
    return methods;
}

} // namespace loftscope
