// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/coordinate_convolution.h"

#include "core/kernel/packed_matrix.h"
#include "core/upsample/picture_rects.h"
#include "core/weights/matrix_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <span>

namespace loftscope {

namespace {

constexpr std::int64_t dims = 5; // row, column, red, green, blue
constexpr std::int64_t taps = 9;
/// Channels that are summed together: of that many, the tables' rows stay in the second cache.
constexpr std::int64_t channelsAtOnce = 64;

/// Where a row or column lies in the picture: bit 0 at its first border, bit 1 at its last.
std::int64_t sideOf(std::int64_t position, std::int64_t length) {
    return (position == 0 ? 1 : 0) + (position == length - 1 ? 2 : 0);
}

/// Whether a step of -1, 0 or 1 leaves the picture from there.
bool beyond(std::int64_t side, std::int64_t step) {
    return ((side & 1) != 0 && step < 0) || ((side & 2) != 0 && step > 0);
}

/// n x (sines, cosines) of a table of 2 x n x frequencies.
at::Tensor featuresOf(const at::Tensor& table) {
    return at::cat({table.select(0, 0), table.select(0, 1)}, 1).contiguous();
}

} // namespace

std::optional<CoordinateConvolution>
CoordinateConvolution::create(const CoordinateEncoder& encoder,
                              const CoordinateEncoder::Tables& coordinates,
                              const UnitRangePicture& picture, const LayerNorm& norm,
                              const at::Tensor& weight, const at::Tensor& bias) {
    const at::NoGradGuard noGrad;
    const std::optional<PictureLevels>& levels = picture.levels();
    if (!levels) return std::nullopt;
    CoordinateConvolution made;
    made.levels_ = levels->index;
    made.extent_ = {made.levels_.size(1), made.levels_.size(2)};
    made.channels_ = weight.size(0);
    made.stride_ = paddedTo16(made.channels_);
    made.normed_ = encoder.channels();
    made.eps_ = norm.eps;

    const std::int64_t frequencies = coordinates.row.size(2);
    const std::int64_t waves = 2 * dims * frequencies; // sines and cosines; colours follow
    // 9 x channels x D, in double: the tables are sums that plain convolution rounds once.
    const at::Tensor byTap = weight.to(at::kDouble).flatten(2).permute({2, 1, 0});
    const at::Tensor scaledWeight = byTap * norm.weight.to(at::kDouble).view({1, -1, 1});
    const at::Tensor added = at::matmul(norm.bias.to(at::kDouble), byTap); // 9 x D
    made.constant_ = at::zeros({4, 4, made.stride_}, at::kDouble);
    for (std::int64_t y = 0; y < 4; ++y) {
        for (std::int64_t x = 0; x < 4; ++x) {
            at::Tensor sum = bias.to(at::kDouble);
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t dy = tap / 3 - 1;
                const std::int64_t dx = tap % 3 - 1;
                if (!beyond(y, dy) && !beyond(x, dx)) sum = sum + added.select(0, tap);
            }
            made.constant_.select(0, y).select(0, x).narrow(0, 0, made.channels_).copy_(sum);
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
    // (9 * stride) x features, as a linear layer has it. The last feature is what the others add to
    // the norm's mean, which is taken away from each of them.
    const at::Tensor ofMean = -scaledWeight.sum(1, true); // 9 x 1 x D
    const auto layerOf = [&](std::int64_t d) {
        const at::Tensor ofFeatures =
            at::cat({scaledWeight.index_select(1, channelsOfDim(d)), ofMean}, 1);
        at::Tensor layer = at::zeros({taps, made.stride_, ofFeatures.size(1)});
        layer.narrow(1, 0, made.channels_).copy_(ofFeatures.transpose(1, 2));
        return layer.flatten(0, 1);
    };
    const auto withMean = [&](const at::Tensor& features) {
        const at::Tensor mean =
            features.to(at::kDouble).sum(1, true) / static_cast<double>(made.normed_);
        return at::cat({features, mean.to(at::kFloat)}, 1);
    };
    const at::Tensor ofRows = featuresOf(coordinates.row);
    const at::Tensor ofColumns = featuresOf(coordinates.column);
    made.features_ = {withMean(ofRows), withMean(ofColumns)};
    made.rowWeight_ = layerOf(0);
    made.columnWeight_ = layerOf(1);
    made.rowSums_ = sumsOf(ofRows);
    made.columnSums_ = sumsOf(ofColumns);
    for (std::int64_t c = 0; c < 3; ++c) {
        const at::Tensor& own = levels->values[static_cast<std::size_t>(c)];
        const std::int64_t count = own.size(0);
        // The encoder itself codes the levels, in a picture of one row: the roundings are its own.
        at::Tensor strip = at::zeros({3, 1, count});
        strip[c][0].copy_(picture.scaled(c, own));
        const Extent line{1, count};
        const at::Tensor coded = encoder.encode(encoder.tables(line), strip, wholeOf(line))
                                     .index_select(1, channelsOfDim(2 + c));
        made.colors_[static_cast<std::size_t>(c)] =
            linearProduct(withMean(coded), layerOf(2 + c), {}).contiguous();
        made.colorSums_[static_cast<std::size_t>(c)] = sumsOf(coded);
    }
    return made;
}

GivingPixel CoordinateConvolution::givingPixel(const Pixel& pixel) const {
    const Sums& ofRow = rowSums_[static_cast<std::size_t>(pixel.y)];
    const Sums& ofColumn = columnSums_[static_cast<std::size_t>(pixel.x)];
    double value = ofRow.value + ofColumn.value;
    double square = ofRow.square + ofColumn.square;
    GivingPixel giving;
    for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t level =
            levels_.const_data_ptr<std::uint8_t>()[static_cast<std::int64_t>(c) * extent_.area() +
                                                   pixel.y * extent_.width + pixel.x];
        value += colorSums_[c][level].value;
        square += colorSums_[c][level].square;
        giving.colors[c] =
            colors_[c].const_data_ptr<float>() + static_cast<std::int64_t>(level) * taps * stride_;
    }
    const auto count = static_cast<double>(normed_);
    const double mean = value / count;
    giving.weight = static_cast<float>(1 / std::sqrt(square / count - mean * mean + eps_));
    return giving;
}

const float* CoordinateConvolution::LineTable::of(std::int64_t line) const {
    const auto found = std::ranges::lower_bound(lines, line);
    const auto index = found == lines.end() ? found - lines.begin() - 1 : found - lines.begin();
    return values.const_data_ptr<float>() + index * values.size(1);
}

CoordinateConvolution::LineTable CoordinateConvolution::tableOf(std::vector<std::int64_t> lines,
                                                                const at::Tensor& features,
                                                                const at::Tensor& weight) {
    const at::Tensor chosen = features.index_select(0, at::tensor(lines));
    return {std::move(lines), linearProduct(chosen, weight, {}).contiguous()};
}

void CoordinateConvolution::evaluate(const Rect& rect, NeighbourTarget target,
                                     std::int64_t pitch) const {
    const Rect seen = grown(rect, 1, extent_);
    const auto linesFrom = [](std::int64_t first, std::int64_t count) {
        std::vector<std::int64_t> lines(static_cast<std::size_t>(count));
        std::iota(lines.begin(), lines.end(), first);
        return lines;
    };
    evaluate(rect, tableOf(linesFrom(seen.y, seen.height), features_.row, rowWeight_),
             tableOf(linesFrom(seen.x, seen.width), features_.column, columnWeight_), target,
             pitch);
}

void CoordinateConvolution::evaluate(const Rect& rect, const LineTable& rows,
                                     const LineTable& columns, NeighbourTarget target,
                                     std::int64_t pitch) const {
    const Rect seen = grown(rect, 1, extent_);
    // The rectangle and one pixel around it, whether the picture has it or not.
    const auto framedWidth = static_cast<std::size_t>(rect.width + 2);
    GivingPixel beyondPicture;
    for (std::size_t c = 0; c < 3; ++c)
        beyondPicture.colors[c] = colors_[c].const_data_ptr<float>();
    std::vector<GivingPixel> pixels(static_cast<std::size_t>(rect.height + 2) * framedWidth,
                                    beyondPicture);
    for (std::int64_t y = seen.y; y < seen.bottom(); ++y)
        for (std::int64_t x = seen.x; x < seen.right(); ++x)
            pixels[static_cast<std::size_t>(y - rect.y + 1) * framedWidth +
                   static_cast<std::size_t>(x - rect.x + 1)] = givingPixel({x, y});
    std::vector<const float*> columnRows;
    for (std::int64_t x = rect.x - 1; x <= rect.right(); ++x)
        columnRows.push_back(columns.of(x));

    std::vector<const float*> start(static_cast<std::size_t>(rect.width));
    for (std::int64_t first = 0; first < stride_; first += channelsAtOnce) {
        NeighbourTarget line = target;
        for (std::int64_t y = rect.y; y < rect.bottom(); ++y) {
            for (std::int64_t x = rect.x; x < rect.right(); ++x)
                start[static_cast<std::size_t>(x - rect.x)] =
                    constant_.const_data_ptr<float>() +
                    (sideOf(y, extent_.height) * 4 + sideOf(x, extent_.width)) * stride_;
            NeighbourRow row{.rows = {}, .columns = columnRows, .given = {}, .start = start};
            for (std::size_t dy = 0; dy < 3; ++dy) {
                const std::int64_t framedY = y - rect.y + static_cast<std::int64_t>(dy);
                row.rows[dy] = rows.of(rect.y - 1 + framedY);
                row.given[dy] = std::span(pixels).subspan(
                    static_cast<std::size_t>(framedY) * framedWidth, framedWidth);
            }
            sumNeighbours(row, stride_, first, std::min(channelsAtOnce, stride_ - first), line);
            if (line.half != nullptr) {
                line.half += pitch;
            } else {
                line.full += pitch;
            }
        }
    }
}

at::Tensor CoordinateConvolution::evaluate(const Rect& rect) const {
    const at::NoGradGuard noGrad;
    at::Tensor result = at::empty({rect.area(), channels_});
    evaluate(rect, {channels_, result.mutable_data_ptr<float>(), nullptr}, rect.width * channels_);
    return result;
}

at::Tensor CoordinateConvolution::evaluateHalf(const Rect& rect) const {
    const at::NoGradGuard noGrad;
    at::Tensor result = at::zeros({rect.height, rect.width, stride_}, at::kBFloat16);
    const Rect inside = grown(rect, 0, extent_);
    evaluate(inside,
             {channels_, nullptr,
              result[inside.y - rect.y][inside.x - rect.x].mutable_data_ptr<c10::BFloat16>()},
             rect.width * stride_);
    return result;
}

at::Tensor CoordinateConvolution::evaluateAround(std::span<const Pixel> pixels) const {
    const at::NoGradGuard noGrad;
    constexpr std::int64_t side = 3;
    std::set<std::int64_t> rows;
    std::set<std::int64_t> columns;
    for (const Pixel& pixel : pixels) {
        const Rect seen = grown({pixel.x, pixel.y, 1, 1}, 2, extent_);
        for (std::int64_t y = seen.y; y < seen.bottom(); ++y)
            rows.insert(y);
        for (std::int64_t x = seen.x; x < seen.right(); ++x)
            columns.insert(x);
    }
    // One product for all pixels: their rows and columns are often the same.
    const LineTable rowTable = tableOf({rows.begin(), rows.end()}, features_.row, rowWeight_);
    const LineTable columnTable =
        tableOf({columns.begin(), columns.end()}, features_.column, columnWeight_);
    at::Tensor result =
        at::zeros({static_cast<std::int64_t>(pixels.size()), side * side, channels_});
    auto* values = result.mutable_data_ptr<float>();
    for (const Pixel& pixel : pixels) {
        const Rect inside = grown({pixel.x, pixel.y, 1, 1}, 1, extent_);
        const std::int64_t first =
            (inside.y - pixel.y + 1) * side + inside.x - pixel.x + 1; // of its 9 places
        evaluate(inside, rowTable, columnTable, {channels_, values + first * channels_, nullptr},
                 side * channels_);
        values += side * side * channels_;
    }
    return result;
}

} // namespace loftscope
