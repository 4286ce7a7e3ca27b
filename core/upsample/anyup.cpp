// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/anyup.h"

#include "core/base/guard.h"
#include "core/upsample/adaptive_pool.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/upsample/picture_rects.h"
#include "core/upsample/tiles.h"
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace loftscope {

namespace {

// What the checkpoints do not tell.
constexpr std::int64_t heads = 4;
constexpr std::int64_t normGroups = 8;
constexpr float windowRatio = 0.1F; ///< of the picture's side, to each side of a pixel
constexpr double groupNormEps = 1e-5;
constexpr double rmsNormEps = std::numeric_limits<float>::epsilon();

/// Pixels of the picture that are described at once while it is bound.
constexpr std::int64_t stripPixels = 16384;
/// While a picture is bound its pixels' descriptions are kept from one pass to the next if they
/// take no more than this; otherwise they are computed anew in every pass.
constexpr std::int64_t keptBytes = std::int64_t{512} << 20;

// --- weights ------------------------------------------------------------------------------------

struct GroupNorm {
    at::Tensor weight;
    at::Tensor bias;
};

/// Norm, SiLU, 1 x 1 convolution, twice, added to what came in: `block.0` to `block.5`.
struct ResBlock {
    GroupNorm norm0;
    Linear conv2;
    GroupNorm norm3;
    Linear conv5;
};

using ResBlocks = std::array<ResBlock, 2>; ///< `NAME.1` and `NAME.2` of every encoder
constexpr std::size_t normsOfBlocks = 4;

const GroupNorm& normOf(const ResBlocks& blocks, std::size_t norm) {
    return norm % 2 == 0 ? blocks[norm / 2].norm0 : blocks[norm / 2].norm3;
}

struct AnyUpWeights {
    std::int64_t width = 0; ///< of queries and keys: 128
    Linear image_encoder_0;
    ResBlocks image_encoder;
    Linear query_encoder_0;
    ResBlocks query_encoder;
    Linear key_encoder_0;
    ResBlocks key_encoder;
    at::Tensor basis; ///< `key_features_encoder.0.basis`: width x 1 x 5 x 5
    ResBlocks key_features_encoder;
    at::Tensor aggregation_0; ///< width x 2 width x 3 x 3
    ResBlocks aggregation;
    at::Tensor rope_freqs;   ///< 2 x width: row, column
    at::Tensor cross_conv2d; ///< `cross_decode.conv2d`: width x width x 3 x 3
    at::Tensor norm_q;
    at::Tensor norm_k;
    Linear in_proj_q; ///< the first two thirds of `in_proj_weight`; values are not projected
    Linear in_proj_k;
    c10::Device device = c10::kCPU;
};

AnyUpWeights readWeights(const WeightScope& root, std::int64_t width, c10::Device device) {
    const auto convolution = [&](const WeightScope& scope, std::int64_t out, std::int64_t in) {
        return Linear{scope("weight", {out, in, 1, 1}).flatten(1).to(device), {}};
    };
    const auto groupNorm = [&](const WeightScope& scope) {
        return GroupNorm{scope("weight", {width}).to(device), scope("bias", {width}).to(device)};
    };
    const auto blocks = [&](const WeightScope& encoder) {
        const auto block = [&](std::int64_t i) {
            const WeightScope scope = encoder[i]["block"];
            return ResBlock{groupNorm(scope[0]), convolution(scope[2], width, width),
                            groupNorm(scope[3]), convolution(scope[5], width, width)};
        };
        return ResBlocks{block(1), block(2)};
    };
    const WeightScope cross = root["cross_decode"];
    const WeightScope attention = cross["cross_attn"]["attention"];
    const at::Tensor weight = attention("in_proj_weight", {3 * width, width}).to(device);
    const at::Tensor bias = attention("in_proj_bias", {3 * width}).to(device);
    const auto third = [&](std::int64_t i) {
        return Linear{weight.slice(0, i * width, (i + 1) * width),
                      bias.slice(0, i * width, (i + 1) * width)};
    };
    // The attention's own output is not used, only its weights are.
    attention["out_proj"].ignore("weight");
    attention["out_proj"].ignore("bias");
    return {.width = width,
            .image_encoder_0 = convolution(root["image_encoder"][0], width, 3),
            .image_encoder = blocks(root["image_encoder"]),
            .query_encoder_0 = convolution(root["query_encoder"][0], width, width),
            .query_encoder = blocks(root["query_encoder"]),
            .key_encoder_0 = convolution(root["key_encoder"][0], width, width),
            .key_encoder = blocks(root["key_encoder"]),
            .basis = root["key_features_encoder"][0]("basis", {width, 1, 5, 5}).to(device),
            .key_features_encoder = blocks(root["key_features_encoder"]),
            .aggregation_0 = root["aggregation"][0]("weight", {width, 2 * width, 3, 3}).to(device),
            .aggregation = blocks(root["aggregation"]),
            .rope_freqs = root["rope"]("freqs", {2, width}).to(device),
            .cross_conv2d = cross["conv2d"]("weight", {width, width, 3, 3}).to(device),
            .norm_q = cross["cross_attn"]["norm_q"]("weight", {width}).to(device),
            .norm_k = cross["cross_attn"]["norm_k"]("weight", {width}).to(device),
            .in_proj_q = third(0),
            .in_proj_k = third(1),
            .device = device};
}

// --- encoders -----------------------------------------------------------------------------------

/// A group norm whose statistics are known: y = x * scale + shift per channel.
struct ChannelAffine {
    at::Tensor scale;
    at::Tensor shift;
    at::Tensor operator()(const at::Tensor& x) const { return x * scale + shift; }
};
using FittedNorms = std::vector<ChannelAffine>;

/// Mean and variance of each group over all pixels, collected strip by strip.
class GroupMoments {
public:
    /// `rows`: P x C.
    void add(const at::Tensor& rows) {
        const at::Tensor groups = rows.view({rows.size(0), normGroups, rows.size(1) / normGroups});
        const auto [variance, mean] = at::var_mean(groups, at::IntArrayRef{0, 2}, false);
        const at::Tensor stripMean = mean.to(at::kCPU, at::kDouble);
        const at::Tensor stripVariance = variance.to(at::kCPU, at::kDouble);
        const auto count = static_cast<double>(rows.numel() / normGroups);
        if (count_ == 0) {
            mean_ = stripMean;
            squares_ = stripVariance * count;
        } else {
            // Chan's update: nothing cancels however far the mean is from zero.
            const at::Tensor step = stripMean - mean_;
            const double total = count_ + count;
            squares_ = squares_ + stripVariance * count + step.square() * (count_ * count / total);
            mean_ = mean_ + step * (count / total);
        }
        count_ += count;
    }

    ChannelAffine fitted(const GroupNorm& norm) const {
        const std::int64_t channels = norm.weight.size(0);
        const auto perChannel = [&](const at::Tensor& groups) {
            return groups.repeat_interleave(channels / normGroups).to(norm.weight.device());
        };
        const at::Tensor inverse = perChannel(at::rsqrt(squares_ / count_ + groupNormEps));
        const at::Tensor scale = norm.weight.to(at::kDouble) * inverse;
        return {scale.to(at::kFloat),
                (norm.bias.to(at::kDouble) - perChannel(mean_) * scale).to(at::kFloat)};
    }

private:
    double count_ = 0;
    at::Tensor mean_;
    at::Tensor squares_;
};

/// Rows on their way through an encoder's blocks: `hidden` waits for the next norm.
struct Passage {
    at::Tensor residual;
    at::Tensor hidden;
};

/// Through norm number `norm`, its SiLU and the convolution behind it.
Passage advanced(const ResBlocks& blocks, std::size_t norm, const ChannelAffine& affine,
                 const Passage& passage) {
    const ResBlock& block = blocks[norm / 2];
    const at::Tensor active = at::silu(affine(passage.hidden));
    if (norm % 2 == 0) return {passage.residual, block.conv2(active)};
    const at::Tensor sum = passage.residual + block.conv5(active);
    return {sum, sum};
}

at::Tensor throughBlocks(const ResBlocks& blocks, const FittedNorms& norms,
                         const at::Tensor& rows) {
    Passage passage{rows, rows};
    for (std::size_t norm = 0; norm < normsOfBlocks; ++norm)
        passage = advanced(blocks, norm, norms[norm], passage);
    return passage.hidden;
}

/// The blocks over a map that is there as a whole: N x C.
at::Tensor throughBlocks(const ResBlocks& blocks, const at::Tensor& rows) {
    Passage passage{rows, rows};
    for (std::size_t norm = 0; norm < normsOfBlocks; ++norm) {
        GroupMoments moments;
        moments.add(passage.hidden);
        passage = advanced(blocks, norm, moments.fitted(normOf(blocks, norm)), passage);
    }
    return passage.hidden;
}

/// x cos + rotated x sin with angles of the pixel's place; coordinates run from 0 to 1 and include
/// both ends.
class RotaryPositions {
public:
    RotaryPositions(const at::Tensor& freqs, const Extent& extent)
        : freqs_(freqs)
        , rows_(at::tensor(torchLinspace(0.0F, 1.0F, extent.height)).to(freqs.device()))
        , columns_(at::tensor(torchLinspace(0.0F, 1.0F, extent.width)).to(freqs.device())) {}

    at::Tensor operator()(const at::Tensor& rows, const Rect& rect) const {
        const std::int64_t width = rows.size(1);
        const at::Tensor down = rows_.slice(0, rect.y, rect.bottom()).view({-1, 1, 1}) * freqs_[0];
        const at::Tensor across =
            columns_.slice(0, rect.x, rect.right()).view({1, -1, 1}) * freqs_[1];
        const at::Tensor angle = (down + across).view({rect.area(), width});
        const at::Tensor half =
            at::cat({-rows.slice(1, width / 2), rows.slice(1, 0, width / 2)}, 1);
        return rows * angle.cos() + half * angle.sin();
    }

private:
    at::Tensor freqs_;
    at::Tensor rows_;
    at::Tensor columns_;
};

/// Describes pixels of one picture. All layers are 1 x 1, so that a pixel's description needs of
/// the others only the group norms' statistics, which are found once, in one pass over the picture
/// per norm.
class PixelEncoder {
public:
    PixelEncoder(std::shared_ptr<const AnyUpWeights> weights, at::Tensor picture,
                 const RunContext& context)
        : weights_(std::move(weights))
        , picture_(std::move(picture))
        , extent_{picture_.size(1), picture_.size(2)}
        , positions_(weights_->rope_freqs, extent_) {
        const AnyUpWeights& w = *weights_;
        const std::int64_t rowsOfStrip =
            std::max<std::int64_t>(1, stripPixels / std::max<std::int64_t>(1, extent_.width));
        for (std::int64_t y = 0; y < extent_.height; y += rowsOfStrip)
            strips_.push_back({0, y, extent_.width, std::min(rowsOfStrip, extent_.height - y)});
        constexpr std::int64_t keptMaps = 3; // residual, hidden, encoded picture
        const bool keep = extent_.area() * w.width * 4 * keptMaps <= keptBytes;

        imageNorms_ = fit(w.image_encoder, keep, context, [&](const Rect& strip, std::size_t) {
            return w.image_encoder_0(pixels(strip));
        });
        std::vector<at::Tensor> encodedStrips(strips_.size());
        const auto encodedStrip = [&](const Rect& strip, std::size_t i) {
            if (encodedStrips[i].defined()) return encodedStrips[i];
            at::Tensor rows = encoded(strip);
            if (keep) encodedStrips[i] = rows;
            return rows;
        };
        queryNorms_ = fit(w.query_encoder, keep, context, [&](const Rect& strip, std::size_t i) {
            return w.query_encoder_0(encodedStrip(strip, i));
        });
        keyNorms_ = fit(w.key_encoder, keep, context, [&](const Rect& strip, std::size_t i) {
            return w.key_encoder_0(encodedStrip(strip, i));
        });
    }

    const Extent& extent() const { return extent_; }

    /// Queries of `rect` before pooling: P x width.
    at::Tensor queries(const Rect& rect) const {
        return throughBlocks(weights_->query_encoder, queryNorms_,
                             weights_->query_encoder_0(encoded(rect)));
    }

    /// The picture's part of the keys, averaged over the cells of `grid`: h x w x width.
    at::Tensor pooledKeys(const Extent& grid, const RunContext& context) const {
        at::Tensor sum =
            at::zeros({grid.height, grid.width, weights_->width}, weights_->basis.options());
        for (const Rect& strip : strips_) {
            context.throwIfStopped();
            const at::Tensor rows = throughBlocks(weights_->key_encoder, keyNorms_,
                                                  weights_->key_encoder_0(encoded(strip)));
            sum += pooledRows(rows, strip, extent_, grid);
        }
        return sum;
    }

private:
    at::Tensor pixels(const Rect& rect) const {
        return picture_.slice(1, rect.y, rect.bottom())
            .slice(2, rect.x, rect.right())
            .flatten(1)
            .t();
    }

    at::Tensor encoded(const Rect& rect) const {
        return positions_(throughBlocks(weights_->image_encoder, imageNorms_,
                                        weights_->image_encoder_0(pixels(rect))),
                          rect);
    }

    /// Statistics of an encoder's norms; `input` gives a strip's rows in front of the blocks.
    template <typename Input>
    FittedNorms fit(const ResBlocks& blocks, bool keep, const RunContext& context,
                    const Input& input) const {
        FittedNorms norms;
        std::vector<Passage> kept(strips_.size());
        for (std::size_t norm = 0; norm < normsOfBlocks; ++norm) {
            GroupMoments moments;
            for (std::size_t i = 0; i < strips_.size(); ++i) {
                context.throwIfStopped();
                Passage passage = kept[i];
                std::size_t passed = norm == 0 ? 0 : norm - 1;
                if (!passage.hidden.defined()) {
                    const at::Tensor rows = input(strips_[i], i);
                    passage = {rows, rows};
                    passed = 0;
                }
                for (; passed < norm; ++passed)
                    passage = advanced(blocks, passed, norms[passed], passage);
                moments.add(passage.hidden);
                if (keep) kept[i] = passage;
            }
            norms.push_back(moments.fitted(normOf(blocks, norm)));
        }
        return norms;
    }

    std::shared_ptr<const AnyUpWeights> weights_;
    at::Tensor picture_;
    Extent extent_;
    RotaryPositions positions_;
    std::vector<Rect> strips_;
    FittedNorms imageNorms_;
    FittedNorms queryNorms_;
    FittedNorms keyNorms_;
};

/// Features of any width as a map of fixed width, from what every channel's surroundings look like
/// to every basis filter. `features`: C x h x w; result: N x width.
at::Tensor unified(const at::Tensor& basis, const at::Tensor& features) {
    const std::int64_t channels = features.size(0);
    const Extent grid{features.size(1), features.size(2)};
    const std::int64_t width = basis.size(0);
    constexpr std::int64_t reach = 2;
    const at::Tensor lengths = features.norm(2, 0, true).clamp_min(1e-12);
    // Channels as a batch of pictures with a margin of zeros; `inside` counts the taps that are not
    // in the margin.
    const auto withMargin = [](const at::Tensor& x) {
        return at::constant_pad_nd(x, {reach, reach, reach, reach}, 0);
    };
    const at::Tensor padded = withMargin((features / lengths).unsqueeze(1));
    const at::Tensor inside =
        at::conv2d(withMargin(at::ones({1, 1, grid.height, grid.width}, features.options())),
                   at::ones({1, 1, 2 * reach + 1, 2 * reach + 1}, features.options()));
    // A wide backbone's responses would take C x width x N numbers at once.
    constexpr std::int64_t responses = std::int64_t{32} << 20;
    const std::int64_t slab =
        std::clamp<std::int64_t>(responses / (channels * width * grid.width), 1, grid.height);
    std::vector<at::Tensor> rows;
    for (std::int64_t y = 0; y < grid.height; y += slab) {
        const std::int64_t end = std::min(y + slab, grid.height);
        const at::Tensor response =
            at::conv2d(padded.slice(2, y, end + 2 * reach), basis) / inside.slice(2, y, end);
        // The published model was trained with the flat order (channel, filter) read as (filter,
        // channel): the softmax runs over the first of these.
        rows.push_back(at::softmax(response.reshape({width, channels, end - y, grid.width}), 0)
                           .mean(1)
                           .flatten(1));
    }
    return at::cat(rows, 1).t().contiguous();
}

at::Tensor rmsNormed(const at::Tensor& rows, const at::Tensor& weight) {
    return rows * at::rsqrt(rows.square().mean(1, true) + rmsNormEps) * weight;
}

// --- attention ----------------------------------------------------------------------------------

/// Tokens along one side that a pixel attends to; in fp32 as the reference computes them, because
/// every rounding can add or take a token.
PoolSpan windowSpan(std::int64_t pixel, std::int64_t pixels, std::int64_t tokens) {
    const float centre = (static_cast<float>(pixel) + 0.5F) / static_cast<float>(pixels);
    const float low = std::clamp(centre - windowRatio, 0.0F, 1.0F);
    const float high = std::clamp(centre + windowRatio, 0.0F, 1.0F);
    const auto count = static_cast<float>(tokens);
    return {static_cast<std::int64_t>(std::floor(low * count)),
            static_cast<std::int64_t>(std::ceil(high * count))};
}

/// The windows of pixels `begin .. begin + count` along one side.
struct Windows {
    PoolSpan tokens;    ///< all that any of them sees
    at::Tensor visible; ///< count x tokens, bool
};

Windows windowsOf(std::int64_t begin, std::int64_t count, std::int64_t pixels, std::int64_t tokens,
                  c10::Device device) {
    Windows windows;
    // Windows move with the pixels: the first one begins first, the last one ends last.
    windows.tokens = {windowSpan(begin, pixels, tokens).begin,
                      windowSpan(begin + count - 1, pixels, tokens).end};
    const std::int64_t seen = windows.tokens.end - windows.tokens.begin;
    at::Tensor visible = at::zeros({count, seen}, at::kBool);
    auto* const data = visible.mutable_data_ptr<bool>();
    for (std::int64_t i = 0; i < count; ++i) {
        const PoolSpan span = windowSpan(begin + i, pixels, tokens);
        std::fill(data + i * seen + span.begin - windows.tokens.begin,
                  data + i * seen + span.end - windows.tokens.begin, true);
    }
    windows.visible = visible.to(device);
    return windows;
}

class AnyUpField final : public FeatureField {
public:
    AnyUpField(const std::shared_ptr<const AnyUpWeights>& weights, const FeatureGrid& low,
               const Guidance& guidance, const RunContext& context)
        : weights_(weights)
        , low_{low.values.to(weights->device)}
        , extent_(guidance.extent)
        , pixels_(weights, guidance.picture.to(weights->device), context) {
        const AnyUpWeights& w = *weights_;
        const Extent grid = gridExtent();
        const at::Tensor fromPicture = pixels_.pooledKeys(grid, context).flatten(0, 1);
        const at::Tensor fromFeatures =
            throughBlocks(w.key_features_encoder, unified(w.basis, low_.values));
        const at::Tensor both =
            pictureFromRows(at::cat({fromPicture, fromFeatures}, 1), wholeOf(grid));
        const at::Tensor mixed =
            at::conv2d(at::reflection_pad2d(both, {1, 1, 1, 1}), w.aggregation_0);
        const at::Tensor tokens = throughBlocks(w.aggregation, rowsFromPicture(mixed));
        keys_ = splitHeads(w.in_proj_k(rmsNormed(tokens, w.norm_k)), heads)
                    .reshape({heads, grid.height, grid.width, w.width / heads})
                    .contiguous();
    }

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return low_.channels(); }
    Extent gridExtent() const override { return low_.extent(); }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        const Attention attention = attentionOf(rect, smallestConvolved);
        const at::Tensor values = low_.values.slice(1, attention.rows.begin, attention.rows.end)
                                      .slice(2, attention.columns.begin, attention.columns.end)
                                      .flatten(1); // C x n
        return at::matmul(values, attention.weights.mean(0).t())
            .view({channels(), rect.height, rect.width});
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        // A click has to be quick, and weights are not sensitive to the order of summation.
        const Attention attention = attentionOf({pixel.x, pixel.y, 1, 1}, 1);
        const Extent grid = gridExtent();
        at::Tensor map = at::zeros({1, heads, grid.height, grid.width}, low_.values.options());
        map.slice(2, attention.rows.begin, attention.rows.end)
            .slice(3, attention.columns.begin, attention.columns.end)
            .copy_(attention.weights.view({1, heads, attention.rows.end - attention.rows.begin,
                                           attention.columns.end - attention.columns.begin}));
        return map;
    }

private:
    /// Attention of a rectangle's pixels over the block of tokens that they see together.
    struct Attention {
        PoolSpan rows;
        PoolSpan columns;
        at::Tensor weights; ///< heads x P x tokens of the block
    };

    /// Queries of a rectangle of the output in front of the 3 x 3 convolution: P x width.
    at::Tensor pooledQueries(const Rect& rect) const {
        const Extent from = pixels_.extent();
        if (from == extent_) return pixels_.queries(rect);
        const auto span = [](std::int64_t begin, std::int64_t end, std::int64_t input,
                             std::int64_t output) {
            return PoolSpan{poolSpan(input, output, begin).begin,
                            poolSpan(input, output, end - 1).end};
        };
        const PoolSpan rows = span(rect.y, rect.bottom(), from.height, extent_.height);
        const PoolSpan columns = span(rect.x, rect.right(), from.width, extent_.width);
        const Rect source{columns.begin, rows.begin, columns.end - columns.begin,
                          rows.end - rows.begin};
        const std::int64_t width = weights_->width;
        const at::Tensor queries = pixels_.queries(source);
        const at::Tensor down =
            poolWeights(from.height, extent_.height, rows, {rect.y, rect.bottom()})
                .to(queries.device());
        const at::Tensor across =
            poolWeights(from.width, extent_.width, columns, {rect.x, rect.right()})
                .to(queries.device());
        const at::Tensor lines =
            at::matmul(down, queries.view({source.height, source.width * width}));
        return at::matmul(across, lines.view({rect.height, source.width, width}))
            .view({rect.area(), width});
    }

    Attention attentionOf(const Rect& rect, std::int64_t convolvedSide) const {
        const AnyUpWeights& w = *weights_;
        const Rect inner = atLeast(rect, convolvedSide, extent_);
        const Rect outer = grown(inner, 1, extent_);
        // Zero padding is right where `outer` ends at the picture's border; elsewhere the ring that
        // it spoils is cut away.
        const at::Tensor convolved =
            at::conv2d(pictureFromRows(pooledQueries(outer), outer), w.cross_conv2d, {}, 1, 1);
        const at::Tensor rows = rowsFromPicture(cropped(convolved, outer, rect));
        const double scale = 1.0 / std::sqrt(static_cast<double>(w.width / heads));
        const at::Tensor queries =
            splitHeads(w.in_proj_q(rmsNormed(rows, w.norm_q)), heads) * scale; // heads x P x d

        const Extent grid = gridExtent();
        const Windows down = windowsOf(rect.y, rect.height, extent_.height, grid.height, w.device);
        const Windows across = windowsOf(rect.x, rect.width, extent_.width, grid.width, w.device);
        const at::Tensor visible =
            down.visible.view({rect.height, 1, -1, 1})
                .logical_and(across.visible.view({1, rect.width, 1, across.visible.size(1)}))
                .view({1, rect.area(), down.visible.size(1) * across.visible.size(1)});
        const at::Tensor keys = keys_.slice(1, down.tokens.begin, down.tokens.end)
                                    .slice(2, across.tokens.begin, across.tokens.end)
                                    .flatten(1, 2); // heads x tokens x d
        const at::Tensor logits =
            at::matmul(queries, keys.transpose(1, 2))
                .masked_fill(visible.logical_not(), -std::numeric_limits<float>::infinity());
        return {down.tokens, across.tokens, at::softmax(logits, -1)};
    }

    std::shared_ptr<const AnyUpWeights> weights_;
    FeatureGrid low_;
    Extent extent_;
    PixelEncoder pixels_;
    at::Tensor keys_; ///< heads x h x w x width / heads
};

class AnyUpUpsampler final : public Upsampler {
public:
    explicit AnyUpUpsampler(std::shared_ptr<const AnyUpWeights> weights)
        : weights_(std::move(weights)) {}

    std::string name() const override { return "AnyUp"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        if (guidance.extent.area() == 0 || !guidance.picture.defined()) {
            return fail(ErrorCode::InvalidArgument,
                        "AnyUp needs a guidance picture: give the photo.");
        }
        // Its convolution over the tokens mirrors the grid at the border.
        if (low.extent().height < 2 || low.extent().width < 2) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("AnyUp needs at least 2 x 2 low-resolution tokens, not {} x "
                                    "{}: use a larger input size.",
                                    low.extent().width, low.extent().height));
        }
        return guarded("binding AnyUp to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<AnyUpField>(weights_, low, guidance, context);
        });
    }

private:
    std::shared_ptr<const AnyUpWeights> weights_;
};

} // namespace

Recognition<UpsamplerCandidate> recogniseAnyUp(const StateDict& state) {
    constexpr std::string_view anchor = "key_features_encoder.0.basis";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    const std::string prefix = found->first.substr(0, found->first.size() - anchor.size());
    const std::int64_t width = found->second.dim() > 0 ? found->second.size(0) : 0;
    if (width < 1 || width % normGroups != 0 || width % (2 * heads) != 0) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like an AnyUp upsampler, but its width {} does not "
                                "divide into {} groups.",
                                width, normGroups));
    }
    const auto scope = [prefix](const StateDict& of) {
        const WeightScope root(of);
        return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
    };
    UpsamplerCandidate candidate;
    candidate.identity.family = "anyup";
    candidate.identity.name = "AnyUp (any backbone)";
    candidate.identity.facts = {{"channels", "any"},
                                {"query_width", width},
                                {"heads", heads},
                                {"window", "a fifth of each side"}};
    const WeightScope weights = scope(state);
    readWeights(weights, width, c10::kCPU);
    candidate.identity.account = weights.account();
    candidate.build = [state, scope, width](
                          c10::Device device,
                          c10::ScalarType /*arithmetic*/) -> Result<std::unique_ptr<Upsampler>> {
        return guarded("reading AnyUp's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
            const WeightScope root = scope(state);
            auto read = std::make_shared<const AnyUpWeights>(readWeights(root, width, device));
            LOFTSCOPE_CHECK(requireComplete(root.account(), "AnyUp"));
            return std::make_unique<AnyUpUpsampler>(std::move(read));
        });
    };
    return candidate;
}

} // namespace loftscope
