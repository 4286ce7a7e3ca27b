// SPDX-License-Identifier: Apache-2.0
#include "core/image/prepare.h"

#include "core/base/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::int64_t maximalSide = 32768;

std::int64_t nearestMultiple(double length, std::int64_t patch) {
    const auto patches = std::llround(length / static_cast<double>(patch));
    return std::max<std::int64_t>(patches, 1) * patch;
}

Result<void> checkSize(const Image& photo, Extent size) {
    if (photo.empty())
        return fail(ErrorCode::InvalidArgument, "The photo has no pixels: choose another one.");
    if (size.height <= 0 || size.width <= 0)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("A picture of {} x {} pixels cannot be made: give a positive size.",
                                size.width, size.height));
    if (size.height > maximalSide || size.width > maximalSide)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("The {} x {} photo would become {} x {} pixels, more than {} on a "
                                "side: ask for a smaller size.",
                                photo.width(), photo.height(), size.width, size.height,
                                maximalSide));
    return {};
}

/// Pixel of an axis of `to` pixels that lies under the centre of pixel `i` of the same axis cut
/// into `from` pixels.
std::int64_t rescaled(std::int64_t i, std::int64_t from, std::int64_t to) {
    const std::int64_t numerator = (2 * i + 1) * to;
    const std::int64_t denominator = 2 * from;
    const std::int64_t quotient = numerator / denominator;
    return numerator % denominator < 0 ? quotient - 1 : quotient;
}

} // namespace

Pixel PhotoMapping::preparedFromPhoto(const Pixel& pixel) const {
    return {rescaled(pixel.x, photo.width, resized.width) - kept.x,
            rescaled(pixel.y, photo.height, resized.height) - kept.y};
}

Pixel PhotoMapping::photoFromPrepared(const Pixel& pixel) const {
    return {rescaled(pixel.x + kept.x, resized.width, photo.width),
            rescaled(pixel.y + kept.y, resized.height, photo.height)};
}

std::string PhotoMapping::describe() const {
    std::string text = fmt::format("{} x {} photo", photo.width, photo.height);
    text += resized == photo ? ", not resized"
                             : fmt::format(", resized to {} x {}", resized.width, resized.height);
    if (cropped())
        text += fmt::format(", cropped to {} x {} at ({}, {})", kept.width, kept.height, kept.x,
                            kept.y);
    return text;
}

Result<PreparedPicture> preparePicture(const Image& photo, const PrepareRequest& request) {
    if (request.patch <= 0 || request.shortSide <= 0)
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("A short side of {} pixels in patches of {} makes no sense: give positive "
                        "numbers.",
                        request.shortSide, request.patch));
    // Checked before the arithmetic, so that absurd requests cannot overflow it.
    LOFTSCOPE_CHECK(checkSize(photo, {request.shortSide, request.patch}));
    const std::int64_t shortSide =
        nearestMultiple(static_cast<double>(request.shortSide), request.patch);
    PhotoMapping mapping{.photo = photo.extent(), .resized = {}, .kept = {}};
    if (request.fit == FitRule::CenterSquare) {
        mapping.resized = torchvisionResizedExtent(photo.extent(), shortSide);
        mapping.kept = centeredRect(mapping.resized, {shortSide, shortSide});
    } else {
        const auto [shorter, longer] = std::minmax({photo.height(), photo.width()});
        const std::int64_t longSide =
            nearestMultiple(static_cast<double>(shortSide) * static_cast<double>(longer) /
                                static_cast<double>(shorter),
                            request.patch);
        mapping.resized = photo.height() < photo.width() ? Extent{shortSide, longSide}
                                                         : Extent{longSide, shortSide};
        mapping.kept = wholeOf(mapping.resized);
    }
    LOFTSCOPE_CHECK(checkSize(photo, mapping.resized));
    return guarded("resizing the photo", [&] {
        const Image resized = pillowResize(photo, mapping.resized, request.filter);
        return PreparedPicture{crop(resized, mapping.kept), mapping};
    });
}

Result<PreparedPicture> preparePictureLike(const Image& photo, const PhotoMapping& mapping,
                                           Extent extent, PillowFilter filter) {
    LOFTSCOPE_CHECK(checkSize(photo, extent));
    if (photo.extent() != mapping.photo || !contains(mapping.resized, mapping.kept))
        return fail(ErrorCode::Mismatch,
                    "The crop belongs to a photo of another size: prepare that photo again.");
    struct Axis {
        std::int64_t resized;
        std::int64_t offset;
    };
    // The same crop, scaled; exact whenever the sizes divide.
    const auto scaled = [](std::int64_t resized, std::int64_t offset, std::int64_t kept,
                           std::int64_t target) {
        const double scale = static_cast<double>(target) / static_cast<double>(kept);
        const std::int64_t whole =
            std::max<std::int64_t>(std::llround(static_cast<double>(resized) * scale), target);
        const std::int64_t start = std::llround(static_cast<double>(offset) * scale);
        return Axis{whole, std::clamp<std::int64_t>(start, 0, whole - target)};
    };
    const Axis x = scaled(mapping.resized.width, mapping.kept.x, mapping.kept.width, extent.width);
    const Axis y =
        scaled(mapping.resized.height, mapping.kept.y, mapping.kept.height, extent.height);
    const PhotoMapping like{.photo = photo.extent(),
                            .resized = {y.resized, x.resized},
                            .kept = {x.offset, y.offset, extent.width, extent.height}};
    LOFTSCOPE_CHECK(checkSize(photo, like.resized));
    return guarded("resizing the photo", [&] {
        return PreparedPicture{crop(pillowResize(photo, like.resized, filter), like.kept), like};
    });
}

} // namespace loftscope
