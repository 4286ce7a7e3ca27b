// SPDX-License-Identifier: Apache-2.0
#include "core/eval/label_propagation.h"

#include "core/base/geometry.h"
#include "core/upsample/tiles.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace loftscope {

namespace {

/// Side of the squares of pixels whose similarities are one matrix product: large enough for the
/// product to be quick, small against the window that has to be looked at around them.
constexpr std::int64_t blockSide = 16;

/// h x w x C with unit vectors.
at::Tensor unitPixels(const at::Tensor& features) {
    const at::Tensor pixels = features.permute({1, 2, 0}).contiguous();
    return pixels / pixels.square().sum(2, true).sqrt().clamp_min(1e-12);
}

struct Vote {
    float similarity;
    const float* scores;
};

/// The `capacity` most similar votes so far, by falling similarity.
class Ballot {
public:
    explicit Ballot(std::size_t capacity)
        : capacity_(capacity) {}
    void clear() { votes_.clear(); }
    float threshold() const { return votes_.size() < capacity_ ? -2 : votes_.back().similarity; }
    void add(const Vote& vote) {
        if (votes_.size() == capacity_) votes_.pop_back();
        votes_.insert(std::ranges::upper_bound(votes_, vote.similarity, std::ranges::greater(),
                                               &Vote::similarity),
                      vote);
    }
    const std::vector<Vote>& votes() const { return votes_; }

private:
    std::size_t capacity_;
    std::vector<Vote> votes_;
};

} // namespace

LabelPropagation::LabelPropagation(const PropagationOptions& options, const at::Tensor& features,
                                   const at::Tensor& scores)
    : options_(options)
    , first_{unitPixels(features), scores.permute({1, 2, 0}).contiguous()} {}

at::Tensor LabelPropagation::next(const at::Tensor& features) {
    const at::NoGradGuard noGrad;
    Frame frame{unitPixels(features), at::zeros_like(first_.scores)};
    const Extent extent{frame.features.size(0), frame.features.size(1)};
    const std::int64_t channels = frame.features.size(2);
    const std::int64_t labels = frame.scores.size(2);
    std::vector<const Frame*> context{&first_};
    for (const Frame& earlier : last_)
        context.push_back(&earlier);
    auto* const out = frame.scores.mutable_data_ptr<float>();

    const std::int64_t radius = options_.radius;
    const std::vector<Rect> blocks = tilesOf(wholeOf(extent), blockSide);
    at::parallel_for(
        0, static_cast<std::int64_t>(blocks.size()), 1, [&](std::int64_t begin, std::int64_t end) {
            const at::NoGradGuard noGradHere;
            for (std::int64_t b = begin; b < end; ++b) {
                const Rect& block = blocks[static_cast<std::size_t>(b)];
                const std::int64_t left = std::max<std::int64_t>(block.x - radius, 0);
                const std::int64_t top = std::max<std::int64_t>(block.y - radius, 0);
                const Rect region{left, top, std::min(block.right() + radius, extent.width) - left,
                                  std::min(block.bottom() + radius, extent.height) - top};
                const auto cut = [channels](const at::Tensor& pixels, const Rect& rect) {
                    return pixels.slice(0, rect.y, rect.bottom())
                        .slice(1, rect.x, rect.right())
                        .reshape({rect.area(), channels});
                };
                const at::Tensor query = cut(frame.features, block);
                std::vector<at::Tensor> similarities; // per frame: block pixels x region pixels
                for (const Frame* source : context)
                    similarities.push_back(at::matmul(query, cut(source->features, region).t()));

                Ballot ballot(static_cast<std::size_t>(options_.topK));
                for (std::int64_t i = 0; i < block.area(); ++i) {
                    const std::int64_t x = block.x + i % block.width;
                    const std::int64_t y = block.y + i / block.width;
                    const std::int64_t x0 = std::max(x - radius, region.x);
                    const std::int64_t x1 = std::min(x + radius + 1, region.right());
                    const std::int64_t y0 = std::max(y - radius, region.y);
                    const std::int64_t y1 = std::min(y + radius + 1, region.bottom());
                    ballot.clear();
                    for (std::size_t f = 0; f < context.size(); ++f) {
                        const float* const row =
                            similarities[f].const_data_ptr<float>() + i * region.area();
                        const float* const scores = context[f]->scores.const_data_ptr<float>();
                        for (std::int64_t sy = y0; sy < y1; ++sy) {
                            const float* const line =
                                row + (sy - region.y) * region.width - region.x;
                            for (std::int64_t sx = x0; sx < x1; ++sx)
                                if (line[sx] > ballot.threshold())
                                    ballot.add(
                                        {line[sx], scores + (sy * extent.width + sx) * labels});
                        }
                    }
                    float* const target = out + (y * extent.width + x) * labels;
                    // Only ratios of the weights count: taken against the largest, exp cannot
                    // overflow.
                    float sum = 0;
                    for (const Vote& vote : ballot.votes()) {
                        const auto weight = static_cast<float>(
                            std::exp((vote.similarity - ballot.votes().front().similarity) /
                                     options_.temperature));
                        sum += weight;
                        for (std::int64_t k = 0; k < labels; ++k)
                            target[k] += weight * vote.scores[k];
                    }
                    for (std::int64_t k = 0; k < labels; ++k)
                        target[k] /= sum;
                }
            }
        });

    const at::Tensor scores = frame.scores.permute({2, 0, 1}).contiguous();
    last_.push_back(std::move(frame));
    while (static_cast<std::int64_t>(last_.size()) > options_.lastFrames)
        last_.pop_front();
    return scores;
}

} // namespace loftscope
