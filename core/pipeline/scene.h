// SPDX-License-Identifier: Apache-2.0
// What every view of one picture shares: its low-resolution features and its guidance, and how
// their pixels relate.
#pragma once

#include "core/analysis/feature_maps.h"
#include "core/backbone/backbone.h"
#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/image/decode.h"
#include "core/image/image.h"
#include "core/image/prepare.h"
#include "core/pipeline/models.h"
#include "core/text/text_queries.h"
#include "core/upsample/feature_field.h"

#include <c10/core/Device.h>

#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// The output's size: exact, or by its short side with the guidance's aspect.
struct OutputSize {
    std::int64_t shortSide = 0; ///< 0: `exact` counts
    Extent exact;
};

struct SceneRequest {
    /// A picture, or a tensor of 1 x 3 x H x W that is fed to the backbone as it is.
    std::string image;
    std::filesystem::path backbone;
    BackboneChoices backboneChoices;
    std::optional<Normalisation> normalisation;   ///< of the backbone's input, instead of its own
    std::optional<LoadedBackbone> loadedBackbone; ///< `backbone`, where it is in memory already
    /// Of `loadedBackbone`, where texts are asked about several photos.
    std::shared_ptr<const TextQueries> texts;
    std::optional<Photo> photo; ///< `image`, where it is decoded already
    /// Instead of a backbone: a tensor of C x h x w or 1 x C x h x w. Where neither is given, the
    /// file beside the photo: `photo.npy` or `photo.safetensors` for `photo.jpg`.
    std::string features;
    /// A picture or a tensor of 3 x H x W, as the upsampler is fed; `image` where it is left out.
    std::string guidance;

    std::int64_t inputSize = 224; ///< short side of the backbone's input, rounded to its patch
    FitRule fit = FitRule::Whole;
    AlphaRule alpha = AlphaRule::OverWhite;
    std::optional<OutputSize>
        output; ///< default: the guidance's own size; the backbone's input size for `image`
    c10::Device device = c10::kCPU;
};

struct Scene {
    FeatureGrid low;
    Guidance guidance;
    Image
        picture; ///< the guidance as it is shown, of the guidance's extent; empty if there is none
    PhotoMapping mapping; ///< from the guidance picture as given to the guidance
    Extent inputExtent;   ///< of the backbone's input; empty if features were given
    std::shared_ptr<const Backbone> backbone; ///< nothing if features were given
    std::shared_ptr<const TextQueries> texts; ///< about its features; nothing without a backbone
    at::Tensor input;                         ///< what the backbone was fed, 1 x 3 x H x W
    std::vector<ModelProvenance> models;
    std::vector<std::string> notes;    ///< what was done to the picture, one sentence each
    std::vector<std::string> warnings; ///< what the user should know about the files
};

/// Reads, prepares, runs the backbone. Errors: those of the files; Mismatch (shapes);
/// InvalidArgument (NaN, sizes).
Result<Scene> makeScene(const SceneRequest& request, const RunContext& context);

/// The guidance's pixel that shows pixel `given` of the guidance picture as given.
/// Errors: InvalidArgument (outside the picture, or cropped away).
Result<Pixel> guidancePixel(const Scene& scene, const Pixel& given);

/// The pixel of a field that shows a pixel of the guidance (from guidancePixel): the same, except
/// under methods whose map has a size of its own.
Pixel fieldPixel(const Scene& scene, const FeatureField& field, const Pixel& pixel);

/// The guidance picture at the size of a map, 3 x H x W; undefined where the scene has none.
at::Tensor guidanceAt(const Scene& scene, const Extent& extent);

/// The low-resolution token that covers the guidance's pixel.
Pixel tokenOfPixel(const Scene& scene, const Pixel& pixel);

/// What texts can be asked of a backbone; reads nothing yet.
std::shared_ptr<const TextQueries> textQueriesOf(const LoadedBackbone& backbone, c10::Device device,
                                                 const BackboneChoices& choices = {});

/// Cosine similarity of a field's features to a text: H x W. Errors: InvalidArgument (no backbone),
/// those of TextQueries. Throws what the walk throws.
Result<at::Tensor> textMap(const Scene& scene, const FeatureField& field, const std::string& text,
                           const FieldWalk& walk, const RunContext& context);

/// A sentence where a method's maps of a text may mean little, because its features leave the space
/// that the backbone shares with texts.
std::optional<std::string> textWarning(std::string_view method);

/// Adds a warning where the upsampler was trained for other features than the scene's.
void warnOfFit(Scene& scene, const LoadedUpsampler& upsampler);

/// The field of a method over the scene.
Result<std::unique_ptr<FeatureField>> bindField(const Scene& scene, const Upsampler& upsampler,
                                                const RunContext& context);

} // namespace loftscope
