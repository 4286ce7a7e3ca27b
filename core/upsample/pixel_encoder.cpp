// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/pixel_encoder.h"

#include "core/upsample/adaptive_pool.h"
#include "core/upsample/coordinate_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

namespace loftscope {

namespace {

constexpr double rmsNormEps = std::numeric_limits<float>::epsilon();

/// Pixels of the picture that are described at once while it is bound.
constexpr std::int64_t stripPixels = 16384;
/// While a picture is bound its pixels' descriptions are kept from one pass to the next if they
/// take no more than this; otherwise they are computed anew in every pass.
constexpr std::int64_t keptMapBytes = std::int64_t{512} << 20;

} // namespace

RotaryPositions::RotaryPositions(const at::Tensor& freqs, const Extent& extent)
    : freqs_(freqs)
    , rows_(at::tensor(torchLinspace(0.0F, 1.0F, extent.height)).to(freqs.device()))
    , columns_(at::tensor(torchLinspace(0.0F, 1.0F, extent.width)).to(freqs.device())) {}

at::Tensor RotaryPositions::operator()(const at::Tensor& rows, const Rect& rect) const {
    const std::int64_t width = rows.size(1);
    const at::Tensor down = rows_.slice(0, rect.y, rect.bottom()).view({-1, 1, 1}) * freqs_[0];
    const at::Tensor across = columns_.slice(0, rect.x, rect.right()).view({1, -1, 1}) * freqs_[1];
    const at::Tensor angle = (down + across).view({rect.area(), width});
    const at::Tensor half = at::cat({-rows.slice(1, width / 2), rows.slice(1, 0, width / 2)}, 1);
    return rows * angle.cos() + half * angle.sin();
}

std::vector<Rect> stripsOf(const Extent& extent) {
    const std::int64_t rows =
        std::max<std::int64_t>(1, stripPixels / std::max<std::int64_t>(1, extent.width));
    std::vector<Rect> strips;
    for (std::int64_t y = 0; y < extent.height; y += rows)
        strips.push_back({0, y, extent.width, std::min(rows, extent.height - y)});
    return strips;
}

PixelEncoder::PixelEncoder(std::shared_ptr<const PixelEncoderWeights> weights, at::Tensor picture,
                           const RunContext& context)
    : weights_(std::move(weights))
    , picture_(std::move(picture))
    , extent_{picture_.size(1), picture_.size(2)}
    , positions_(weights_->rope_freqs, extent_)
    , strips_(stripsOf(extent_)) {
    const PixelEncoderWeights& w = *weights_;
    constexpr std::int64_t keptMaps = 3; // residual, hidden, encoded picture
    const bool keep = extent_.area() * w.width * 4 * keptMaps <= keptMapBytes;

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

at::Tensor PixelEncoder::queries(const Rect& rect) const {
    return throughBlocks(weights_->query_encoder, queryNorms_,
                         weights_->query_encoder_0(encoded(rect)));
}

at::Tensor PixelEncoder::pooledQueries(const Rect& rect, const Extent& extent) const {
    const Rect source = pooledFrom(rect, extent_, extent);
    return pooledInto(queries(source), source, rect, extent_, extent);
}

at::Tensor PixelEncoder::pooledKeys(const Extent& grid, const RunContext& context) const {
    at::Tensor sum = at::zeros({grid.height, grid.width, weights_->width}, picture_.options());
    for (const Rect& strip : strips_) {
        context.throwIfStopped();
        const at::Tensor rows = throughBlocks(weights_->key_encoder, keyNorms_,
                                              weights_->key_encoder_0(encoded(strip)));
        sum += pooledRows(rows, strip, extent_, grid);
    }
    return sum;
}

at::Tensor PixelEncoder::pixels(const Rect& rect) const {
    return picture_.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right()).flatten(1).t();
}

at::Tensor PixelEncoder::encoded(const Rect& rect) const {
    return positions_(throughBlocks(weights_->image_encoder, imageNorms_,
                                    weights_->image_encoder_0(pixels(rect))),
                      rect);
}

/// Statistics of an encoder's norms; `input` gives a strip's rows in front of the blocks.
template <typename Input>
FittedNorms PixelEncoder::fit(const ResBlocks& blocks, bool keep, const RunContext& context,
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

at::Tensor rmsNormed(const at::Tensor& rows, const at::Tensor& weight) {
    return rows * at::rsqrt(rows.square().mean(1, true) + rmsNormEps) * weight;
}

} // namespace loftscope
