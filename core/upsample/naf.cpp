// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/naf.h"

#include "core/base/guard.h"
#include "core/upsample/adaptive_pool.h"
#include "core/upsample/group_norm_blocks.h"
#include "core/upsample/picture_rects.h"
#include "core/upsample/pixel_encoder.h"
#include "core/upsample/tiles.h"
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace loftscope {

namespace {

// What the checkpoints do not tell.
constexpr std::int64_t nafHeads = 4;
constexpr std::int64_t windowSide = 9; ///< in tokens
/// The picture is shrunk to this multiple of the output where it is larger.
constexpr std::int64_t largestPicture = 4;

// --- weights ------------------------------------------------------------------------------------

/// Convolutions that mirror the picture at its border, with a group norm and SiLU between them.
struct ConvolutionStack {
    struct Convolution {
        at::Tensor weight;
        at::Tensor bias;
    };
    std::array<Convolution, 5> convolutions;
    std::array<GroupNorm, 4> norms; ///< each in front of the convolution that follows
    std::int64_t reach = 0;         ///< of one convolution: 0 or 1 pixel to each side
};

struct NafWeights {
    std::int64_t width = 0; ///< of both stacks together
    ConvolutionStack encoder;
    ConvolutionStack sem_encoder;
    at::Tensor periods; ///< of the rotation by place: a quarter of a head's width
    c10::Device device = c10::kCPU;
};

ConvolutionStack readStack(const WeightScope& scope, std::int64_t width, std::int64_t reach,
                           c10::Device device) {
    const std::int64_t side = 2 * reach + 1;
    const auto convolution = [&](const WeightScope& of, std::int64_t in) {
        return ConvolutionStack::Convolution{of("weight", {width, in, side, side})
                                                 .to(device)
                                                 .contiguous(at::MemoryFormat::ChannelsLast),
                                             of("bias", {width}).to(device)};
    };
    const auto norm = [&](const WeightScope& of) {
        return GroupNorm{of("weight", {width}).to(device), of("bias", {width}).to(device)};
    };
    return {.convolutions = {convolution(scope[0], 3), convolution(scope[1]["conv1"], width),
                             convolution(scope[1]["conv2"], width),
                             convolution(scope[2]["conv1"], width),
                             convolution(scope[2]["conv2"], width)},
            .norms = {norm(scope[1]["norm1"]), norm(scope[1]["norm2"]), norm(scope[2]["norm1"]),
                      norm(scope[2]["norm2"])},
            .reach = reach};
}

NafWeights readNafWeights(const WeightScope& root, std::int64_t width, c10::Device device) {
    const WeightScope encoder = root["image_encoder"];
    return {.width = width,
            .encoder = readStack(encoder["encoder"], width / 2, 0, device),
            .sem_encoder = readStack(encoder["sem_encoder"], width / 2, 1, device),
            .periods = encoder["rope"]("periods", {width / nafHeads / 4}).to(device),
            .device = device};
}

// --- pixels -------------------------------------------------------------------------------------

/// A stack over one picture: a pixel's description needs of the rest its surroundings and the
/// norms' statistics, which are found once.
class DescribedPicture {
public:
    /// `picture`: 1 x 3 x H x W.
    DescribedPicture(const ConvolutionStack& stack, at::Tensor picture, std::int64_t keptBytes,
                     const RunContext& context)
        : stack_(stack)
        , picture_(std::move(picture))
        , extent_{picture_.size(2), picture_.size(3)} {
        const std::int64_t width = stack.convolutions[0].weight.size(0);
        if (extent_.area() * width * 4 <= keptBytes)
            describeAtOnce(context);
        else
            fitInStrips(context);
    }

    /// 1 x C x h x w, of `rect`.
    at::Tensor operator()(const Rect& rect) const {
        if (described_.defined()) return cropped(described_, wholeOf(extent_), rect);
        return through(stack_.norms.size(), rect);
    }

private:
    at::Tensor convolved(std::size_t i, const at::Tensor& map) const {
        const std::int64_t r = stack_.reach;
        const at::Tensor padded = r == 0 ? map : at::reflection_pad2d(map, {r, r, r, r});
        return at::conv2d(padded, stack_.convolutions[i].weight, stack_.convolutions[i].bias);
    }

    at::Tensor normed(std::size_t i, const at::Tensor& map) const {
        return at::silu(norms_[i](map.permute({0, 2, 3, 1}))).permute({0, 3, 1, 2});
    }

    void describeAtOnce(const RunContext& context) {
        at::Tensor map = convolved(0, picture_);
        for (std::size_t i = 0; i < stack_.norms.size(); ++i) {
            context.throwIfStopped();
            fit(i, [&](GroupMoments& moments) { moments.add(rowsFromPicture(map)); });
            map = convolved(i + 1, normed(i, map));
        }
        described_ = map;
    }

    void fitInStrips(const RunContext& context) {
        for (std::size_t i = 0; i < stack_.norms.size(); ++i) {
            fit(i, [&](GroupMoments& moments) {
                for (const Rect& strip : stripsOf(extent_)) {
                    context.throwIfStopped();
                    moments.add(rowsFromPicture(through(i, strip)));
                }
            });
        }
    }

    template <typename Collect>
    void fit(std::size_t i, const Collect& collect) {
        GroupMoments moments;
        collect(moments);
        norms_.push_back(moments.fitted(stack_.norms[i]));
    }

    /// After `count` norms and the convolution behind the last of them. Mirroring is right where
    /// the grown rectangle ends at the picture's border; what it spoils elsewhere is cut away.
    at::Tensor through(std::size_t count, const Rect& rect) const {
        const std::int64_t margin = stack_.reach * static_cast<std::int64_t>(count + 1);
        const Rect outer = grown(atLeast(rect, smallestConvolved, extent_), margin, extent_);
        at::Tensor map = convolved(0, cropped(picture_, wholeOf(extent_), outer));
        for (std::size_t i = 0; i < count; ++i)
            map = convolved(i + 1, normed(i, map));
        return cropped(map, outer, rect);
    }

    const ConvolutionStack& stack_;
    at::Tensor picture_;
    Extent extent_;
    FittedNorms norms_;
    at::Tensor described_; ///< of the whole picture, where that is small enough
};

// --- attention ----------------------------------------------------------------------------------

/// How often pixels `begin .. begin + count` along one side see each token: the map is `pixels`
/// long, its tokens repeat `pixels / tokens` times and a bit, and the window steps over the map in
/// whole repetitions, moved inwards at the border.
struct SeenTokens {
    std::int64_t first = 0;
    at::Tensor times; ///< count x tokens from `first` on
};

SeenTokens seenTokens(std::int64_t begin, std::int64_t count, std::int64_t pixels,
                      std::int64_t tokens) {
    const std::int64_t step = pixels / tokens;
    // In fp32 as the reference computes it, because a rounding can change the token.
    const float scale = static_cast<float>(tokens) / static_cast<float>(pixels);
    const auto tokenOf = [&](std::int64_t pixel) {
        const auto token =
            static_cast<std::int64_t>(std::floor((static_cast<float>(pixel) + 0.5F) * scale));
        return std::min(token, tokens - 1);
    };
    std::vector<std::array<std::int64_t, windowSide>> windows;
    SeenTokens seen;
    seen.first = tokens;
    std::int64_t last = 0;
    for (std::int64_t pixel = begin; pixel < begin + count; ++pixel) {
        // Pixels that are whole steps apart stand in one row of their own.
        const std::int64_t offset = pixel % step;
        const std::int64_t length = (pixels - offset + step - 1) / step;
        const std::int64_t start =
            std::clamp<std::int64_t>(pixel / step - windowSide / 2, 0, length - windowSide);
        auto& window = windows.emplace_back();
        for (std::int64_t k = 0; k < windowSide; ++k)
            window[static_cast<std::size_t>(k)] = tokenOf(offset + (start + k) * step);
        seen.first = std::min(seen.first, window.front());
        last = std::max(last, window.back());
    }
    seen.times = at::zeros({count, last + 1 - seen.first}, at::kFloat);
    auto* data = seen.times.mutable_data_ptr<float>();
    for (const auto& window : windows) {
        for (const std::int64_t token : window)
            data[token - seen.first] += 1;
        data += last + 1 - seen.first;
    }
    return seen;
}

class NafField final : public FeatureField {
public:
    NafField(std::shared_ptr<const NafWeights> weights, const FeatureGrid& low,
             const Guidance& guidance, std::int64_t keptBytes, const RunContext& context)
        : weights_(std::move(weights))
        , extent_(guidance.extent)
        , grid_(low.extent())
        , pictureExtent_{guidance.picture.size(1), guidance.picture.size(2)}
        , picture_(shrunk(guidance.picture.to(weights_->device).unsqueeze(0)))
        , colors_(weights_->encoder, picture_, keptBytes, context)
        , surroundings_(weights_->sem_encoder, picture_, keptBytes, context) {
        const std::int64_t width = weights_->width;
        at::Tensor keys = at::zeros({grid_.height, grid_.width, width}, picture_.options());
        for (const Rect& strip : stripsOf(extent_)) {
            context.throwIfStopped();
            keys += pooledRows(queries(strip), strip, extent_, grid_);
        }
        const auto byHead = [&](const at::Tensor& map) {
            return map.view({grid_.height, grid_.width, nafHeads, -1})
                .permute({2, 0, 1, 3})
                .contiguous();
        };
        keys_ = byHead(keys);
        values_ = byHead(low.values.to(weights_->device).permute({1, 2, 0}).contiguous());
    }

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return nafHeads * values_.size(3); }
    Extent gridExtent() const override { return grid_; }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        const at::Tensor described = perHead(queries(rect), rect); // heads x h x w x d
        at::Tensor result =
            at::empty({nafHeads, values_.size(3), rect.height, rect.width}, values_.options());
        // Pixels of one token's cell see about the same tokens.
        const std::int64_t rows = blockSide(extent_.height, grid_.height);
        const std::int64_t columns = blockSide(extent_.width, grid_.width);
        for (std::int64_t y = rect.y; y < rect.bottom(); y = nextBlock(y, rows)) {
            for (std::int64_t x = rect.x; x < rect.right(); x = nextBlock(x, columns)) {
                const Rect block{x, y, std::min(nextBlock(x, columns), rect.right()) - x,
                                 std::min(nextBlock(y, rows), rect.bottom()) - y};
                const auto part = [&](const at::Tensor& map, std::int64_t side) {
                    return map.slice(side, block.y - rect.y, block.bottom() - rect.y)
                        .slice(side + 1, block.x - rect.x, block.right() - rect.x);
                };
                const Attention attention =
                    attentionOf(block, part(described, 1).reshape({nafHeads, block.area(), -1}));
                const at::Tensor values =
                    attention.tokensOf(values_).flatten(1, 2).transpose(1, 2); // heads x C / 4 x n
                part(result, 2).copy_(
                    at::matmul(values, attention.weights.transpose(1, 2))
                        .view({nafHeads, values_.size(3), block.height, block.width}));
            }
        }
        return result.view({channels(), rect.height, rect.width});
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        const Rect rect{pixel.x, pixel.y, 1, 1};
        const Attention attention =
            attentionOf(rect, perHead(queries(rect), rect).reshape({nafHeads, 1, -1}));
        at::Tensor map = at::zeros({1, nafHeads, grid_.height, grid_.width}, values_.options());
        attention.tokensOf(map[0].unsqueeze(3))
            .copy_(attention.weights.view({nafHeads, attention.rows, attention.columns, 1}));
        return map;
    }

private:
    /// Attention of a block's pixels over the tokens that they see together.
    struct Attention {
        std::int64_t row = 0; ///< the first one, and how many
        std::int64_t rows = 0;
        std::int64_t column = 0;
        std::int64_t columns = 0;
        at::Tensor weights; ///< heads x P x tokens

        /// Of a map heads x h x w x d.
        at::Tensor tokensOf(const at::Tensor& map) const {
            return map.slice(1, row, row + rows).slice(2, column, column + columns);
        }
    };

    static std::int64_t blockSide(std::int64_t pixels, std::int64_t tokens) {
        constexpr std::int64_t smallest = 8; // fewer pixels at once are slow
        const std::int64_t step = pixels / tokens;
        return step * ((smallest + step - 1) / step);
    }

    static std::int64_t nextBlock(std::int64_t place, std::int64_t side) {
        return (place / side + 1) * side;
    }

    at::Tensor shrunk(const at::Tensor& picture) const {
        const std::int64_t rows = largestPicture * extent_.height;
        const std::int64_t columns = largestPicture * extent_.width;
        if (pictureExtent_.height <= rows && pictureExtent_.width <= columns)
            return picture.contiguous(at::MemoryFormat::ChannelsLast);
        return at::upsample_bilinear2d(picture,
                                       {std::min({pictureExtent_.height, rows, columns}),
                                        std::min({pictureExtent_.width, rows, columns})},
                                       false)
            .contiguous(at::MemoryFormat::ChannelsLast);
    }

    /// Descriptions of the output's pixels, turned by their place: P x width.
    at::Tensor queries(const Rect& rect) const {
        const Extent from{picture_.size(2), picture_.size(3)};
        const Rect source = pooledFrom(rect, from, extent_);
        const at::Tensor map = at::cat({colors_(source), surroundings_(source)}, 1);
        const at::Tensor rows = pooledInto(rowsFromPicture(map), source, rect, from, extent_);
        // Angles: places in -1..1 by the periods, rows and columns side by side, and once more for
        // the other half of a head.
        const auto angles = [&](std::int64_t begin, std::int64_t count, std::int64_t size) {
            const at::Tensor place = (at::arange(begin, begin + count, rows.options()) + 0.5) /
                                         static_cast<double>(size) * 2 -
                                     1;
            return place.unsqueeze(1) * (2 * std::numbers::pi) / weights_->periods;
        };
        const std::int64_t quarter = weights_->periods.size(0);
        const at::Tensor down = angles(rect.y, rect.height, extent_.height)
                                    .unsqueeze(1)
                                    .expand({rect.height, rect.width, quarter});
        const at::Tensor across = angles(rect.x, rect.width, extent_.width)
                                      .unsqueeze(0)
                                      .expand({rect.height, rect.width, quarter});
        const at::Tensor angle =
            at::cat({down, across}, 2).view({rect.area(), 1, 2 * quarter}); // P x 1 x d / 2
        const at::Tensor cosine = angle.cos();
        const at::Tensor sine = angle.sin();
        const at::Tensor halves = rows.view({rect.area(), nafHeads, 4 * quarter});
        const at::Tensor first = halves.slice(2, 0, 2 * quarter);
        const at::Tensor second = halves.slice(2, 2 * quarter);
        return at::cat({first * cosine - second * sine, second * cosine + first * sine}, 2)
            .view({rect.area(), weights_->width});
    }

    /// P x width as heads x h x w x d, scaled for the logits.
    at::Tensor perHead(const at::Tensor& rows, const Rect& rect) const {
        const double scale = 1.0 / std::sqrt(static_cast<double>(weights_->width / nafHeads));
        return (rows * scale).view({rect.height, rect.width, nafHeads, -1}).permute({2, 0, 1, 3});
    }

    Attention attentionOf(const Rect& block, const at::Tensor& described) const {
        const SeenTokens down = seenTokens(block.y, block.height, extent_.height, grid_.height);
        const SeenTokens across = seenTokens(block.x, block.width, extent_.width, grid_.width);
        Attention attention{down.first, down.times.size(1), across.first, across.times.size(1), {}};
        const at::Tensor keys = attention.tokensOf(keys_).flatten(1, 2); // heads x n x d
        // A token that is seen twice counts twice; one that is not seen gets log 0 = -infinity.
        const at::Tensor times = (down.times.view({block.height, 1, -1, 1}) *
                                  across.times.view({1, block.width, 1, attention.columns}))
                                     .view({1, block.area(), attention.rows * attention.columns})
                                     .to(described.device());
        attention.weights =
            at::softmax(at::matmul(described, keys.transpose(1, 2)) + times.log(), -1);
        return attention;
    }

    std::shared_ptr<const NafWeights> weights_;
    Extent extent_;
    Extent grid_;
    Extent pictureExtent_;
    at::Tensor picture_;
    DescribedPicture colors_;
    DescribedPicture surroundings_;
    at::Tensor keys_;   ///< heads x h x w x d
    at::Tensor values_; ///< heads x h x w x C / heads
};

class NafUpsampler final : public Upsampler {
public:
    NafUpsampler(std::shared_ptr<const NafWeights> weights, std::int64_t keptBytes)
        : weights_(std::move(weights))
        , keptBytes_(keptBytes) {}

    std::string name() const override { return "NAF"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        const Extent grid = low.extent();
        if (!guidance.picture.defined() || guidance.picture.size(1) < 2 ||
            guidance.picture.size(2) < 2) {
            return fail(ErrorCode::InvalidArgument,
                        "NAF needs a guidance picture of at least 2 x 2 pixels: give the photo.");
        }
        if (grid.height < windowSide || grid.width < windowSide) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("NAF needs at least {0} x {0} low-resolution tokens, not {1} x "
                                    "{2}: use a larger input size.",
                                    windowSide, grid.width, grid.height));
        }
        if (guidance.extent.height < grid.height || guidance.extent.width < grid.width) {
            return fail(ErrorCode::InvalidArgument,
                        "NAF's output cannot be smaller than the low-resolution grid: use a larger "
                        "output size.");
        }
        if (low.channels() % nafHeads != 0) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("NAF shares the channels out among {} heads, but the features "
                                    "have {}: choose another upsampler.",
                                    nafHeads, low.channels()));
        }
        return guarded("binding NAF to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<NafField>(weights_, low, guidance, keptBytes_, context);
        });
    }

private:
    std::shared_ptr<const NafWeights> weights_;
    std::int64_t keptBytes_ = 0;
};

/// Where the model stands in a file, and how wide it is.
struct NafPlace {
    std::string prefix;
    std::int64_t width = 0;

    WeightScope in(const StateDict& state) const {
        const WeightScope root(state);
        return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
    }
};

Recognition<NafPlace> findNaf(const StateDict& state) {
    constexpr std::string_view anchor = "image_encoder.sem_encoder.0.weight";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    const NafPlace place{found->first.substr(0, found->first.size() - anchor.size()),
                         found->second.dim() == 4 ? 2 * found->second.size(0) : 0};
    if (place.width < 1 || place.width % (2 * normGroups) != 0 ||
        place.width % (4 * nafHeads) != 0) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like a NAF upsampler, but its width {} does not divide "
                                "into {} heads and {} groups.",
                                place.width, nafHeads, normGroups));
    }
    if (state.contains(place.prefix + "image_encoder.encoder.3.conv1.weight")) {
        return fail(ErrorCode::Unsupported,
                    "This looks like a NAF upsampler, but its encoders have more than two blocks, "
                    "unlike the published one's.");
    }
    return place;
}

} // namespace

Recognition<UpsamplerCandidate> recogniseNaf(const StateDict& state) {
    LOFTSCOPE_TRY(const std::optional<NafPlace> place, findNaf(state));
    if (!place) return std::nullopt;
    UpsamplerCandidate candidate;
    candidate.identity.family = "naf";
    candidate.identity.name = "NAF (any backbone)";
    candidate.identity.facts = {{"channels", "any multiple of 4"},
                                {"query_width", place->width},
                                {"heads", nafHeads},
                                {"window", windowSide}};
    const WeightScope weights = place->in(state);
    readNafWeights(weights, place->width, c10::kCPU);
    candidate.identity.account = weights.account();
    candidate.build = [state](c10::Device device, c10::ScalarType /*arithmetic*/) {
        return buildNaf(state, device);
    };
    return candidate;
}

Result<std::unique_ptr<Upsampler>> buildNaf(const StateDict& state, c10::Device device,
                                            std::int64_t keptBytes) {
    return guarded("reading NAF's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
        LOFTSCOPE_TRY(const std::optional<NafPlace> place, findNaf(state));
        if (!place) return fail(ErrorCode::Unsupported, "These are not the weights of a NAF.");
        const WeightScope root = place->in(state);
        auto read = std::make_shared<const NafWeights>(readNafWeights(root, place->width, device));
        LOFTSCOPE_CHECK(requireComplete(root.account(), "NAF"));
        return std::make_unique<NafUpsampler>(std::move(read), keptBytes);
    });
}

} // namespace loftscope
