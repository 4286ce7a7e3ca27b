// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/coordinate_convolution.h"

#include "core/weights/matrix_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

// One routine, compiled for the vector units that there are; the right one is chosen when the
// program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define LOFTSCOPE_VECTOR_CLONES                                                                    \
    __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define LOFTSCOPE_VECTOR_CLONES
#endif

namespace loftscope {

namespace {

constexpr std::int64_t dims = 5; // row, column, red, green, blue
constexpr std::int64_t taps = 9;
constexpr std::size_t mostLevels = 256;

/// What one neighbour contributes: a weighted sum of rows of D values.
struct Neighbour {
    std::array<const float*, dims> parts;
    const float* mean;
    float inverseDeviation;
    float scaledMean; ///< mean times inverse deviation
};

/// out = max(0, constant + sum over the neighbours), for D channels.
LOFTSCOPE_VECTOR_CLONES
void addNeighbours(const Neighbour* neighbours, std::int64_t count, const float* constant,
                   std::int64_t channels, float* out) {
    constexpr std::int64_t block = 64; // stays in registers while all neighbours are added
    for (std::int64_t first = 0; first < channels; first += block) {
        const std::int64_t length = std::min(block, channels - first);
        float sum[block];
        if (length == block) {
            for (std::int64_t i = 0; i < block; ++i)
                sum[i] = constant[first + i];
            for (std::int64_t n = 0; n < count; ++n) {
                const Neighbour& one = neighbours[n];
                const float* a = one.parts[0] + first;
                const float* b = one.parts[1] + first;
                const float* c = one.parts[2] + first;
                const float* d = one.parts[3] + first;
                const float* e = one.parts[4] + first;
                const float* m = one.mean + first;
                for (std::int64_t i = 0; i < block; ++i)
                    sum[i] += one.inverseDeviation * (a[i] + b[i] + c[i] + d[i] + e[i]) -
                              one.scaledMean * m[i];
            }
            for (std::int64_t i = 0; i < block; ++i)
                out[first + i] = sum[i] > 0 ? sum[i] : 0;
        } else {
            for (std::int64_t i = 0; i < length; ++i) {
                float value = constant[first + i];
                for (std::int64_t n = 0; n < count; ++n) {
                    const Neighbour& one = neighbours[n];
                    float parts = 0;
                    for (const float* part : one.parts)
                        parts += part[first + i];
                    value += one.inverseDeviation * parts - one.scaledMean * one.mean[first + i];
                }
                out[first + i] = value > 0 ? value : 0;
            }
        }
    }
}

/// Where a row or column lies in the picture: bit 0 at its first border, bit 1 at its last.
std::int64_t sideOf(std::int64_t position, std::int64_t length) {
    return (position == 0 ? 1 : 0) + (position == length - 1 ? 2 : 0);
}

/// Whether a step of -1, 0 or 1 leaves the picture from there.
bool beyond(std::int64_t side, std::int64_t step) {
    return ((side & 1) != 0 && step < 0) || ((side & 2) != 0 && step > 0);
}

/// Which of its distinct values every pixel of a channel has. Nothing if there are more than 256.
struct Levels {
    std::vector<float> values;
    std::vector<std::uint8_t> index;
};

std::optional<Levels> levelsOf(const at::Tensor& channel) {
    const at::Tensor flat = channel.contiguous();
    const auto* pixels = flat.const_data_ptr<float>();
    const std::int64_t count = flat.numel();
    Levels levels;
    levels.index.resize(static_cast<std::size_t>(count));
    std::unordered_map<std::uint32_t, std::uint8_t> known;
    for (std::int64_t i = 0; i < count; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(pixels[i]);
        auto found = known.find(bits);
        if (found == known.end()) {
            if (levels.values.size() == mostLevels) return std::nullopt;
            found = known.emplace(bits, static_cast<std::uint8_t>(levels.values.size())).first;
            levels.values.push_back(pixels[i]);
        }
        levels.index[static_cast<std::size_t>(i)] = found->second;
    }
    return levels;
}

/// n x (sines, cosines) of a table of 2 x n x frequencies.
at::Tensor featuresOf(const at::Tensor& table) {
    return at::cat({table.select(0, 0), table.select(0, 1)}, 1).contiguous();
}

} // namespace

std::optional<CoordinateConvolution>
CoordinateConvolution::create(const CoordinateEncoder& encoder,
                              const CoordinateEncoder::Tables& coordinates,
                              const at::Tensor& scaled, const LayerNorm& norm,
                              const at::Tensor& weight, const at::Tensor& bias) {
    const at::NoGradGuard noGrad;
    if (!scaled.is_cpu()) return std::nullopt;
    CoordinateConvolution made;
    made.extent_ = {scaled.size(1), scaled.size(2)};
    made.channels_ = weight.size(0);
    made.normed_ = encoder.channels();
    made.eps_ = norm.eps;
    std::array<Levels, 3> levels;
    for (std::int64_t c = 0; c < 3; ++c) {
        auto found = levelsOf(scaled.select(0, c));
        if (!found) return std::nullopt;
        levels[static_cast<std::size_t>(c)] = std::move(*found);
    }

    const std::int64_t frequencies = coordinates.row.size(2);
    const std::int64_t waves = 2 * dims * frequencies; // sines and cosines; colours follow
    // 9 x channels x D, in double: the tables are sums that plain convolution rounds once.
    const at::Tensor byTap = weight.to(at::kDouble).flatten(2).permute({2, 1, 0});
    const at::Tensor scaledWeight = byTap * norm.weight.to(at::kDouble).view({1, -1, 1});
    made.mean_ = scaledWeight.sum(1).to(at::kFloat).contiguous();
    const at::Tensor added = at::matmul(norm.bias.to(at::kDouble), byTap); // 9 x D
    made.constant_ = at::zeros({4, 4, made.channels_}, at::kDouble);
    for (std::int64_t y = 0; y < 4; ++y) {
        for (std::int64_t x = 0; x < 4; ++x) {
            at::Tensor sum = bias.to(at::kDouble);
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t dy = tap / 3 - 1;
                const std::int64_t dx = tap % 3 - 1;
                if (!beyond(y, dy) && !beyond(x, dx)) sum = sum + added.select(0, tap);
            }
            made.constant_.select(0, y).select(0, x).copy_(sum);
        }
    }
    made.constant_ = made.constant_.to(at::kFloat).contiguous();

    const auto channelsOfDim = [&](std::int64_t d) {
        std::vector<std::int64_t> channels;
        for (std::int64_t k = 0; k < 2 * frequencies; ++k)
            channels.push_back(k * dims + d);
        if (d >= 2) channels.push_back(waves + d - 2);
        return at::tensor(channels);
    };
    const auto sumsOf = [](const at::Tensor& features) {
        const at::Tensor exact = features.to(at::kDouble);
        const at::Tensor values = exact.sum(1).contiguous();
        const at::Tensor squares = exact.square().sum(1).contiguous();
        std::vector<Sums> sums(static_cast<std::size_t>(features.size(0)));
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i] = {values.const_data_ptr<double>()[i], squares.const_data_ptr<double>()[i]};
        return sums;
    };
    // (9 * D) x features, as a linear layer has it.
    const auto layerOf = [&](std::int64_t d) {
        return scaledWeight.index_select(1, channelsOfDim(d))
            .permute({0, 2, 1})
            .reshape({taps * made.channels_, -1})
            .to(at::kFloat)
            .contiguous();
    };
    made.features_ = {featuresOf(coordinates.row), featuresOf(coordinates.column)};
    made.rowWeight_ = layerOf(0);
    made.columnWeight_ = layerOf(1);
    made.rowSums_ = sumsOf(made.features_.row);
    made.columnSums_ = sumsOf(made.features_.column);
    for (std::int64_t c = 0; c < 3; ++c) {
        Levels& own = levels[static_cast<std::size_t>(c)];
        const auto count = static_cast<std::int64_t>(own.values.size());
        // The encoder itself codes the levels, in a picture of one row: the roundings are its own.
        at::Tensor strip = at::zeros({3, 1, count});
        strip[c][0].copy_(at::tensor(own.values));
        const Extent line{1, count};
        const at::Tensor coded = encoder.encode(encoder.tables(line), strip, wholeOf(line))
                                     .index_select(1, channelsOfDim(2 + c));
        made.colors_[static_cast<std::size_t>(c)] =
            linearProduct(coded, layerOf(2 + c), {}).contiguous();
        made.colorSums_[static_cast<std::size_t>(c)] = sumsOf(coded);
        made.levels_[static_cast<std::size_t>(c)] = std::move(own.index);
    }
    return made;
}

at::Tensor CoordinateConvolution::evaluate(const Rect& rect) const {
    const at::NoGradGuard noGrad;
    const std::int64_t left = std::max<std::int64_t>(rect.x - 1, 0);
    const std::int64_t top = std::max<std::int64_t>(rect.y - 1, 0);
    const Rect seen{left, top, std::min(rect.right() + 1, extent_.width) - left,
                    std::min(rect.bottom() + 1, extent_.height) - top};
    const at::Tensor rows =
        linearProduct(features_.row.narrow(0, seen.y, seen.height), rowWeight_, {}).contiguous();
    const at::Tensor columns =
        linearProduct(features_.column.narrow(0, seen.x, seen.width), columnWeight_, {})
            .contiguous();

    // What every pixel that is seen gives to any of its neighbours, but for the tap.
    std::vector<Neighbour> pixels(static_cast<std::size_t>(seen.area()));
    const std::int64_t stride = taps * channels_;
    const auto count = static_cast<double>(normed_);
    for (std::int64_t y = 0; y < seen.height; ++y) {
        for (std::int64_t x = 0; x < seen.width; ++x) {
            const auto pixel = static_cast<std::size_t>((seen.y + y) * extent_.width + seen.x + x);
            const Sums& ofRow = rowSums_[static_cast<std::size_t>(seen.y + y)];
            const Sums& ofColumn = columnSums_[static_cast<std::size_t>(seen.x + x)];
            double value = ofRow.value + ofColumn.value;
            double square = ofRow.square + ofColumn.square;
            Neighbour& one = pixels[static_cast<std::size_t>(y * seen.width + x)];
            one.parts[0] = rows.const_data_ptr<float>() + y * stride;
            one.parts[1] = columns.const_data_ptr<float>() + x * stride;
            for (std::size_t c = 0; c < 3; ++c) {
                const std::size_t level = levels_[c][pixel];
                value += colorSums_[c][level].value;
                square += colorSums_[c][level].square;
                one.parts[2 + c] =
                    colors_[c].const_data_ptr<float>() + static_cast<std::int64_t>(level) * stride;
            }
            const double mean = value / count;
            const double deviation = 1 / std::sqrt(square / count - mean * mean + eps_);
            one.inverseDeviation = static_cast<float>(deviation);
            one.scaledMean = static_cast<float>(mean * deviation);
            one.mean = mean_.const_data_ptr<float>();
        }
    }

    at::Tensor result = at::empty({rect.area(), channels_});
    auto* out = result.mutable_data_ptr<float>();
    for (std::int64_t y = rect.y; y < rect.bottom(); ++y) {
        for (std::int64_t x = rect.x; x < rect.right(); ++x) {
            std::array<Neighbour, taps> neighbours;
            std::int64_t found = 0;
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const Pixel at{x + tap % 3 - 1, y + tap / 3 - 1};
                if (!contains(extent_, at)) continue;
                Neighbour& one = neighbours[static_cast<std::size_t>(found++)];
                one =
                    pixels[static_cast<std::size_t>((at.y - seen.y) * seen.width + at.x - seen.x)];
                for (const float*& part : one.parts)
                    part += tap * channels_;
                one.mean += tap * channels_;
            }
            addNeighbours(neighbours.data(), found,
                          constant_.const_data_ptr<float>() +
                              (sideOf(y, extent_.height) * 4 + sideOf(x, extent_.width)) *
                                  channels_,
                          channels_, out);
            out += channels_;
        }
    }
    return result;
}

} // namespace loftscope
