// SPDX-License-Identifier: Apache-2.0
#include "core/train/photo_pack.h"

#include "core/base/guard.h"
#include "core/weights/tensor_sink.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace loftscope {

namespace {

/// Masks fit into 16 bits unless a map has tens of thousands of them; those beyond are left out.
at::Tensor asShort(const at::Tensor& labels) {
    return at::where(labels.gt(std::numeric_limits<std::int16_t>::max()), -1, labels)
        .to(at::kShort);
}

TrainingPhoto shrunk(const TrainingPhoto& photo, std::int64_t shortSide) {
    const std::int64_t height = photo.pixels.size(0);
    const std::int64_t width = photo.pixels.size(1);
    const std::int64_t side = std::min(height, width);
    if (shortSide <= 0 || side <= shortSide) return photo;
    const auto scaled = [&](std::int64_t length) {
        return static_cast<std::int64_t>(
            std::lround(static_cast<double>(length) * static_cast<double>(shortSide) /
                        static_cast<double>(side)));
    };
    const std::vector<std::int64_t> size{scaled(height), scaled(width)};
    TrainingPhoto small;
    const at::Tensor picture = photo.pixels.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
    small.pixels = at::_upsample_bilinear2d_aa(picture, size, false)[0]
                       .round()
                       .clamp(0, 255)
                       .to(at::kByte)
                       .permute({1, 2, 0})
                       .contiguous();
    for (const at::Tensor& labels : photo.labels) {
        // Exact in double: labels are whole numbers below 2^53.
        small.labels.push_back(
            at::upsample_nearest2d(labels.to(at::kDouble).unsqueeze(0).unsqueeze(0), size)[0][0].to(
                at::kLong));
    }
    return small;
}

} // namespace

Result<PackReport> writeDecodedPack(const PhotoSource& source, const std::filesystem::path& path,
                                    std::int64_t shortSide, const RunContext& context) {
    return guarded("packing photos", [&]() -> Result<PackReport> {
        PackReport report;
        std::vector<at::Tensor> pixels;
        std::vector<at::Tensor> segments;
        std::vector<std::int64_t> extents;
        std::vector<std::int64_t> pixelOffsets{0};
        std::vector<std::int64_t> segmentOffsets{0};
        nlohmann::json names = nlohmann::json::array();
        for (std::int64_t i = 0; i < source.size(); ++i) {
            context.throwIfStopped();
            context.progress("packing photos",
                             static_cast<double>(i) / static_cast<double>(source.size()));
            const auto loaded = source.load(i);
            if (!loaded) {
                if (report.broken++ == 0)
                    report.firstBroken =
                        fmt::format("{}: {}", source.name(i), loaded.error().message);
                continue;
            }
            const TrainingPhoto photo = shrunk(*loaded, shortSide);
            pixels.push_back(photo.pixels.reshape({-1}));
            pixelOffsets.push_back(pixelOffsets.back() + photo.pixels.numel());
            std::int64_t end = segmentOffsets.back();
            for (const at::Tensor& labels : photo.labels) {
                segments.push_back(asShort(labels).reshape({-1}));
                end += labels.numel();
            }
            segmentOffsets.push_back(end);
            extents.push_back(photo.pixels.size(0));
            extents.push_back(photo.pixels.size(1));
            // A pack's own photos are called FILE:NAME.
            const std::string name = source.name(i);
            names.push_back(name.substr(name.find(':') + 1));
        }
        report.photos = static_cast<std::int64_t>(pixels.size());
        if (pixels.empty())
            return fail(ErrorCode::NotFound,
                        fmt::format("None of {} photos could be read ({}): check the data.",
                                    source.size(), report.firstBroken));
        report.bytes = pixelOffsets.back() + 2 * segmentOffsets.back();
        LOFTSCOPE_CHECK(writeSafetensors(
            path,
            {{"pixels", at::cat(pixels)},
             {"poff", at::tensor(pixelOffsets)},
             {"extent", at::tensor(extents).view({-1, 2})},
             {"segments", segments.empty() ? at::empty({0}, at::kShort) : at::cat(segments)},
             {"soff", at::tensor(segmentOffsets)}},
            {{"format", "loftscope-photos"},
             {"names", names.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}}));
        return report;
    });
}

} // namespace loftscope
