// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/packed_loftup.h"

#include "core/base/stop_scope.h"
#include "core/kernel/bf16_product.h"
#include "core/kernel/row_norm.h"
#include "core/kernel/winograd.h"
#include "core/upsample/loftup.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace loftscope {

namespace {

/// Pixels that go through all layers together: their values stay in the second cache.
constexpr std::int64_t pixelsAtOnce = 4 * mostSquares;

/// The product behind a LayerNorm, with the norm's weight and bias in it.
Linear withNorm(const LayerNorm& norm, const Linear& linear) {
    return {linear.weight * norm.weight, linear.bias + at::matmul(linear.weight, norm.bias)};
}

/// `values` along its first dimension, `heads` runs of it that start `stride` places apart.
at::Tensor spread(const at::Tensor& values, std::int64_t heads, std::int64_t stride) {
    const std::int64_t length = values.size(0) / heads;
    std::vector<std::int64_t> shape = values.sizes().vec();
    shape[0] = heads * stride;
    at::Tensor result = at::zeros(shape);
    for (std::int64_t head = 0; head < heads; ++head)
        result.narrow(0, head * stride, length).copy_(values.narrow(0, head * length, length));
    return result;
}

at::Tensor padded(const at::Tensor& values) {
    at::Tensor result = at::zeros({paddedTo16(values.size(0))});
    result.narrow(0, 0, values.size(0)).copy_(values);
    return result;
}

/// Rows of bf16 values.
class HalfBuffer {
public:
    HalfBuffer(std::int64_t rows, std::int64_t columns)
        : stride_(columns)
        , tensor_(at::zeros({rows, columns}, at::kBFloat16)) {}
    c10::BFloat16* data() { return tensor_.mutable_data_ptr<c10::BFloat16>(); }
    HalfRows rows() const { return {tensor_.const_data_ptr<c10::BFloat16>(), stride_}; }
    std::int64_t stride() const { return stride_; }

private:
    std::int64_t stride_;
    at::Tensor tensor_;
};

/// The layers behind the second convolution for a few pixels at a time.
class PixelLayers {
public:
    PixelLayers(const PackedLoftUp& weights, const std::vector<PackedHeads>& blocks)
        : weights_(weights)
        , blocks_(blocks)
        , stride_(paddedTo16(weights.dim))
        , stream_(at::zeros({pixelsAtOnce, stride_}))
        , normed_(pixelsAtOnce, stride_)
        , queries_(pixelsAtOnce, paddedTo16(weights.heads * weights.headStride))
        , attended_(pixelsAtOnce, queries_.stride())
        , hidden_(pixelsAtOnce, paddedTo16(weights.hidden))
        , output_(at::empty({pixelsAtOnce, paddedTo16(weights.channels)})) {}

    /// Where the second convolution puts its results: pixels x stride.
    float* stream() { return stream_.mutable_data_ptr<float>(); }
    std::int64_t stride() const { return stride_; }

    /// Takes the first `pixels` of `stream` through all blocks. The result: pixels x outputStride.
    const float* run(std::int64_t pixels) {
        for (std::size_t i = 0; i < weights_.blocks.size(); ++i) {
            attend(weights_.blocks[i], blocks_[i], pixels);
            normalise(pixels);
            multiplyRows(normed_.rows(), pixels, weights_.blocks[i].expand,
                         half(Finish::GeluHalf, hidden_));
            multiplyRows(hidden_.rows(), pixels, weights_.blocks[i].contract, ontoStream());
        }
        normalise(pixels);
        auto* output = output_.mutable_data_ptr<float>();
        multiplyRows(normed_.rows(), pixels, weights_.finalConv,
                     {Finish::Store, output, nullptr, outputStride()});
        normaliseRows(output, pixels, weights_.channels, outputStride(), weights_.finalNormEps,
                      weights_.finalNormWeight.const_data_ptr<float>(),
                      weights_.finalNormBias.const_data_ptr<float>());
        return output;
    }
    std::int64_t outputStride() const { return output_.size(1); }

private:
    static ProductTarget half(Finish finish, HalfBuffer& buffer) {
        return {finish, nullptr, buffer.data(), buffer.stride()};
    }
    ProductTarget ontoStream() { return {Finish::Add, stream(), nullptr, stride_}; }

    void normalise(std::int64_t pixels) {
        normaliseRows(stream(), pixels, weights_.dim, stride_, weights_.normEps, normed_.data());
    }

    void attend(const PackedLoftUp::Block& block, const PackedHeads& heads, std::int64_t pixels) {
        normalise(pixels);
        multiplyRows(normed_.rows(), pixels, block.query, half(Finish::StoreHalf, queries_));
        for (std::size_t i = 0; i < heads.size(); ++i) {
            const std::int64_t first = static_cast<std::int64_t>(i) * weights_.headStride;
            attendRows({queries_.data() + first, queries_.stride()}, pixels, heads[i], scratch_,
                       attended_.data() + first, attended_.stride());
        }
        multiplyRows(attended_.rows(), pixels, block.out, ontoStream());
    }

    const PackedLoftUp& weights_;
    const std::vector<PackedHeads>& blocks_;
    std::int64_t stride_;
    at::Tensor stream_; ///< the residual stream
    HalfBuffer normed_;
    HalfBuffer queries_;
    HalfBuffer attended_;
    HalfBuffer hidden_;
    at::Tensor output_;
    AttentionScratch scratch_;
};

/// pixels x stride to `channels` planes that start `plane` values apart.
void scatter(const float* rows, std::int64_t pixels, std::int64_t stride, std::int64_t channels,
             float* out, std::int64_t plane) {
    constexpr std::int64_t side = 16; // both sides of a block stay in the innermost cache
    for (std::int64_t c = 0; c < channels; c += side) {
        for (std::int64_t p = 0; p < pixels; p += side) {
            for (std::int64_t channel = c; channel < std::min(c + side, channels); ++channel)
                for (std::int64_t pixel = p; pixel < std::min(p + side, pixels); ++pixel)
                    out[channel * plane + pixel] = rows[pixel * stride + channel];
        }
    }
}

Rect common(const Rect& a, const Rect& b) {
    const std::int64_t x = std::max(a.x, b.x);
    const std::int64_t y = std::max(a.y, b.y);
    return {x, y, std::min(a.right(), b.right()) - x, std::min(a.bottom(), b.bottom()) - y};
}

/// Of the pixels of `done`, `stride` values each, moves those of `kept` to the front.
void keepPixels(float* values, std::int64_t stride, const Rect& done, const Rect& kept) {
    if (kept.area() == done.area()) return;
    float* to = values;
    for (std::int64_t y = kept.y; y < kept.bottom(); ++y) {
        const float* from = values + ((y - done.y) * done.width + kept.x - done.x) * stride;
        std::copy_n(from, kept.width * stride, to); // never overlaps what is still to be moved
        to += kept.width * stride;
    }
}

} // namespace

PackedLoftUp packLoftUp(const LoftUpWeights& weights) {
    PackedLoftUp packed;
    packed.dim = weights.spec.dim;
    packed.hidden = weights.spec.hidden;
    packed.channels = weights.spec.channels;
    packed.heads = weights.spec.heads;
    const std::int64_t headChannels = packed.dim / packed.heads;
    packed.headStride = paddedToPairs(headChannels);
    packed.normEps = weights.norm.eps;
    packed.finalNormEps = weights.final_conv_norm.eps;
    packed.convolution = packWinograd(weights.first_conv_4.weight, weights.first_conv_4.bias);
    // The softmax takes powers of two.
    const double scale = std::numbers::log2e / std::sqrt(static_cast<double>(headChannels));
    for (const CrossAttentionBlock& block : weights.layers) {
        const Linear query = withNorm(block.norm_q, block.in_proj_q);
        const Linear expand = withNorm(block.ff_norm, block.ff_expand);
        packed.blocks.push_back(
            {packMatrix(spread(query.weight * scale, packed.heads, packed.headStride),
                        spread(query.bias * scale, packed.heads, packed.headStride)),
             packMatrix(spread(block.out_proj.weight.t(), packed.heads, packed.headStride).t(),
                        block.out_proj.bias),
             packMatrix(expand.weight, expand.bias),
             packMatrix(block.ff_contract.weight, block.ff_contract.bias)});
    }
    const Linear finalConv = withNorm(weights.norm, weights.final_conv);
    packed.finalConv = packMatrix(finalConv.weight, finalConv.bias);
    packed.finalNormWeight = padded(weights.final_conv_norm.weight);
    packed.finalNormBias = padded(weights.final_conv_norm.bias);
    return packed;
}

Rect convolvedAround(const Rect& rect) {
    const std::int64_t x = rect.x / 2 * 2;
    const std::int64_t y = rect.y / 2 * 2;
    return {x - 1, y - 1, paddedToPairs(rect.right() - x) + 2,
            paddedToPairs(rect.bottom() - y) + 2};
}

at::Tensor framed(const at::Tensor& rows, const Rect& inside, const Rect& frame) {
    const std::int64_t channels = rows.size(1);
    at::Tensor picture =
        at::zeros({frame.height, frame.width, paddedTo16(channels)}, at::kBFloat16);
    picture.narrow(0, inside.y - frame.y, inside.height)
        .narrow(1, inside.x - frame.x, inside.width)
        .narrow(2, 0, channels)
        .copy_(rows.view({inside.height, inside.width, channels}));
    return picture;
}

at::Tensor evaluatePacked(const PackedLoftUp& weights, const std::vector<PackedHeads>& blocks,
                          const at::Tensor& conv1, const Rect& rect) {
    PixelLayers layers(weights, blocks);
    at::Tensor result = at::empty({weights.channels, rect.height, rect.width});
    auto* out = result.mutable_data_ptr<float>();
    const Rect frame = convolvedAround(rect);
    const std::int64_t stride = conv1.size(2);
    WinogradScratch scratch(stride);

    // Two rows of pixels at a time, and as many squares of them as go through the layers together.
    for (std::int64_t y = frame.y + 1; y < frame.bottom() - 1; y += 2) {
        stopPoint();
        for (std::int64_t x = frame.x + 1; x < frame.right() - 1; x += 2 * mostSquares) {
            const std::int64_t squares = std::min(mostSquares, (frame.right() - 1 - x) / 2);
            const auto* corner = conv1.const_data_ptr<c10::BFloat16>() +
                                 ((y - 1 - frame.y) * frame.width + x - 1 - frame.x) * stride;
            convolveSquares({corner, stride}, frame.width, squares, weights.convolution, scratch,
                            layers.stream(), layers.stride());
            const Rect done{x, y, 2 * squares, 2};
            const Rect kept = common(done, rect);
            keepPixels(layers.stream(), layers.stride(), done, kept);
            const float* features = layers.run(kept.area());
            for (std::int64_t row = 0; row < kept.height; ++row)
                scatter(features + row * kept.width * layers.outputStride(), kept.width,
                        layers.outputStride(), weights.channels,
                        out + (kept.y + row - rect.y) * rect.width + kept.x - rect.x, rect.area());
        }
    }
    return result;
}

at::Tensor throughPackedLayers(const PackedLoftUp& weights, const std::vector<PackedHeads>& blocks,
                               const at::Tensor& tokens) {
    PixelLayers layers(weights, blocks);
    at::Tensor result = at::empty({tokens.size(0), weights.channels});
    for (std::int64_t first = 0; first < tokens.size(0); first += pixelsAtOnce) {
        stopPoint();
        const std::int64_t count = std::min(pixelsAtOnce, tokens.size(0) - first);
        at::from_blob(layers.stream(), {count, weights.dim}, {layers.stride(), 1}, at::kFloat)
            .copy_(tokens.narrow(0, first, count));
        const float* features = layers.run(count);
        for (std::int64_t row = 0; row < count; ++row)
            std::copy_n(features + row * layers.outputStride(), weights.channels,
                        result.mutable_data_ptr<float>() + (first + row) * weights.channels);
    }
    return result;
}

} // namespace loftscope
