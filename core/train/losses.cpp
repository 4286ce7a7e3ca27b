// SPDX-License-Identifier: Apache-2.0
#include "core/train/losses.h"

#include "core/upsample/picture_rects.h"
#include "core/upsample/tiles.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

namespace loftscope {

at::Tensor maskRefine(const at::Tensor& features, const at::Tensor& masks, double alpha) {
    at::Tensor refined = features;
    for (std::int64_t k = 0; k < masks.size(0); ++k) {
        const at::Tensor inside = masks.select(0, k).gt(0).to(features.scalar_type());
        const at::Tensor count = inside.sum().clamp_min(1);
        const at::Tensor mean = refined.mul(inside).sum({1, 2}, true).div(count);
        refined = refined + inside * (mean - refined) * alpha;
    }
    return refined;
}

at::Tensor segmentRefine(const at::Tensor& features, const at::Tensor& labels, double alpha) {
    const std::int64_t channels = features.size(0);
    const at::Tensor flat = features.reshape({channels, -1}); // C x N
    const at::Tensor inside = labels.reshape({-1}).ge(0);
    // Segment 0 collects the pixels that belong to none, so that the index is always valid.
    const at::Tensor segment = labels.reshape({-1}).add(1).clamp_min(0);
    const std::int64_t segments = segment.max().item<std::int64_t>() + 1;
    const at::Tensor sums =
        at::zeros({channels, segments}, flat.options()).index_add(1, segment, flat);
    const at::Tensor counts = at::zeros({segments}, flat.options())
                                  .index_add(0, segment, at::ones_like(segment, flat.options()));
    const at::Tensor means = sums.div(counts.clamp_min(1)).index_select(1, segment);
    const at::Tensor weight = inside.to(flat.scalar_type()) * alpha;
    return (flat + weight * (means - flat)).reshape(features.sizes());
}

at::Tensor totalVariation(const at::Tensor& map) {
    const at::Tensor down = map.slice(2, 1) - map.slice(2, 0, -1);
    const at::Tensor right = map.slice(3, 1) - map.slice(3, 0, -1);
    return down.square().mean() + right.square().mean();
}

at::Tensor randomProjection(std::int64_t inputs, std::int64_t outputs, CounterRandom random) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.next());
    const at::Tensor gaussian = at::empty({inputs, outputs}).normal_(0, 1, generator);
    return gaussian / at::linalg_vector_norm(gaussian, 2, at::IntArrayRef{0}, true);
}

at::Tensor projectChannels(const at::Tensor& map, const at::Tensor& projection) {
    const at::Tensor flat = map.flatten(2).transpose(1, 2); // B x N x C
    return at::matmul(flat, projection)
        .transpose(1, 2)
        .reshape({map.size(0), projection.size(1), map.size(2), map.size(3)});
}

namespace {

/// B x N x C, positions of unit length.
at::Tensor unitPositions(const at::Tensor& map, double border) {
    const auto dropped = [&](std::int64_t length) {
        return static_cast<std::int64_t>(static_cast<double>(length) * border);
    };
    const std::int64_t rows = dropped(map.size(2));
    const std::int64_t columns = dropped(map.size(3));
    const at::Tensor inner =
        map.slice(2, rows, map.size(2) - rows).slice(3, columns, map.size(3) - columns);
    const at::Tensor positions = inner.flatten(2).transpose(1, 2);
    return positions /
           at::linalg_vector_norm(positions, 2, at::IntArrayRef{2}, true).clamp_min(1e-12);
}

at::Tensor product(const at::Tensor& first, const at::Tensor& second) {
    return at::bmm(first.transpose(1, 2), second);
}

} // namespace

at::Tensor affinityLoss(const at::Tensor& first, const at::Tensor& second, double border) {
    const at::Tensor a = unitPositions(first, border);
    const at::Tensor b = unitPositions(second, border);
    const std::int64_t positions = a.size(1);
    if (positions <= a.size(2)) {
        return (at::bmm(a, a.transpose(1, 2)) - at::bmm(b, b.transpose(1, 2))).square().mean();
    }
    const at::Tensor sum = product(a, a).square().sum() - product(a, b).square().sum() * 2 +
                           product(b, b).square().sum();
    return sum / static_cast<double>(a.size(0) * positions * positions);
}

namespace {

/// Side of the squares of pixels that look together: the smaller, the fewer pixels out of their
/// reach are multiplied with them; the larger, the longer the products.
constexpr std::int64_t lookingSide = 16;

/// C x h x w, every pixel's features of unit length.
at::Tensor unitPixels(const at::Tensor& map) {
    return map / at::linalg_vector_norm(map, 2, at::IntArrayRef{0}, true).clamp_min(1e-12);
}

MaskedFeatures cut(const MaskedFeatures& map, const Rect& rect) {
    return {cut(map.features, rect), cut(map.labels, rect)};
}

/// matchingLoss for features of unit length, as a sum.
at::Tensor missedMasks(const MaskedFeatures& view, const MaskedFeatures& photo, const Pixel& place,
                       std::int64_t radius, double temperature) {
    constexpr double never = -1e4; // in place of -infinity, whose gradients are not numbers
    const at::Tensor queries = view.features.flatten(1);
    const at::Tensor candidates = photo.features.flatten(1);
    const std::int64_t looking = queries.size(1);
    const std::int64_t seen = candidates.size(1);

    const auto near = [&](std::int64_t axis, std::int64_t first) {
        const auto line = [&](const at::Tensor& labels) {
            return at::arange(labels.size(axis), queries.options());
        };
        return ((line(view.labels) + first).unsqueeze(1) - line(photo.labels).unsqueeze(0))
            .abs()
            .le(static_cast<double>(radius));
    };
    const at::Tensor rows = near(0, place.y);    // h x H
    const at::Tensor columns = near(1, place.x); // w x W
    const at::Tensor own = view.labels.reshape({looking, 1});
    const at::Tensor others = photo.labels.reshape({1, seen});
    const at::Tensor reached = (rows.unsqueeze(1).unsqueeze(3) & columns.unsqueeze(0).unsqueeze(2))
                                   .reshape({looking, seen}) &
                               own.ge(0) & others.ge(0);
    const at::Tensor same = reached & own.eq(others);
    const at::Tensor decides = same.any(1) & (reached & ~same).any(1);

    const at::Tensor similarity =
        (at::matmul(queries.t(), candidates) / temperature).masked_fill(~reached, never);
    const at::Tensor missed =
        at::logsumexp(similarity, at::IntArrayRef{1}) -
        at::logsumexp(similarity.masked_fill(~same, never), at::IntArrayRef{1});
    return missed.masked_fill(~decides, 0).sum();
}

} // namespace

at::Tensor matchingLoss(const MaskedFeatures& view, const MaskedFeatures& photo, const Pixel& place,
                        std::int64_t radius, double temperature) {
    const MaskedFeatures looking{unitPixels(view.features), view.labels};
    const MaskedFeatures seen{unitPixels(photo.features), photo.labels};
    const Extent extent{photo.labels.size(0), photo.labels.size(1)};
    at::Tensor sum = at::zeros({}, view.features.options());
    for (const Rect& square :
         tilesOf(wholeOf({view.labels.size(0), view.labels.size(1)}), lookingSide)) {
        const Rect there{place.x + square.x, place.y + square.y, square.width, square.height};
        const Rect reach = grown(there, radius, extent);
        if (reach.width <= 0 || reach.height <= 0) continue;
        sum = sum + missedMasks(cut(looking, square), cut(seen, reach),
                                {there.x - reach.x, there.y - reach.y}, radius, temperature);
    }
    return sum / static_cast<double>(view.labels.numel());
}

} // namespace loftscope
