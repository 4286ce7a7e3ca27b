// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/scene.h"

#include "core/base/guard.h"
#include "core/image/normalise.h"
#include "core/weights/tensor_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::int64_t largestSide = 32768;

/// A picture or features as given: a decoded photo or a tensor that is taken as it is.
struct PictureSource {
    std::optional<Photo> photo;
    at::Tensor tensor; ///< 3 x H x W
    Extent extent() const {
        return photo ? photo->image.extent() : Extent{tensor.size(1), tensor.size(2)};
    }
};

std::string shapeOf(const at::Tensor& tensor) {
    std::string text;
    for (const std::int64_t size : tensor.sizes())
        text += (text.empty() ? "" : " x ") + std::to_string(size);
    return text.empty() ? "a single number" : text;
}

/// A C x h x w tensor from a reference such as FILE.safetensors:KEY, fp32 and finite.
Result<at::Tensor> readMap(const std::string& reference, std::string_view what) {
    LOFTSCOPE_TRY(const at::Tensor stored, readTensor(reference));
    at::Tensor map = stored.dim() == 4 && stored.size(0) == 1 ? stored[0] : stored;
    if (map.dim() != 3 || map.numel() == 0) {
        return fail(
            ErrorCode::Mismatch,
            fmt::format("'{}' is {}, but {} must be C x h x w or 1 x C x h x w, and not empty.",
                        reference, shapeOf(stored), what));
    }
    if (!at::isFloatingType(map.scalar_type())) {
        return fail(
            ErrorCode::Mismatch,
            fmt::format("'{}' holds integers, but {} must be floating point.", reference, what));
    }
    map = map.to(at::kFloat).contiguous();
    if (!at::isfinite(map).all().item<bool>()) {
        return fail(
            ErrorCode::Malformed,
            fmt::format(
                "'{}' contains NaN or infinite values: such a map has no meaningful features.",
                reference));
    }
    return map;
}

Result<PictureSource> readPicture(const std::string& reference, AlphaRule alpha) {
    PictureSource source;
    if (namesTensor(reference)) {
        LOFTSCOPE_TRY(source.tensor, readMap(reference, "a picture"));
        if (source.tensor.size(0) != 3) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("'{}' has {} channels, but a picture has 3.", reference,
                                    source.tensor.size(0)));
        }
    } else {
        LOFTSCOPE_TRY(source.photo, decodePhoto(std::filesystem::path(reference), alpha));
    }
    return source;
}

/// A tensor picture as it is shown: its own values from smallest to largest.
Image shownTensor(const at::Tensor& picture) {
    const at::Tensor low = picture.amin();
    const at::Tensor range = (picture.amax() - low).clamp_min(1e-12);
    return imageFromTensor((picture - low) / range);
}

Result<Extent> outputExtent(const OutputSize& wanted, const Extent& given) {
    Extent extent = wanted.exact;
    if (wanted.shortSide > 0) {
        const double scale = static_cast<double>(wanted.shortSide) /
                             static_cast<double>(std::min(given.height, given.width));
        const auto scaled = [&](std::int64_t side) {
            return std::max<std::int64_t>(1, std::llround(static_cast<double>(side) * scale));
        };
        extent = {scaled(given.height), scaled(given.width)};
    }
    if (extent.height < 1 || extent.width < 1 || extent.height > largestSide ||
        extent.width > largestSide) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The output size {} x {} is not usable: sides go from 1 to {} pixels.",
                        extent.width, extent.height, largestSide));
    }
    return extent;
}

/// Fills guidance, shown picture and mapping from `source`; `like` is the crop of the backbone's
/// input where that is the same photo.
Result<void> fillGuidance(Scene& scene, const PictureSource& source,
                          const std::optional<PhotoMapping>& like,
                          const std::optional<OutputSize>& output) {
    const PhotoMapping whole{source.extent(), source.extent(), wholeOf(source.extent())};
    const PhotoMapping base = like.value_or(whole);
    const Extent keptExtent{base.kept.height, base.kept.width};
    Extent extent = keptExtent;
    if (output) {
        LOFTSCOPE_TRY(extent, outputExtent(*output, keptExtent));
    }
    scene.guidance.extent = extent;
    if (source.photo) {
        if (extent == keptExtent && !like) {
            scene.picture = source.photo->image;
            scene.mapping = whole;
        } else {
            LOFTSCOPE_TRY(PreparedPicture prepared,
                          preparePictureLike(source.photo->image, base, extent));
            scene.picture = prepared.picture;
            scene.mapping = prepared.mapping;
        }
        // Any normalisation gives the same LoftUp output up to rounding; ImageNet's is what the
        // published example feeds.
        scene.guidance.picture = normalisedTensor(scene.picture, Normalisation{})[0];
        scene.notes.push_back("Guidance: " + scene.mapping.describe() + ".");
        return {};
    }
    scene.mapping = {source.extent(), extent, wholeOf(extent)};
    scene.guidance.picture = source.tensor;
    if (extent != source.extent()) {
        scene.guidance.picture =
            at::_upsample_bilinear2d_aa(source.tensor.unsqueeze(0), {extent.height, extent.width},
                                        false, std::nullopt, std::nullopt)[0];
        scene.notes.push_back(fmt::format(
            "Guidance: {} x {} tensor, resized to {} x {} (bilinear, antialiased).",
            source.extent().width, source.extent().height, extent.width, extent.height));
    }
    scene.picture = shownTensor(scene.guidance.picture);
    return {};
}

std::string describe(const Normalisation& normalisation) {
    const auto& [mean, std] = normalisation;
    return fmt::format("Normalised with mean {:.3g}, {:.3g}, {:.3g} and deviation {:.3g}, {:.3g}, "
                       "{:.3g}, not as the backbone's release does.",
                       mean[0], mean[1], mean[2], std[0], std[1], std[2]);
}

/// The file of features that lies beside a photo, as a reference to its tensor; empty if there is
/// none.
Result<std::string> featuresBeside(const std::string& photo) {
    const std::filesystem::path path = photo;
    for (const char* ending : {".npy", ".safetensors"}) {
        std::filesystem::path beside = path;
        beside.replace_extension(ending);
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(beside, ignored)) continue;
        LOFTSCOPE_TRY(const TensorFile file, readTensorFile(beside));
        const bool named = file.tensors.contains("features");
        return beside.string() + (named ? ":features" : "");
    }
    return std::string();
}

/// Runs the backbone on `source`; returns the crop and size it was given.
Result<std::optional<PhotoMapping>> fillFeatures(Scene& scene, const PictureSource& source,
                                                 const SceneRequest& request,
                                                 const RunContext& context) {
    LoadedBackbone loaded;
    if (request.loadedBackbone) {
        loaded = *request.loadedBackbone;
    } else {
        LOFTSCOPE_TRY(loaded,
                      loadBackbone(request.backbone, request.device, request.backboneChoices));
    }
    scene.backbone = loaded.model;
    scene.texts = request.texts && request.loadedBackbone
                      ? request.texts
                      : textQueriesOf(loaded, request.device, request.backboneChoices);
    scene.models.push_back(loaded.provenance);
    std::ranges::move(loaded.warnings, std::back_inserter(scene.warnings));
    std::optional<PhotoMapping> mapping;
    if (source.photo) {
        LOFTSCOPE_TRY(const PreparedPicture prepared,
                      preparePicture(source.photo->image,
                                     {request.inputSize, scene.backbone->patch(), request.fit}));
        mapping = prepared.mapping;
        scene.input = normalisedTensor(
            prepared.picture, request.normalisation.value_or(scene.backbone->normalisation()));
        if (request.normalisation) scene.notes.push_back(describe(*request.normalisation));
        scene.notes.push_back("Backbone input: " + prepared.mapping.describe() + ".");
    } else {
        scene.input = source.tensor.unsqueeze(0);
    }
    scene.inputExtent = {scene.input.size(2), scene.input.size(3)};
    LOFTSCOPE_TRY(const BackboneOutput output, scene.backbone->run(scene.input, {}, context));
    scene.low = output.tokens;
    return mapping;
}

} // namespace

Result<Scene> makeScene(const SceneRequest& given, const RunContext& context) {
    SceneRequest request = given;
    const bool neither = request.features.empty() && request.backbone.empty();
    if (neither && !request.image.empty() && !namesTensor(request.image)) {
        LOFTSCOPE_TRY(request.features, featuresBeside(request.image));
    }
    if (request.features.empty() == request.backbone.empty()) {
        return fail(ErrorCode::InvalidArgument,
                    "Give either --backbone with --image, or --features (or lay them beside the "
                    "photo as .npy or .safetensors): one of them says where the features come "
                    "from.");
    }
    if (!request.backbone.empty() && request.image.empty()) {
        return fail(ErrorCode::InvalidArgument, "A backbone needs a picture: give --image.");
    }
    return guarded("preparing the picture", [&]() -> Result<Scene> {
        Scene scene;
        PictureSource image;
        if (request.photo) {
            image.photo = request.photo;
        } else if (!request.image.empty()) {
            LOFTSCOPE_TRY(image, readPicture(request.image, request.alpha));
        }
        if (image.photo) scene.notes = image.photo->notes;
        std::optional<PhotoMapping> like;
        if (request.features.empty()) {
            LOFTSCOPE_TRY(like, fillFeatures(scene, image, request, context));
        } else {
            LOFTSCOPE_TRY(scene.low.values, readMap(request.features, "features"));
            if (neither)
                scene.notes.push_back(
                    fmt::format("Features: '{}', beside the photo.", request.features));
        }
        if (!request.guidance.empty()) {
            LOFTSCOPE_TRY(const PictureSource guidance,
                          readPicture(request.guidance, request.alpha));
            if (guidance.photo)
                std::ranges::copy(guidance.photo->notes, std::back_inserter(scene.notes));
            LOFTSCOPE_CHECK(fillGuidance(scene, guidance, std::nullopt, request.output));
        } else if (!request.image.empty()) {
            LOFTSCOPE_CHECK(fillGuidance(scene, image, like, request.output));
        } else {
            // Interpolations need no picture: the output's size is enough, the grid's own size if
            // even that is not given.
            Extent extent = scene.low.extent();
            if (request.output) {
                LOFTSCOPE_TRY(extent, outputExtent(*request.output, scene.low.extent()));
            }
            scene.guidance.extent = extent;
            scene.mapping = {extent, extent, wholeOf(extent)};
        }
        return scene;
    });
}

Result<Pixel> guidancePixel(const Scene& scene, const Pixel& given) {
    if (!contains(scene.mapping.photo, given)) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("Pixel ({}, {}) is outside the guidance picture of {} x {} pixels.",
                                given.x, given.y, scene.mapping.photo.width,
                                scene.mapping.photo.height));
    }
    const Pixel pixel = scene.mapping.preparedFromPhoto(given);
    if (!contains(scene.guidance.extent, pixel)) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format(
                "Pixel ({}, {}) was cropped away: the square that the backbone sees does not "
                "contain it; use --fit whole.",
                given.x, given.y));
    }
    return pixel;
}

Pixel fieldPixel(const Scene& scene, const FeatureField& field, const Pixel& pixel) {
    const Extent from = scene.guidance.extent;
    const Extent to = field.extent();
    // Centres of pixels, so that there and back is the same pixel where the map is larger.
    return {(2 * pixel.x + 1) * to.width / (2 * from.width),
            (2 * pixel.y + 1) * to.height / (2 * from.height)};
}

at::Tensor guidanceAt(const Scene& scene, const Extent& extent) {
    const at::Tensor& picture = scene.guidance.picture;
    if (!picture.defined() || scene.guidance.extent == extent) return picture;
    return at::_upsample_bilinear2d_aa(picture.unsqueeze(0), {extent.height, extent.width}, false,
                                       std::nullopt, std::nullopt)[0];
}

Pixel tokenOfPixel(const Scene& scene, const Pixel& pixel) {
    const Extent grid = scene.low.extent();
    return {pixel.x * grid.width / scene.guidance.extent.width,
            pixel.y * grid.height / scene.guidance.extent.height};
}

std::shared_ptr<const TextQueries> textQueriesOf(const LoadedBackbone& backbone, c10::Device device,
                                                 const BackboneChoices& choices) {
    return std::make_shared<const TextQueries>(backbone.provenance.path, backbone.provenance.name,
                                               backbone.model->channels(), choices.activation,
                                               device);
}

Result<at::Tensor> textMap(const Scene& scene, const FeatureField& field, const std::string& text,
                           const FieldWalk& walk, const RunContext& context) {
    if (!scene.texts)
        return fail(ErrorCode::InvalidArgument,
                    "Texts need a backbone with a text tower: give --backbone instead of "
                    "--features.");
    LOFTSCOPE_TRY(const TextQuery query, scene.texts->query(text, context));
    return directionMap(
        field, query.direction,
        [&](const at::Tensor& block) { return query.tower->inTextSpace(block); }, walk);
}

std::optional<std::string> textWarning(std::string_view method) {
    const auto& methods = upsamplerMethods();
    const auto known = std::ranges::find(methods, method, &UpsamplerMethod::name);
    if (known == methods.end() || known->averagesTokens) return std::nullopt;
    return fmt::format("{} does not average tokens: its features leave the space that the backbone "
                       "shares with texts, so that its map of a text may mean little.",
                       known->title);
}

void warnOfFit(Scene& scene, const LoadedUpsampler& upsampler) {
    const auto backbone = std::ranges::find(scene.models, "backbone", &ModelProvenance::role);
    if (backbone == scene.models.end() || !upsampler.provenance) return;
    if (const auto warning = fitWarning(*backbone, *upsampler.provenance))
        scene.warnings.push_back(*warning);
}

Result<std::unique_ptr<FeatureField>> bindField(const Scene& scene, const Upsampler& upsampler,
                                                const RunContext& context) {
    if (upsampler.needsGuidance() && !scene.guidance.picture.defined()) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("{} needs a picture to look at: give --guidance.", upsampler.name()));
    }
    return upsampler.bind(scene.low, scene.guidance, context);
}

} // namespace loftscope
