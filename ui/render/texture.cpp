// SPDX-License-Identifier: Apache-2.0
#include "ui/render/texture.h"

#include "ui/render/gl_functions.h"

#include <QOpenGLContext>
#include <QOpenGLVersionFunctionsFactory>

#include <algorithm>
#include <array>
#include <vector>

namespace loftscope {
namespace {

/// Uploads happen between the binding of a draw's textures and the draw: on a unit of their own
/// they replace none of them.
constexpr int uploadUnit = 7;

} // namespace

QOpenGLFunctions_3_3_Core* glFunctions() {
    QOpenGLContext* context = QOpenGLContext::currentContext();
    if (context == nullptr) return nullptr;
    return QOpenGLVersionFunctionsFactory::get<QOpenGLFunctions_3_3_Core>(context);
}

Texture::Texture(std::uint32_t target)
    : target_(target) {
    auto* gl = glFunctions();
    gl->glGenTextures(1, &id_);
    bind(uploadUnit);
    gl->glTexParameteri(target_, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    gl->glTexParameteri(target_, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    gl->glTexParameteri(target_, GL_TEXTURE_MAX_LEVEL, 0);
    setFilter(Filter::Smooth, true);
}

void Texture::bind(int unit) const {
    auto* gl = glFunctions();
    gl->glActiveTexture(GL_TEXTURE0 + static_cast<GLenum>(unit));
    gl->glBindTexture(target_, id_);
}

void Texture::setFilter(Filter filter, bool minified) const {
    auto* gl = glFunctions();
    // The same for both directions: a driver in software then need not tell them apart per pixel.
    const GLint mode = filter == Filter::Smooth || minified ? GL_LINEAR : GL_NEAREST;
    gl->glTexParameteri(target_, GL_TEXTURE_MIN_FILTER, mode);
    gl->glTexParameteri(target_, GL_TEXTURE_MAG_FILTER, mode);
}

void Texture::release() {
    // Without a context the name is gone already, together with its context.
    if (auto* gl = id_ != 0 ? glFunctions() : nullptr) gl->glDeleteTextures(1, &id_);
    id_ = 0;
}

PhotoTile::PhotoTile(const Image& picture, const Rect& rect)
    : rect_(rect)
    , texture_(GL_TEXTURE_2D) {
    const auto width = rect.width + 2;
    const auto height = rect.height + 2;
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width * height * 4));
    std::uint8_t* target = pixels.data();
    for (std::int64_t y = rect.y - 1; y <= rect.bottom(); ++y) {
        const std::uint8_t* row = picture.row(std::clamp<std::int64_t>(y, 0, picture.height() - 1));
        for (std::int64_t x = rect.x - 1; x <= rect.right(); ++x) {
            const std::uint8_t* source =
                row + 3 * std::clamp<std::int64_t>(x, 0, picture.width() - 1);
            *target++ = source[0];
            *target++ = source[1];
            *target++ = source[2];
            *target++ = 255;
        }
    }
    auto* gl = glFunctions();
    gl->glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
    gl->glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, static_cast<GLsizei>(width),
                     static_cast<GLsizei>(height), 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels.data());
}

double PhotoTile::coordX(double pictureX) const {
    return (pictureX - static_cast<double>(rect_.x) + 1) / static_cast<double>(rect_.width + 2);
}

double PhotoTile::coordY(double pictureY) const {
    return (pictureY - static_cast<double>(rect_.y) + 1) / static_cast<double>(rect_.height + 2);
}

MapTexture::MapTexture(const MapBuffer& map, int largestSide)
    : values_(GL_TEXTURE_2D_ARRAY)
    , coverage_(GL_TEXTURE_2D) {
    auto* gl = glFunctions();
    if (largestSide <= 0) gl->glGetIntegerv(GL_MAX_TEXTURE_SIZE, &largestSide);
    const std::int64_t side = std::max(map.extent().height, map.extent().width);
    step_ = std::max<std::int64_t>(1, (side + largestSide - 1) / largestSide);
    const auto width = static_cast<GLsizei>((map.extent().width + step_ - 1) / step_);
    const auto height = static_cast<GLsizei>((map.extent().height + step_ - 1) / step_);
    values_.bind(uploadUnit);
    gl->glTexImage3D(GL_TEXTURE_2D_ARRAY, 0, GL_R32F, width, height, map.channels(), 0, GL_RED,
                     GL_FLOAT, nullptr);
    coverage_.bind(uploadUnit);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    gl->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    gl->glTexImage2D(GL_TEXTURE_2D, 0, GL_R8, width, height, 0, GL_RED, GL_UNSIGNED_BYTE, nullptr);
    upload(map, wholeOf(map.extent()));
    revision_ = map.revision();
}

void MapTexture::update(const MapBuffer& map) {
    for (const Rect& rect : map.changesSince(revision_))
        upload(map, rect);
    revision_ = map.revision();
}

void MapTexture::upload(const MapBuffer& map, const Rect& rect) {
    // The stored pixels whose place in the map lies inside the rectangle.
    const std::int64_t left = (rect.x + step_ - 1) / step_;
    const std::int64_t top = (rect.y + step_ - 1) / step_;
    const std::int64_t width = (rect.right() + step_ - 1) / step_ - left;
    const std::int64_t height = (rect.bottom() + step_ - 1) / step_ - top;
    if (width <= 0 || height <= 0) return;
    auto* gl = glFunctions();
    const std::int64_t mapWidth = map.extent().width;
    const auto gathered = [&](const auto* source, auto& target) {
        std::size_t i = 0;
        for (std::int64_t y = top; y < top + height; ++y) {
            for (std::int64_t x = left; x < left + width; ++x) {
                target[i++] = source[y * step_ * mapWidth + x * step_];
            }
        }
        return target.data();
    };
    std::vector<float> values(static_cast<std::size_t>(width * height));
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(width * height));
    gl->glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    values_.bind(uploadUnit);
    for (int c = 0; c < map.channels(); ++c) {
        gl->glTexSubImage3D(GL_TEXTURE_2D_ARRAY, 0, static_cast<GLint>(left),
                            static_cast<GLint>(top), c, static_cast<GLsizei>(width),
                            static_cast<GLsizei>(height), 1, GL_RED, GL_FLOAT,
                            gathered(map.channel(c).data(), values));
    }
    coverage_.bind(uploadUnit);
    gl->glTexSubImage2D(GL_TEXTURE_2D, 0, static_cast<GLint>(left), static_cast<GLint>(top),
                        static_cast<GLsizei>(width), static_cast<GLsizei>(height), GL_RED,
                        GL_UNSIGNED_BYTE, gathered(map.coverage().data(), bytes));
    gl->glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
}

Texture colorMapTexture(ColorMap map) {
    std::array<std::uint8_t, std::size_t{256} * 4> pixels{};
    for (std::size_t i = 0; i < 256; ++i) {
        const auto color = colorAt(map, static_cast<float>(i) / 255);
        std::copy(color.begin(), color.end(), pixels.begin() + static_cast<std::ptrdiff_t>(4 * i));
        pixels[4 * i + 3] = 255;
    }
    Texture texture(GL_TEXTURE_2D);
    glFunctions()->glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 256, 1, 0, GL_RGBA, GL_UNSIGNED_BYTE,
                                pixels.data());
    return texture;
}

} // namespace loftscope
