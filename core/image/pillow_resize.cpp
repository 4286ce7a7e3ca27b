// SPDX-License-Identifier: Apache-2.0
#include "core/image/pillow_resize.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <stdexcept>
#include <thread>
#include <vector>

namespace loftscope {

namespace {

// Weights are fixed-point numbers with this many fractional bits: 32 bits less 8 for the pixel and
// 2 for sign and overshoot.
constexpr int precisionBits = 32 - 8 - 2;

struct Kernel {
    double (*weight)(double x);
    double support;
};

double boxWeight(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double bilinearWeight(double x) {
    return std::max(1.0 - std::abs(x), 0.0);
}

// Keys' cubic with a = -0.5.
double bicubicWeight(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= std::numbers::pi;
    return std::sin(x) / x;
}

double lanczosWeight(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

Kernel kernelOf(PillowFilter filter) {
    switch (filter) {
    case PillowFilter::Box:
        return {boxWeight, 0.5};
    case PillowFilter::Bilinear:
        return {bilinearWeight, 1.0};
    case PillowFilter::Bicubic:
        return {bicubicWeight, 2.0};
    case PillowFilter::Lanczos:
        return {lanczosWeight, 3.0};
    }
    throw std::invalid_argument("unknown filter");
}

/// For every output sample of one axis: the first input sample and the fixed-point weights of the
/// following ones.
struct Taps {
    struct Window {
        std::int64_t first = 0;
        std::int64_t count = 0;
    };
    std::vector<Window> windows;
    std::vector<std::int32_t> weights; ///< `stride` per output sample
    std::int64_t stride = 0;

    const std::int32_t* of(std::int64_t i) const { return weights.data() + i * stride; }
    std::int64_t firstInput() const { return windows.front().first; }
    std::int64_t lastInput() const { return windows.back().first + windows.back().count; }
};

Taps tapsFor(std::int64_t inputs, std::int64_t outputs, const Kernel& kernel) {
    const double scale = static_cast<double>(inputs) / static_cast<double>(outputs);
    // Shrinking widens the kernel (that is the antialiasing), enlarging does not narrow it.
    const double kernelScale = std::max(scale, 1.0);
    const double support = kernel.support * kernelScale;
    const double inverseScale = 1.0 / kernelScale;
    Taps taps;
    taps.stride = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
    taps.windows.reserve(static_cast<std::size_t>(outputs));
    taps.weights.assign(static_cast<std::size_t>(outputs * taps.stride), 0);
    std::vector<double> weights(static_cast<std::size_t>(taps.stride));
    for (std::int64_t i = 0; i < outputs; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * scale;
        // Conversions cut towards zero, as in the reference, also for a negative first.
        const auto first =
            std::max<std::int64_t>(static_cast<std::int64_t>(centre - support + 0.5), 0);
        const auto last =
            std::min<std::int64_t>(static_cast<std::int64_t>(centre + support + 0.5), inputs);
        const std::int64_t count = last - first;
        double sum = 0.0;
        for (std::int64_t k = 0; k < count; ++k) {
            const double x = (static_cast<double>(k + first) - centre + 0.5) * inverseScale;
            weights[static_cast<std::size_t>(k)] = kernel.weight(x);
            sum += weights[static_cast<std::size_t>(k)];
        }
        std::int32_t* fixed = taps.weights.data() + i * taps.stride;
        for (std::int64_t k = 0; k < count; ++k) {
            double weight = weights[static_cast<std::size_t>(k)];
            if (sum != 0.0) weight /= sum;
            const double scaled = weight * (1 << precisionBits);
            fixed[k] = static_cast<std::int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
        }
        taps.windows.push_back({first, count});
    }
    return taps;
}

constexpr std::int32_t half = 1 << (precisionBits - 1);

std::uint8_t toLevel(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> precisionBits, 0, 255));
}

/// Calls `body(begin, end)` for pieces of 0..count, on several threads where `work` (in
/// multiplications) pays for them.
template <typename Body>
void inParallel(std::int64_t count, std::int64_t work, const Body& body) {
    constexpr std::int64_t workPerThread = 4'000'000;
    const std::int64_t pieces =
        std::clamp<std::int64_t>(work / workPerThread, 1, std::max(at::get_num_threads(), 1));
    std::vector<std::jthread> threads;
    for (std::int64_t piece = 1; piece < pieces; ++piece)
        threads.emplace_back([&body, begin = count * piece / pieces,
                              end = count * (piece + 1) / pieces] { body(begin, end); });
    body(0, count / pieces);
}

Image resizeWidth(const Image& image, const Taps& taps, std::int64_t firstRow,
                  std::int64_t lastRow) {
    const auto width = static_cast<std::int64_t>(taps.windows.size());
    const Extent extent{lastRow - firstRow, width};
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.area()) * 3);
    inParallel(extent.height, extent.area() * taps.stride * 3,
               [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t y = begin; y < end; ++y) {
                       const std::uint8_t* source = image.row(firstRow + y);
                       std::uint8_t* target = pixels.data() + y * width * 3;
                       for (std::int64_t x = 0; x < width; ++x) {
                           const Taps::Window window = taps.windows[static_cast<std::size_t>(x)];
                           const std::int32_t* weights = taps.of(x);
                           const std::uint8_t* from = source + window.first * 3;
                           std::int32_t red = half;
                           std::int32_t green = half;
                           std::int32_t blue = half;
                           for (std::int64_t k = 0; k < window.count; ++k) {
                               red += from[3 * k] * weights[k];
                               green += from[3 * k + 1] * weights[k];
                               blue += from[3 * k + 2] * weights[k];
                           }
                           target[3 * x] = toLevel(red);
                           target[3 * x + 1] = toLevel(green);
                           target[3 * x + 2] = toLevel(blue);
                       }
                   }
               });
    return {extent, std::move(pixels)};
}

/// `image` starts at row `firstRow` of the picture that `taps` were made for.
Image resizeHeight(const Image& image, const Taps& taps, std::int64_t firstRow) {
    const Extent extent{static_cast<std::int64_t>(taps.windows.size()), image.width()};
    const auto samples = static_cast<std::size_t>(extent.width) * 3;
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.height) * samples);
    inParallel(
        extent.height, extent.area() * taps.stride * 3, [&](std::int64_t begin, std::int64_t end) {
            std::vector<std::int32_t> sums(samples);
            for (std::int64_t y = begin; y < end; ++y) {
                const Taps::Window window = taps.windows[static_cast<std::size_t>(y)];
                std::fill(sums.begin(), sums.end(), half);
                for (std::int64_t k = 0; k < window.count; ++k) {
                    const std::uint8_t* source = image.row(window.first - firstRow + k);
                    const std::int32_t weight = taps.of(y)[k];
                    for (std::size_t i = 0; i < samples; ++i)
                        sums[i] += source[i] * weight;
                }
                std::transform(sums.begin(), sums.end(),
                               pixels.begin() + y * static_cast<std::int64_t>(samples), toLevel);
            }
        });
    return {extent, std::move(pixels)};
}

} // namespace

Image pillowResize(const Image& image, Extent size, PillowFilter filter) {
    if (image.empty() || size.height <= 0 || size.width <= 0)
        throw std::invalid_argument("resizing needs a picture and a size that are not empty");
    const Kernel kernel = kernelOf(filter);
    // An axis that keeps its size is not touched.
    const bool changesWidth = size.width != image.width();
    const bool changesHeight = size.height != image.height();
    if (!changesWidth && !changesHeight) return image;
    if (!changesWidth) return resizeHeight(image, tapsFor(image.height(), size.height, kernel), 0);
    const Taps columns = tapsFor(image.width(), size.width, kernel);
    if (!changesHeight) return resizeWidth(image, columns, 0, image.height());
    const Taps rows = tapsFor(image.height(), size.height, kernel);
    // The order of the passes shows, since each rounds to 8 bits.
    if (size.height < image.height() &&
        image.height() - size.height > 2 * (image.width() - size.width)) {
        const Image lower = resizeHeight(image, rows, 0);
        return resizeWidth(lower, columns, 0, size.height);
    }
    const Image narrower = resizeWidth(image, columns, rows.firstInput(), rows.lastInput());
    return resizeHeight(narrower, rows, rows.firstInput());
}

Extent torchvisionResizedExtent(Extent original, std::int64_t shortSide) {
    const auto longSide = [&](std::int64_t longer, std::int64_t shorter) {
        return static_cast<std::int64_t>(static_cast<double>(shortSide * longer) /
                                         static_cast<double>(shorter));
    };
    if (original.width <= original.height)
        return {longSide(original.height, original.width), shortSide};
    return {shortSide, longSide(original.width, original.height)};
}

Rect centeredRect(Extent original, Extent size) {
    const auto offset = [](std::int64_t n, std::int64_t kept) {
        // Rounds half to even, as Python's round() does.
        return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(n - kept) / 2.0));
    };
    return {offset(original.width, size.width), offset(original.height, size.height), size.width,
            size.height};
}

Image centerCrop(const Image& image, Extent size) {
    return crop(image, centeredRect(image.extent(), size));
}

Image crop(const Image& image, const Rect& rect) {
    if (!contains(image.extent(), rect))
        throw std::invalid_argument("the rectangle to crop lies outside the picture");
    if (rect == wholeOf(image.extent())) return image;
    const auto rowBytes = static_cast<std::size_t>(rect.width) * 3;
    std::vector<std::uint8_t> pixels(rowBytes * static_cast<std::size_t>(rect.height));
    for (std::int64_t y = 0; y < rect.height; ++y)
        std::memcpy(pixels.data() + static_cast<std::size_t>(y) * rowBytes,
                    image.row(rect.y + y) + rect.x * 3, rowBytes);
    return {{rect.height, rect.width}, std::move(pixels)};
}

} // namespace loftscope
