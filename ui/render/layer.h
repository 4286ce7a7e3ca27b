// SPDX-License-Identifier: Apache-2.0
// What one pane draws, as a value, and the renderer that draws it with OpenGL 3.3. Every display
// choice is a uniform: nothing is recomputed or uploaded when one changes.
#pragma once

#include "ui/render/display_style.h"
#include "ui/render/image_pyramid.h"
#include "ui/render/map_buffer.h"
#include "ui/render/texture.h"
#include "ui/render/view_transform.h"

#include <QString>

#include <array>
#include <memory>

namespace loftscope {

enum class LayerKind { Empty, Photo, Scores, Scalar, Difference };

struct Layer {
    LayerKind kind = LayerKind::Empty;
    /// Drawn for Photo, and beneath a map whose opacity is below 1.
    std::shared_ptr<const ImagePyramid> photo;
    std::shared_ptr<const MapBuffer> map;
    /// The same channels as `map`, complete: shown smoothly where `map` has not arrived.
    std::shared_ptr<const MapBuffer> fallback;
    /// Subtracted from `map` for Difference; complete.
    std::shared_ptr<const MapBuffer> other;
    Box region;      ///< part of the photo that `map` and `fallback` cover, in photo pixels
    Box otherRegion; ///< the same for `other`
    ScoreStyle scores;
    ScalarStyle scalar;   ///< also the colours of a difference
    int otherChannel = 0; ///< of `other`; that of `map` is the scalar's
    /// Scalar and Difference: -1 where the pane shows a component with its sign turned. The
    /// scalar's range is of the values as shown.
    float sign = 1;
    float otherSign = 1; ///< the same for `other`
    float opacity = 1;   ///< of the map over the photo
    Filter filter = Filter::Nearest;
};

/// Owns shaders and textures; textures are shared between layers that show the same data and kept
/// while the data lives. All calls need the same current context.
class LayerRenderer {
public:
    LayerRenderer();
    ~LayerRenderer();
    LayerRenderer(const LayerRenderer&) = delete;
    LayerRenderer& operator=(const LayerRenderer&) = delete;

    /// Empty, or why the driver refused the shaders.
    QString error() const;

    /// Once per frame, before the first draw: frees the textures of data that is gone.
    void beginFrame();
    /// Draws into the current framebuffer of `framebuffer` device pixels. Nothing outside `clip`
    /// (widget pixels) is touched.
    void draw(const Layer& layer, const ViewTransform& view, const Box& clip,
              const Extent& framebuffer);

private:
    struct Resources;
    std::unique_ptr<Resources> resources_;
};

} // namespace loftscope
