// SPDX-License-Identifier: Apache-2.0
// Principal components of feature fields: streamed covariance, exact eigenvectors, fixed signs.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

namespace loftscope {

/// First and second moments of features, accumulated in double on the features' device without
/// keeping them.
class Moments {
public:
    explicit Moments(std::int64_t channels);
    /// Adds every column of a C x h x w (or C x P) block.
    void add(const at::Tensor& block);
    std::int64_t channels() const { return sum_.size(0); }
    std::int64_t count() const { return count_; }
    at::Tensor mean() const;         ///< C, double, on the CPU
    at::Tensor secondMoment() const; ///< C x C, double, on the CPU: E[x x^T]

private:
    at::Tensor sum_;     // C
    at::Tensor product_; // C x C
    at::Tensor origin_;  // C: sums are taken about the first block's mean, so that little cancels
    std::int64_t count_ = 0;
};

struct PcaBasis {
    at::Tensor mean;       ///< C, fp32
    at::Tensor components; ///< k x C, fp32: unit rows, by falling variance, the largest loading of
                           ///< each positive
    at::Tensor variances;  ///< k, fp32
    double totalVariance = 0; ///< over all C directions
    std::string fittedOn;     ///< in words, e.g. "LoftUp 224 x 336"

    std::int64_t size() const { return components.size(0); }
    std::int64_t channels() const { return components.size(1); }
};

/// Which features a basis is fitted on.
struct PcaSource {
    const FeatureField* field = nullptr;
    std::string name; ///< for PcaBasis::fittedOn
};

/// Fits `components` directions to the fields together, walking over each in tiles. Every field has
/// the same weight, whatever its size. Errors: Mismatch (different channels), InvalidArgument (more
/// components than channels), OutOfMemory, Cancelled.
Result<PcaBasis> fitPca(std::span<const PcaSource> sources, std::int64_t components,
                        std::int64_t tile, const RunContext& context);

/// The published LoftUp code's joint fit: each map is first resized bilinearly to h x h, h = rows
/// of the first map. (Its own randomised solver is not reproduced: the directions here are exact.)
Result<PcaBasis> fitPcaAsPublished(std::span<const PcaSource> sources, std::int64_t components,
                                   std::int64_t tile, const RunContext& context);

/// Directions from moments that were accumulated elsewhere; `second` is E[x x^T].
PcaBasis basisFromMoments(const at::Tensor& mean, const at::Tensor& second,
                          std::int64_t components);

/// Scores of a C x h x w block: k x h x w, on its device.
at::Tensor projectBlock(const PcaBasis& basis, const at::Tensor& block);

/// Scores of a whole field, k x H x W, computed tile by tile.
/// Errors: Mismatch (the basis has other channels), OutOfMemory, Cancelled.
Result<at::Tensor> projectField(const PcaBasis& basis, const FeatureField& field, std::int64_t tile,
                                const RunContext& context);

} // namespace loftscope
