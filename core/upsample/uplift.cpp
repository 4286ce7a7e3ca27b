// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/uplift.h"

#include "core/base/guard.h"
#include "core/upsample/picture_rects.h"
#include "core/upsample/pixel_encoder.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

namespace loftscope {

namespace {

constexpr int steps = 4;                  ///< as the publishers run it
constexpr std::int64_t upliftFactor = 16; ///< of all steps together
constexpr std::int64_t reach = 2;         ///< of the averages, in pixels of the map before
constexpr double upliftBatchNormEps = 1e-5;

struct Offset {
    std::int64_t down = 0;
    std::int64_t right = 0;
};

/// What is averaged around a pixel, in the order of the weights.
constexpr std::array<Offset, 17> neighbours{{{-2, -2},
                                             {-2, 0},
                                             {-2, 2},
                                             {-1, -1},
                                             {-1, 0},
                                             {-1, 1},
                                             {0, -2},
                                             {0, -1},
                                             {0, 0},
                                             {0, 1},
                                             {0, 2},
                                             {1, -1},
                                             {1, 0},
                                             {1, 1},
                                             {2, -2},
                                             {2, 0},
                                             {2, 2}}};
constexpr auto neighbourCount = static_cast<std::int64_t>(neighbours.size());

// --- weights ------------------------------------------------------------------------------------

struct Convolution {
    at::Tensor weight;
    at::Tensor bias;
};

/// 3 x 3 convolutions with ReLU, then a 1 x 1 one, added to what came in (cut or filled up to the
/// number of channels).
struct ConvolutionBlock {
    std::vector<Convolution> wide; ///< with the batch norms folded in
    Convolution pointwise;

    std::int64_t margin() const { return static_cast<std::int64_t>(wide.size()); }

    at::Tensor operator()(const at::Tensor& map) const {
        at::Tensor hidden = map;
        for (const Convolution& convolution : wide)
            hidden = at::relu(at::conv2d(hidden, convolution.weight, convolution.bias, 1, 1));
        hidden = at::conv2d(hidden, pointwise.weight, pointwise.bias);
        const std::int64_t shared = std::min(map.size(1), hidden.size(1));
        hidden.slice(1, 0, shared) += map.slice(1, 0, shared);
        return hidden;
    }
};

/// Channels in and out of the parts, as the shapes in a checkpoint tell them.
struct UpliftShape {
    std::int64_t channels = 0;         ///< of the features
    std::vector<std::int64_t> encoder; ///< of its blocks
    std::int64_t before = 0;           ///< of the decoder, at the size that it starts from
    std::int64_t after = 0;            ///< of the decoder, at twice the size
};

struct UpliftWeights {
    std::int64_t channels = 0;
    std::vector<ConvolutionBlock> encoder;
    ConvolutionBlock before;
    Convolution up; ///< transposed, 2 x 2
    ConvolutionBlock after;
    Convolution attender;
    c10::Device device = c10::kCPU;
};

at::Tensor laidOut(const at::Tensor& weight, c10::Device device) {
    return weight.to(device).contiguous(at::MemoryFormat::ChannelsLast);
}

Convolution readFolded(const WeightScope& convolution, const WeightScope& norm, std::int64_t out,
                       std::int64_t in, c10::Device device) {
    const auto statistic = [&](std::string_view name) { return norm(name, {out}).to(at::kDouble); };
    norm.ignore("num_batches_tracked");
    const at::Tensor scale =
        statistic("weight") * at::rsqrt(statistic("running_var") + upliftBatchNormEps);
    const at::Tensor weight =
        convolution("weight", {out, in, 3, 3}).to(at::kDouble) * scale.view({out, 1, 1, 1});
    const at::Tensor bias = statistic("bias") - statistic("running_mean") * scale;
    return {laidOut(weight.to(at::kFloat), device), bias.to(at::kFloat).to(device)};
}

ConvolutionBlock readBlock(const WeightScope& scope, std::int64_t in, std::int64_t out,
                           std::int64_t count, c10::Device device) {
    const WeightScope layers = scope["blocks"][0]["conv"];
    ConvolutionBlock block;
    for (std::int64_t i = 0; i < count; ++i) {
        block.wide.push_back(
            readFolded(layers[3 * i], layers[3 * i + 1], out, i == 0 ? in : out, device));
    }
    const WeightScope pointwise = layers[3 * count];
    block.pointwise = {laidOut(pointwise("weight", {out, out, 1, 1}), device),
                       pointwise("bias", {out}).to(device)};
    return block;
}

UpliftWeights readUpliftWeights(const WeightScope& root, const UpliftShape& shape,
                                c10::Device device) {
    UpliftWeights weights;
    weights.channels = shape.channels;
    weights.device = device;
    std::int64_t in = 3;
    for (std::size_t i = 0; i < shape.encoder.size(); ++i) {
        weights.encoder.push_back(readBlock(root["encoder"][fmt::format("block_{}", i)], in,
                                            shape.encoder[i], 1, device));
        in = shape.encoder[i];
    }
    const WeightScope decoder = root["decoder"];
    weights.before = readBlock(decoder["block_0"], shape.channels + shape.encoder.back(),
                               shape.before, 2, device);
    const WeightScope up = decoder["up_1"]["up"];
    weights.up = {up("weight", {shape.before, shape.before, 2, 2}).to(device),
                  up("bias", {shape.before}).to(device)};
    weights.after =
        readBlock(decoder["block_1"], shape.before + shape.encoder[shape.encoder.size() - 2],
                  shape.after, 2, device);
    const WeightScope attender = root["attender"]["conv1"];
    weights.attender = {laidOut(attender("weight", {neighbourCount, shape.after, 1, 1}), device),
                        attender("bias", {neighbourCount}).to(device)};
    return weights;
}

// --- the field ----------------------------------------------------------------------------------

/// Every `stride`-th pixel of a map, both ways: 1 x C x h x w; undefined if it is not kept.
struct SampledMap {
    at::Tensor map;
    std::int64_t stride = 1;

    bool has(std::int64_t wanted) const { return map.defined() && wanted % stride == 0; }

    /// `rect` of the map sampled at `wanted`, a multiple of the stride.
    at::Tensor part(const Rect& rect, std::int64_t wanted) const {
        const std::int64_t skip = wanted / stride;
        return map.slice(2, rect.y * skip, (rect.bottom() - 1) * skip + 1, skip)
            .slice(3, rect.x * skip, (rect.right() - 1) * skip + 1, skip);
    }
};

/// Weights of `from` samples for places `begin .. begin + count` of twice as many, whose ends lie
/// on the ends: PyTorch's bilinear interpolation with align_corners=True. `first`: of the samples
/// that take part.
struct DoubledAxis {
    std::int64_t first = 0;
    std::int64_t last = 0; ///< one past
    at::Tensor weights;    ///< count x (last - first)
};

DoubledAxis doubledAxis(std::int64_t begin, std::int64_t count, std::int64_t from) {
    DoubledAxis axis;
    // The transposed convolution needs begin / 2, which may lie before or behind.
    axis.first = std::max<std::int64_t>(begin / 2 - 1, 0);
    axis.last = std::min((begin + count - 1) / 2 + 2, from);
    axis.weights = at::zeros({count, axis.last - axis.first}, at::kFloat);
    auto* data = axis.weights.mutable_data_ptr<float>();
    const float scale = static_cast<float>(from - 1) / static_cast<float>(2 * from - 1);
    for (std::int64_t i = begin; i < begin + count; ++i) {
        const float place = scale * static_cast<float>(i);
        const auto sample = std::min(static_cast<std::int64_t>(place), from - 1);
        const float share = place - static_cast<float>(sample);
        data[sample - axis.first] += 1 - share;
        data[std::min(sample + 1, from - 1) - axis.first] += share;
        data += axis.last - axis.first;
    }
    return axis;
}

class UpliftField final : public FeatureField {
public:
    UpliftField(std::shared_ptr<const UpliftWeights> weights, const FeatureGrid& low,
                const at::Tensor& picture, std::int64_t keptBytes, const RunContext& context)
        : weights_(std::move(weights)) {
        extents_[0] = low.extent();
        for (std::size_t i = 1; i <= steps; ++i)
            extents_[i] = {2 * extents_[i - 1].height, 2 * extents_[i - 1].width};
        kept_[0] = low.values.to(weights_->device).permute({1, 2, 0}).contiguous();
        const Extent full = extents_[steps];
        picture_ = picture.to(weights_->device).unsqueeze(0);
        if (Extent{picture.size(1), picture.size(2)} != full) {
            picture_ = at::_upsample_bilinear2d_aa(picture_, {full.height, full.width}, false,
                                                   std::nullopt, std::nullopt);
        }
        picture_ = picture_.contiguous(at::MemoryFormat::ChannelsLast);
        keepMaps(keptBytes, context);
    }

    Extent extent() const override { return extents_[steps]; }
    std::int64_t channels() const override { return weights_->channels; }
    Extent gridExtent() const override { return extents_[0]; }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        return features(steps, rect).permute({2, 0, 1}).contiguous();
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        const Extent grid = gridExtent();
        return shares(steps, {pixel.x, pixel.y, 1, 1}).view({1, 1, grid.height, grid.width});
    }

private:
    static std::int64_t strideOf(std::size_t level) { return upliftFactor >> level; }

    /// Computes the first maps as a whole, as many as there is room for, and with them what the
    /// encoder says of the picture at their sizes.
    void keepMaps(std::int64_t keptBytes, const RunContext& context) {
        const std::int64_t coarse = weights_->encoder.back().pointwise.bias.size(0);
        const std::int64_t fine =
            weights_->encoder[weights_->encoder.size() - 2].pointwise.bias.size(0);
        std::size_t last = 0;
        while (last + 1 < steps &&
               extents_[last + 1].area() * (channels() + coarse + fine) * 4 <= keptBytes)
            ++last;
        const bool everything = extents_[steps].area() * (fine + coarse / 4) * 4 <= keptBytes;
        if (last == 0) return;
        fine_.stride = everything ? 1 : strideOf(last);
        coarse_.stride = everything ? 2 : strideOf(last - 1);
        std::vector<at::Tensor> fineStrips;
        std::vector<at::Tensor> coarseStrips;
        const Extent full = extents_[steps];
        const std::int64_t rows =
            std::max<std::int64_t>(stripsOf(full).front().height / upliftFactor, 1) * upliftFactor;
        for (std::int64_t y = 0; y < full.height; y += rows) {
            context.throwIfStopped();
            const Encoded encoded = encode({0, y, full.width, std::min(rows, full.height - y)});
            const auto sampled = [](const at::Tensor& map, std::int64_t stride) {
                return map.slice(2, 0, map.size(2), stride)
                    .slice(3, 0, map.size(3), stride)
                    .contiguous(at::MemoryFormat::ChannelsLast);
            };
            fineStrips.push_back(sampled(encoded.fine, fine_.stride));
            coarseStrips.push_back(sampled(encoded.coarse, coarse_.stride));
        }
        fine_.map = at::cat(fineStrips, 2);
        coarse_.map = at::cat(coarseStrips, 2);
        for (std::size_t level = 1; level <= last; ++level) {
            context.throwIfStopped();
            kept_[level] = features(level, wholeOf(extents_[level]));
        }
    }

    /// What the encoder says of `rect` of the picture: its last block, and the one before.
    struct Encoded {
        at::Tensor fine;   ///< of the last but one: 1 x C x h x w
        at::Tensor coarse; ///< of the last
    };

    Encoded encode(const Rect& rect) const {
        const auto& blocks = weights_->encoder;
        // Padding with zeros is right where `outer` ends at the picture's border; what it spoils
        // elsewhere is cut away.
        const Rect outer = grown(atLeast(rect, smallestConvolved, extents_[steps]),
                                 static_cast<std::int64_t>(blocks.size()), extents_[steps]);
        Encoded encoded;
        encoded.coarse = cropped(picture_, wholeOf(extents_[steps]), outer);
        for (const ConvolutionBlock& block : blocks) {
            encoded.fine = encoded.coarse;
            encoded.coarse = block(encoded.coarse);
        }
        return {cropped(encoded.fine, outer, rect), cropped(encoded.coarse, outer, rect)};
    }

    /// What the encoder says of `rect` of a map of that level: of the nearest pixels of the
    /// picture.
    at::Tensor encodedAt(std::size_t level, const Rect& rect, const SampledMap& kept,
                         at::Tensor Encoded::*which) const {
        const std::int64_t stride = strideOf(level);
        if (kept.has(stride)) return kept.part(rect, stride);
        const Rect source{rect.x * stride, rect.y * stride, (rect.width - 1) * stride + 1,
                          (rect.height - 1) * stride + 1};
        return SampledMap{encode(source).*which, 1}.part(wholeOf({rect.height, rect.width}),
                                                         stride);
    }

    /// Features of `rect` of the map after `level` steps: h x w x C.
    at::Tensor features(std::size_t level, const Rect& rect) const {
        if (kept_[level].defined()) {
            return kept_[level]
                .slice(0, rect.y, rect.bottom())
                .slice(1, rect.x, rect.right())
                .contiguous();
        }
        return averaged(level, rect, [&](const Rect& below) { return features(level - 1, below); });
    }

    /// Shares of the tokens in the pixels of `rect` after `level` steps: h x w x tokens.
    at::Tensor shares(std::size_t level, const Rect& rect) const {
        if (level > 0) {
            return averaged(level, rect,
                            [&](const Rect& below) { return shares(level - 1, below); });
        }
        const Extent grid = gridExtent();
        at::Tensor units =
            at::zeros({rect.height, rect.width, grid.height, grid.width}, kept_[0].options());
        for (std::int64_t y = 0; y < rect.height; ++y) {
            for (std::int64_t x = 0; x < rect.width; ++x)
                units[y][x][rect.y + y][rect.x + x] = 1.0F;
        }
        return units.view({rect.height, rect.width, grid.area()});
    }

    /// One step of averaging; `source` gives rectangles of the map before.
    at::Tensor averaged(std::size_t level, const Rect& rect,
                        const std::function<at::Tensor(const Rect&)>& source) const {
        // Whole squares of four pixels share their neighbours.
        const Rect cells{rect.x / 2, rect.y / 2, (rect.right() + 1) / 2 - rect.x / 2,
                         (rect.bottom() + 1) / 2 - rect.y / 2};
        const Rect outer{2 * cells.x, 2 * cells.y, 2 * cells.width, 2 * cells.height};
        const Extent& from = extents_[level - 1];
        const Rect below = grown(cells, reach, from);
        // The map's border is repeated outwards.
        const auto repeated = [&](std::int64_t begin, std::int64_t count, std::int64_t first,
                                  std::int64_t size) {
            std::vector<std::int64_t> places;
            for (std::int64_t i = begin - reach; i < begin + count + reach; ++i)
                places.push_back(std::clamp<std::int64_t>(i, 0, size - 1) - first);
            return at::tensor(places, at::kLong).to(weights_->device);
        };
        const at::Tensor values =
            source(below)
                .index_select(0, repeated(cells.y, cells.height, below.y, from.height))
                .index_select(1, repeated(cells.x, cells.width, below.x, from.width));
        const std::int64_t width = values.size(2);
        const at::Tensor weights = weightsOf(level, outer)
                                       .view({neighbourCount, cells.height, 2, cells.width, 2})
                                       .permute({1, 3, 2, 4, 0})
                                       .reshape({cells.height, cells.width, 4, neighbourCount});
        at::Tensor result = at::empty({cells.height, 2, cells.width, 2, width}, values.options());
        at::Tensor around = at::empty({cells.width, neighbourCount, width}, values.options());
        for (std::int64_t y = 0; y < cells.height; ++y) {
            for (std::size_t k = 0; k < neighbours.size(); ++k) {
                const std::int64_t x = reach + neighbours[k].right;
                around.select(1, static_cast<std::int64_t>(k))
                    .copy_(values[y + reach + neighbours[k].down].slice(0, x, x + cells.width));
            }
            result[y].copy_(
                at::bmm(weights[y], around).view({cells.width, 2, 2, width}).transpose(0, 1));
        }
        return result.view({outer.height, outer.width, width})
            .slice(0, rect.y - outer.y, rect.bottom() - outer.y)
            .slice(1, rect.x - outer.x, rect.right() - outer.x)
            .contiguous();
    }

    /// Weights of the neighbours for the pixels of `rect` after `level` steps: 17 x h x w.
    at::Tensor weightsOf(std::size_t level, const Rect& rect) const {
        const UpliftWeights& w = *weights_;
        const Extent& from = extents_[level - 1];
        const Extent& to = extents_[level];
        const Rect outer = grown(atLeast(rect, smallestConvolved, to), w.after.margin(), to);
        const DoubledAxis down = doubledAxis(outer.y, outer.height, from.height);
        const DoubledAxis across = doubledAxis(outer.x, outer.width, from.width);
        const Rect lower{across.first, down.first, across.last - across.first,
                         down.last - down.first};
        const Rect lowerOuter =
            grown(atLeast(lower, smallestConvolved, from), w.before.margin(), from);

        const at::Tensor before = cropped(
            w.before(at::cat({features(level - 1, lowerOuter).permute({2, 0, 1}).unsqueeze(0),
                              encodedAt(level - 1, lowerOuter, coarse_, &Encoded::coarse)},
                             1)),
            lowerOuter, lower);
        const at::Tensor doubled =
            cropped(at::conv_transpose2d(before, w.up.weight, w.up.bias, 2),
                    {2 * lower.x, 2 * lower.y, 2 * lower.width, 2 * lower.height}, outer) +
            at::matmul(down.weights.to(w.device),
                       at::matmul(before, across.weights.t().to(w.device)));
        const at::Tensor after =
            w.after(at::cat({doubled, encodedAt(level, outer, fine_, &Encoded::fine)}, 1));
        const at::Tensor inner = cropped(after, outer, rect);
        at::Tensor logits = at::conv2d(inner, w.attender.weight, w.attender.bias);
        const std::int64_t shared = std::min(inner.size(1), neighbourCount);
        logits.slice(1, 0, shared) += inner.slice(1, 0, shared);
        return at::softmax(logits, 1)[0].contiguous();
    }

    std::shared_ptr<const UpliftWeights> weights_;
    std::array<Extent, steps + 1> extents_;  ///< of the grid and after each step
    at::Tensor picture_;                     ///< 1 x 3 x H x W, of the last of them
    std::array<at::Tensor, steps + 1> kept_; ///< h x w x C, where there was room
    SampledMap fine_;
    SampledMap coarse_;
};

class UpliftUpsampler final : public Upsampler {
public:
    UpliftUpsampler(std::shared_ptr<const UpliftWeights> weights, std::int64_t keptBytes)
        : weights_(std::move(weights))
        , keptBytes_(keptBytes) {}

    std::string name() const override { return "UPLiFT"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        if (low.channels() != weights_->channels) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("This UPLiFT was trained for features of {} channels, but the "
                                    "features have {}: choose the upsampler that belongs to the "
                                    "backbone.",
                                    weights_->channels, low.channels()));
        }
        if (low.extent().area() == 0 || !guidance.picture.defined() ||
            guidance.picture.numel() == 0) {
            return fail(ErrorCode::InvalidArgument,
                        "UPLiFT needs a guidance picture and low-resolution tokens: give the "
                        "photo.");
        }
        return guarded("binding UPLiFT to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<UpliftField>(weights_, low, guidance.picture, keptBytes_,
                                                 context);
        });
    }

private:
    std::shared_ptr<const UpliftWeights> weights_;
    std::int64_t keptBytes_ = 0;
};

/// Where the model stands in a file, and its shape.
struct UpliftPlace {
    std::string prefix;
    UpliftShape shape;

    WeightScope in(const StateDict& state) const {
        const WeightScope root(state);
        return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
    }
};

Result<UpliftShape> readShape(const StateDict& state, const std::string& prefix) {
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like an UPLiFT upsampler, but {}; those for vision "
                                "transformers can be used.",
                                reason));
    };
    const auto sizeOf = [&](const std::string& key, std::int64_t side) -> std::int64_t {
        const auto found = state.find(prefix + key);
        return found == state.end() || found->second.dim() != 4 ? 0 : found->second.size(side);
    };
    const auto has = [&](const std::string& key) { return state.contains(prefix + key); };
    if (has("ref_outc.weight")) return unusable("it refines its result, as those for images do");
    if (has("decoder.up_2.up.weight")) return unusable("its decoder has more than one step");
    if (has("encoder.block_0.blocks.1.conv.0.weight"))
        return unusable("its encoder has more than one block a stage");
    if (std::ranges::any_of(state, [&](const auto& entry) {
            return entry.first.starts_with(prefix + "encoder.down_");
        }))
        return unusable("its encoder shrinks the picture");
    if (!has("encoder.block_0.blocks.0.conv.1.running_mean"))
        return unusable("it has no batch norms");
    if (sizeOf("attender.conv1.weight", 0) != neighbourCount) {
        return unusable(fmt::format("it averages {} neighbours and not {}",
                                    sizeOf("attender.conv1.weight", 0), neighbourCount));
    }
    UpliftShape shape;
    for (;;) {
        const std::int64_t width =
            sizeOf(fmt::format("encoder.block_{}.blocks.0.conv.0.weight", shape.encoder.size()), 0);
        if (width == 0) break;
        shape.encoder.push_back(width);
    }
    shape.before = sizeOf("decoder.block_0.blocks.0.conv.0.weight", 0);
    shape.after = sizeOf("decoder.block_1.blocks.0.conv.0.weight", 0);
    if (shape.encoder.size() < 2 || shape.before == 0 || shape.after == 0)
        return unusable("parts of its encoder or decoder are missing");
    shape.channels = sizeOf("decoder.block_0.blocks.0.conv.0.weight", 1) - shape.encoder.back();
    if (shape.channels < 1) return unusable("nothing tells its number of channels");
    return shape;
}

Recognition<UpliftPlace> findUplift(const StateDict& state) {
    constexpr std::string_view anchor = "attender.conv1.weight";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    UpliftPlace place;
    place.prefix = found->first.substr(0, found->first.size() - anchor.size());
    LOFTSCOPE_TRY(place.shape, readShape(state, place.prefix));
    return place;
}

} // namespace

Recognition<UpsamplerCandidate> recogniseUplift(const StateDict& state) {
    LOFTSCOPE_TRY(const std::optional<UpliftPlace> place, findUplift(state));
    if (!place) return std::nullopt;
    UpsamplerCandidate candidate;
    candidate.identity.family = "uplift";
    candidate.identity.name = fmt::format("UPLiFT for {} channels", place->shape.channels);
    candidate.identity.facts = {{"channels", place->shape.channels},
                                {"steps", static_cast<std::int64_t>(steps)},
                                {"factor", upliftFactor},
                                {"neighbours", neighbourCount}};
    const WeightScope weights = place->in(state);
    readUpliftWeights(weights, place->shape, c10::kCPU);
    candidate.identity.account = weights.account();
    candidate.build = [state](c10::Device device, c10::ScalarType /*arithmetic*/) {
        return buildUplift(state, device);
    };
    return candidate;
}

Result<std::unique_ptr<Upsampler>> buildUplift(const StateDict& state, c10::Device device,
                                               std::int64_t keptBytes) {
    return guarded("reading UPLiFT's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
        LOFTSCOPE_TRY(const std::optional<UpliftPlace> place, findUplift(state));
        if (!place) return fail(ErrorCode::Unsupported, "These are not the weights of an UPLiFT.");
        const WeightScope root = place->in(state);
        auto read =
            std::make_shared<const UpliftWeights>(readUpliftWeights(root, place->shape, device));
        LOFTSCOPE_CHECK(requireComplete(root.account(), "UPLiFT"));
        return std::make_unique<UpliftUpsampler>(std::move(read), keptBytes);
    });
}

} // namespace loftscope
