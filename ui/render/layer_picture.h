// SPDX-License-Identifier: Apache-2.0
// A layer as a picture, on the CPU: the colours that the shaders give, for figures and the
// clipboard.
#pragma once

#include "core/image/image.h"
#include "ui/render/layer.h"

#include <optional>

namespace loftscope {

/// Where a point of the photo lies in a map that covers `region` of it, in pixels of the map.
glm::dvec2 mapPoint(const MapBuffer& map, const Box& region, glm::dvec2 photoPoint);

/// The part of the photo that a layer covers.
Box coveredPart(const Layer& layer);

struct LayerPicture {
    Image image;
    /// Its pixels are values of their own: to be magnified with sharp edges, not smoothly.
    bool crisp = false;
    double missing = 0; ///< share of it, 0..1, for which there is no value yet
};

/// `part` of the photo (in photo pixels; cut to what the layer covers) as the layer shows it. A map
/// that is drawn opaque and with sharp pixels keeps exactly these where `part` is all that it
/// covers; everything else gets a pixel per photo pixel or per map pixel, whichever are finer.
/// Never more than `longest` pixels on a side. Where there is no value the photo shows through, or
/// grey where the layer has none. Empty if the part is.
LayerPicture pictureOf(const Layer& layer, const Box& part, std::int64_t longest = 4096);

} // namespace loftscope
