// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/pca.h"

#include "core/base/guard.h"
#include "core/upsample/host_tiles.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/tiles.h"
#include "core/weights/matrix_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <functional>
#include <vector>

namespace loftscope {

namespace {

using Accumulate = std::function<Moments(const FeatureField&)>;

Result<PcaBasis> fitJointly(std::span<const PcaSource> sources, std::int64_t components,
                            const Accumulate& momentsOf) {
    if (sources.empty())
        return fail(ErrorCode::InvalidArgument,
                    "A PCA basis needs at least one feature field to be fitted on.");
    const std::int64_t channels = sources.front().field->channels();
    for (const PcaSource& source : sources) {
        if (source.field->channels() != channels) {
            return fail(ErrorCode::Mismatch, fmt::format("A shared PCA basis needs fields of equal "
                                                         "channels, but {} has {} and {} has {}.",
                                                         sources.front().name, channels,
                                                         source.name, source.field->channels()));
        }
    }
    if (components < 1 || components > channels) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format(
                "{} principal components were asked for, but features of {} channels have 1 to {}.",
                components, channels, channels));
    }
    return guarded("fitting PCA", [&] {
        at::Tensor mean = at::zeros({channels}, at::kDouble);
        at::Tensor second = at::zeros({channels, channels}, at::kDouble);
        std::string fittedOn;
        for (const PcaSource& source : sources) {
            const Moments moments = momentsOf(*source.field);
            mean += moments.mean() / static_cast<double>(sources.size());
            second += moments.secondMoment() / static_cast<double>(sources.size());
            fittedOn += (fittedOn.empty() ? "" : " + ") + source.name;
        }
        PcaBasis basis = basisFromMoments(mean, second, components);
        basis.fittedOn = fittedOn;
        return basis;
    });
}

/// A field's scores as a field: they are small where they have to leave a device.
class ProjectedField final : public FeatureField {
public:
    ProjectedField(const FeatureField& field, const PcaBasis& basis)
        : field_(field)
        , basis_(basis) {}
    Extent extent() const override { return field_.extent(); }
    std::int64_t channels() const override { return basis_.size(); }
    Extent gridExtent() const override { return field_.gridExtent(); }
    at::Tensor evaluate(const Rect& rect) const override {
        return projectBlock(basis_, field_.evaluate(rect));
    }
    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        return field_.attend(pixel);
    }

private:
    const FeatureField& field_;
    const PcaBasis& basis_;
};

} // namespace

Moments::Moments(std::int64_t channels)
    : sum_(at::zeros({channels}, at::kDouble))
    , product_(at::zeros({channels, channels}, at::kDouble)) {}

void Moments::add(const at::Tensor& block) {
    const at::NoGradGuard noGrad;
    const at::Tensor columns = block.flatten(1).to(at::kFloat); // C x P
    if (columns.size(1) == 0) return;
    // On a GPU the sums stay there: gigabytes of features would have to come over instead.
    for (at::Tensor* sum : {&sum_, &product_, &origin_})
        if (sum->defined()) *sum = sum->to(columns.device());
    if (!origin_.defined()) origin_ = columns.mean(1);
    // The sums of a block in fp32, where little cancels because they are taken about the first
    // block's mean; those of all blocks in double. Products in double throughout cost a third of
    // LoftUp's own time.
    const at::Tensor centred = columns - origin_.unsqueeze(1);
    sum_ += centred.sum(1, false, at::kDouble);
    product_ += linearProduct(centred, centred, {}).to(at::kDouble);
    count_ += columns.size(1);
}

at::Tensor Moments::mean() const {
    if (count_ == 0) return sum_;
    return (origin_ + sum_ / static_cast<double>(count_)).cpu();
}

at::Tensor Moments::secondMoment() const {
    if (count_ == 0) return product_;
    const at::Tensor shift = sum_ / static_cast<double>(count_);
    const at::Tensor covariance = product_ / static_cast<double>(count_) - at::outer(shift, shift);
    return covariance.cpu() + at::outer(mean(), mean());
}

PcaBasis basisFromMoments(const at::Tensor& mean, const at::Tensor& second,
                          std::int64_t components) {
    const at::NoGradGuard noGrad;
    const at::Tensor covariance = second - at::outer(mean, mean);
    const auto [values, vectors] = at::linalg_eigh(covariance); // rising
    const std::int64_t channels = mean.size(0);
    at::Tensor rows = vectors.t().slice(0, channels - components, channels).flip(0);
    const at::Tensor largest = rows.gather(1, rows.abs().argmax(1, true));
    rows = rows * at::where(largest < 0, -1.0, 1.0);
    PcaBasis basis;
    basis.mean = mean.to(at::kFloat);
    basis.components = rows.to(at::kFloat).contiguous();
    basis.variances =
        values.slice(0, channels - components, channels).flip(0).clamp_min(0).to(at::kFloat);
    basis.totalVariance = values.clamp_min(0).sum().item<double>();
    return basis;
}

Result<PcaBasis> fitPca(std::span<const PcaSource> sources, std::int64_t components,
                        std::int64_t tile, const RunContext& context) {
    return fitJointly(sources, components, [&](const FeatureField& field) {
        Moments moments(field.channels());
        forEachTile(field, wholeOf(field.extent()), tile, "fitting PCA", context,
                    [&](const Rect&, const at::Tensor& block) { moments.add(block); });
        return moments;
    });
}

Result<PcaBasis> fitPcaAsPublished(std::span<const PcaSource> sources, std::int64_t components,
                                   std::int64_t tile, const RunContext& context) {
    const std::int64_t side = sources.empty() ? 0 : sources.front().field->extent().height;
    return fitJointly(sources, components, [&](const FeatureField& field) {
        const Extent extent = field.extent();
        const auto weights = [&](std::int64_t size) {
            return interpolationWeights(Interpolation::Bilinear, size, side, 0, side);
        };
        const at::Tensor rows = weights(extent.height);   // side x H
        const at::Tensor columns = weights(extent.width); // side x W
        // The resize is linear, so that tiles add up.
        at::Tensor resized = at::zeros({field.channels(), side, side});
        forEachTile(field, wholeOf(extent), tile, "fitting PCA", context,
                    [&](const Rect& rect, const at::Tensor& block) {
                        resized += at::matmul(
                            rows.slice(1, rect.y, rect.bottom()),
                            at::matmul(block.cpu(), columns.slice(1, rect.x, rect.right()).t()));
                    });
        Moments moments(field.channels());
        moments.add(resized);
        return moments;
    });
}

at::Tensor projectBlock(const PcaBasis& basis, const at::Tensor& block) {
    const at::NoGradGuard noGrad;
    const at::Tensor columns = block.flatten(1) - basis.mean.to(block.device()).unsqueeze(1);
    return at::matmul(basis.components.to(block.device()), columns)
        .view({basis.size(), block.size(1), block.size(2)});
}

Result<at::Tensor> projectField(const PcaBasis& basis, const FeatureField& field, std::int64_t tile,
                                const RunContext& context) {
    if (basis.channels() != field.channels()) {
        return fail(
            ErrorCode::Mismatch,
            fmt::format("The PCA basis was fitted on features of {} channels, but these have {}.",
                        basis.channels(), field.channels()));
    }
    return guarded("projecting onto principal components", [&] {
        at::Tensor scores =
            at::empty({basis.size(), field.extent().height, field.extent().width}, at::kFloat);
        forEachHostTile(
            ProjectedField(field, basis), tilesOf(wholeOf(field.extent()), tile), "projecting",
            context, [&](const Rect& rect, const at::Tensor& block) {
                scores.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right()).copy_(block);
            });
        return scores;
    });
}

} // namespace loftscope
