// SPDX-License-Identifier: Apache-2.0
// The shaders against the same maths on the CPU, pixel by pixel.
#include "ui/render/gl_functions.h"
#include "ui/render/layer.h"

#include <QImage>
#include <QOffscreenSurface>
#include <QOpenGLContext>
#include <QOpenGLFramebufferObject>
#include <glm/common.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace loftscope {
namespace {

constexpr int screenWidth = 90;
constexpr int screenHeight = 70;
const Box screen{{0, 0}, {screenWidth, screenHeight}};
const Rgb untouched{0.2F, 0.4F, 0.6F};

std::vector<float> randomValues(std::size_t count, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-2, 2);
    std::vector<float> values(count);
    for (float& value : values)
        value = uniform(random);
    return values;
}

Image randomPhoto(Extent extent) {
    std::mt19937 random(7);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.area() * 3));
    for (std::uint8_t& value : pixels)
        value = static_cast<std::uint8_t>(random() & 255U);
    return {extent, std::move(pixels)};
}

struct LayerGlTest : ::testing::Test {
    QOffscreenSurface surface;
    QOpenGLContext context;
    std::unique_ptr<QOpenGLFramebufferObject> target;
    std::unique_ptr<LayerRenderer> renderer;

    void SetUp() override {
        surface.create();
        ASSERT_TRUE(context.create());
        ASSERT_TRUE(context.makeCurrent(&surface));
        target = std::make_unique<QOpenGLFramebufferObject>(screenWidth, screenHeight);
        renderer = std::make_unique<LayerRenderer>();
        ASSERT_EQ(renderer->error(), QString());
    }
    void TearDown() override {
        renderer.reset();
        target.reset();
        EXPECT_EQ(glFunctions()->glGetError(), static_cast<GLenum>(GL_NO_ERROR));
        context.doneCurrent();
    }

    QImage drawn(const Layer& layer, const View& view, const Box& clip = screen) {
        auto* gl = glFunctions();
        target->bind();
        gl->glViewport(0, 0, screenWidth, screenHeight);
        gl->glClearColor(untouched[0], untouched[1], untouched[2], 1);
        gl->glClear(GL_COLOR_BUFFER_BIT);
        renderer->beginFrame();
        renderer->draw(layer, ViewTransform(view, {screen, 1}), clip, {screenHeight, screenWidth});
        return target->toImage();
    }

    /// Every pixel of the screen has the colour that `expected` gives for its photo point.
    static void expectColors(const QImage& image, const View& view,
                             const std::function<Rgb(glm::dvec2)>& expected, double levels = 2) {
        const ViewTransform transform(view, {screen, 1});
        int wrong = 0;
        for (int y = 0; y < screenHeight; ++y) {
            for (int x = 0; x < screenWidth; ++x) {
                const glm::dvec2 pixel = transform.pixelFromWidget({x + 0.5, y + 0.5});
                const Rgb color = expected(pixel);
                const QColor actual = image.pixelColor(x, y);
                const std::array<int, 3> got{actual.red(), actual.green(), actual.blue()};
                for (std::size_t c = 0; c < 3; ++c) {
                    const double want = static_cast<double>(color[c]) * 255;
                    if (std::abs(want - got[c]) <= levels) continue;
                    if (++wrong <= 3) {
                        ADD_FAILURE() << "pixel " << x << ", " << y << " channel " << c << ": "
                                      << got[c] << " instead of " << want;
                    }
                }
            }
        }
        EXPECT_EQ(wrong, 0);
    }
};

Pixel mapPixel(const MapBuffer& map, const Box& region, glm::dvec2 point) {
    return pixelContaining((point - region.origin) / region.size * boxOf(map.extent()).size,
                           map.extent());
}

std::vector<float> scoresAt(const MapBuffer& map, Pixel pixel) {
    std::vector<float> scores;
    for (int c = 0; c < map.channels(); ++c)
        scores.push_back(map.at(c, pixel));
    return scores;
}

double bilinearAt(const MapBuffer& map, int channel, glm::dvec2 place) {
    const glm::dvec2 last = boxOf(map.extent()).size - 1.0;
    const glm::dvec2 p = glm::clamp(place - 0.5, glm::dvec2(0), last);
    const glm::dvec2 low = glm::floor(p);
    const glm::dvec2 high = glm::min(low + 1.0, last);
    const glm::dvec2 f = p - low;
    const auto at = [&](double x, double y) {
        return static_cast<double>(
            map.at(channel, {static_cast<std::int64_t>(x), static_cast<std::int64_t>(y)}));
    };
    return (1 - f.y) * ((1 - f.x) * at(low.x, low.y) + f.x * at(high.x, low.y)) +
           f.y * ((1 - f.x) * at(low.x, high.y) + f.x * at(high.x, high.y));
}

Layer scoresLayer() {
    Layer layer;
    layer.kind = LayerKind::Scores;
    layer.map = MapBuffer::whole(5, {7, 9}, randomValues(5 * 63));
    layer.region = {{0, 0}, {90, 70}};
    layer.scores.components = {4, 0, 2};
    layer.scores.ranges = {ValueRange{-1, 1.5F}, ValueRange{-2, 2}, ValueRange{0, 1}};
    return layer;
}

/// Photo pixels of 2.75 screen pixels: no sample falls on a border between map pixels.
const View view{{31.3, 22.7}, 2.75, false};

TEST_F(LayerGlTest, PhotoPixelsAreShownWhereTheyAre) {
    Layer layer;
    layer.kind = LayerKind::Photo;
    const Image photo = randomPhoto({60, 80});
    layer.photo = ImagePyramid::of(photo);
    expectColors(drawn(layer, view), view, [&](glm::dvec2 point) {
        const Pixel pixel = pixelContaining(point, photo.extent());
        const std::uint8_t* rgb = photo.row(pixel.y) + 3 * pixel.x;
        return Rgb{rgb[0] / 255.0F, rgb[1] / 255.0F, rgb[2] / 255.0F};
    });
}

TEST_F(LayerGlTest, SmoothPhotosHaveNoSeamBetweenTextureTiles) {
    Layer layer;
    layer.kind = LayerKind::Photo;
    layer.filter = Filter::Smooth;
    const Image photo = randomPhoto({30, 1100});
    layer.photo = ImagePyramid::of(photo);
    std::vector<float> values;
    for (std::size_t c = 0; c < 3; ++c) {
        for (std::size_t i = c; i < photo.pixels().size(); i += 3)
            values.push_back(photo.pixels()[i]);
    }
    const auto reference = MapBuffer::whole(3, photo.extent(), values);
    const View atBorder{{512.2, 15.1}, 3.3, false};
    const Box inPhoto = boxOf(photo.extent());
    expectColors(
        drawn(layer, atBorder), atBorder,
        [&](glm::dvec2 point) {
            if (!inPhoto.contains(point)) return untouched;
            Rgb color{};
            for (int c = 0; c < 3; ++c) {
                color[static_cast<std::size_t>(c)] =
                    static_cast<float>(bilinearAt(*reference, c, point) / 255);
            }
            return color;
        },
        2.5);
}

TEST_F(LayerGlTest, AMinifiedPhotoIsAveragedInsteadOfSkipped) {
    Layer layer;
    layer.kind = LayerKind::Photo;
    std::vector<std::uint8_t> stripes;
    for (int i = 0; i < 1040 * 1040; ++i) {
        const auto level = static_cast<std::uint8_t>(i % 2 == 0 ? 255 : 0);
        stripes.insert(stripes.end(), 3, level);
    }
    layer.photo = ImagePyramid::of(Image({1040, 1040}, std::move(stripes)));
    const View far{{520, 520}, 0.25, false};
    expectColors(drawn(layer, far), far, [](glm::dvec2) { return Rgb{0.5F, 0.5F, 0.5F}; });
}

TEST_F(LayerGlTest, ScoresLinear) {
    Layer layer = scoresLayer();
    layer.scores.flipped = {false, true, false};
    layer.scores.whitening = {1, 0.5F, 2};
    expectColors(drawn(layer, view), view, [&](glm::dvec2 point) {
        return colorOf(layer.scores,
                       scoresAt(*layer.map, mapPixel(*layer.map, layer.region, point)));
    });
}

TEST_F(LayerGlTest, ScoresSigmoidWithMask) {
    Layer layer = scoresLayer();
    layer.scores.scaling = ScoreScaling::Sigmoid;
    layer.scores.flipped = {true, false, false};
    layer.scores.whitening = {0.7F, 1.3F, 1};
    for (const bool above : {true, false}) {
        layer.scores.mask = {true, 3, 0.25F, above};
        expectColors(drawn(layer, view), view, [&](glm::dvec2 point) {
            return colorOf(layer.scores,
                           scoresAt(*layer.map, mapPixel(*layer.map, layer.region, point)));
        });
    }
}

TEST_F(LayerGlTest, ScoresSmooth) {
    Layer layer = scoresLayer();
    layer.filter = Filter::Smooth;
    expectColors(drawn(layer, view), view, [&](glm::dvec2 point) {
        std::vector<float> scores;
        for (int c = 0; c < 5; ++c) {
            scores.push_back(static_cast<float>(bilinearAt(*layer.map, c, point / 10.0)));
        }
        return colorOf(layer.scores, scores);
    });
}

TEST_F(LayerGlTest, ScalarsInEveryColorMapWithNotANumber) {
    Layer layer;
    layer.kind = LayerKind::Scalar;
    std::vector<float> values = randomValues(2 * 63);
    values[63 + 22] = std::numeric_limits<float>::quiet_NaN();
    layer.map = MapBuffer::whole(2, {7, 9}, values);
    layer.region = {{0, 0}, {90, 70}};
    layer.scalar.channel = 1;
    layer.scalar.range = {-1.5F, 1};
    for (const ColorMap map : allColorMaps()) {
        layer.scalar.map = map;
        expectColors(
            drawn(layer, view), view,
            [&](glm::dvec2 point) {
                return colorOf(layer.scalar,
                               layer.map->at(1, mapPixel(*layer.map, layer.region, point)));
            },
            3);
    }
}

TEST_F(LayerGlTest, OverlayMixesMapAndPhoto) {
    const Image photo = randomPhoto({60, 80});
    Layer layer;
    layer.kind = LayerKind::Scalar;
    layer.photo = ImagePyramid::of(photo);
    layer.map = MapBuffer::whole(1, {1, 1}, {0.6F});
    layer.region = boxOf(photo.extent());
    layer.opacity = 0.35F;
    const View aligned{{40, 30}, 1, false};
    for (const bool byValue : {false, true}) {
        layer.scalar.opacityByValue = byValue;
        const float alpha = byValue ? 0.35F * 0.6F : 0.35F;
        const Rgb over = colorOf(layer.scalar, 0.6F);
        const Box inPhoto = boxOf(photo.extent());
        expectColors(
            drawn(layer, aligned), aligned,
            [&](glm::dvec2 point) {
                if (!inPhoto.contains(point)) return untouched;
                const Pixel pixel = pixelContaining(point, photo.extent());
                const std::uint8_t* rgb = photo.row(pixel.y) + 3 * pixel.x;
                Rgb color{};
                for (std::size_t c = 0; c < 3; ++c) {
                    color[c] = (1 - alpha) * static_cast<float>(rgb[c]) / 255 + alpha * over[c];
                }
                return color;
            },
            2.5);
    }
}

TEST_F(LayerGlTest, DifferencesOfMapsOfDifferentResolutionAndCrop) {
    Layer layer;
    layer.kind = LayerKind::Difference;
    layer.map = MapBuffer::whole(3, {7, 9}, randomValues(3 * 63, 2));
    layer.other = MapBuffer::whole(4, {5, 4}, randomValues(4 * 20, 3));
    layer.region = {{0, 0}, {90, 70}};
    layer.otherRegion = {{15, 5}, {40, 50}};
    layer.scalar.channel = 2;
    layer.otherChannel = 1;
    layer.scalar.map = ColorMap::BlueRed;
    layer.scalar.range = {-2, 2};
    for (const bool reversed : {false, true}) {
        layer.scalar.reversed = reversed;
        layer.otherSign = reversed ? -1.0F : 1.0F;
        expectColors(
            drawn(layer, view), view,
            [&](glm::dvec2 point) {
                if (!layer.otherRegion.contains(point)) return untouched;
                const Pixel a = mapPixel(*layer.map, layer.region, point);
                const Pixel b = mapPixel(*layer.other, layer.otherRegion, point);
                return colorOf(layer.scalar,
                               layer.map->at(2, a) - layer.otherSign * layer.other->at(1, b));
            },
            3);
    }
}

TEST_F(LayerGlTest, MissingTilesShowTheFallbackSmoothlyAndAHatchedCorner) {
    Layer layer;
    layer.kind = LayerKind::Scalar;
    const auto map = std::make_shared<MapBuffer>(1, Extent{70, 90}, Extent{70, 45});
    layer.map = map;
    layer.fallback = MapBuffer::whole(1, {7, 9}, randomValues(63));
    layer.region = {{0, 0}, {90, 70}};
    layer.scalar.map = ColorMap::Gray;
    layer.scalar.range = {-2, 2};
    const View whole{{45, 35}, 1, false};
    const auto fallbackColor = [&](glm::dvec2 point) {
        return colorOf(layer.scalar,
                       static_cast<float>(bilinearAt(*layer.fallback, 0, point / 10.0)));
    };
    const auto inCorner = [](glm::dvec2 point) {
        return std::fmod(point.x, 45) / 45 - point.y / 70 >= 0.69;
    };
    const QImage pending = drawn(layer, whole);
    int hatched = 0;
    int corner = 0;
    const ViewTransform transform(whole, {screen, 1});
    for (int y = 0; y < screenHeight; ++y) {
        for (int x = 0; x < screenWidth; ++x) {
            const glm::dvec2 point = transform.pixelFromWidget({x + 0.5, y + 0.5});
            const double want = static_cast<double>(fallbackColor(point)[0]) * 255;
            const bool differs = std::abs(pending.pixelColor(x, y).red() - want) > 3;
            if (inCorner(point)) {
                ++corner;
                hatched += differs ? 1 : 0;
            } else {
                ASSERT_FALSE(differs) << x << ", " << y;
            }
        }
    }
    EXPECT_GT(hatched, corner / 8);
    EXPECT_LT(hatched, corner / 2);

    // The left tile arrives: it replaces the fallback there, the right one stays as it was.
    ASSERT_TRUE(map->put({0, 0, 45, 70}, std::vector<float>(45 * 70, 2.0F)));
    const QImage half = drawn(layer, whole);
    EXPECT_EQ(half.pixelColor(20, 30), QColor(Qt::white));
    EXPECT_EQ(half.pixelColor(40, 3), QColor(Qt::white)) << "no hatch on what has arrived";
    EXPECT_EQ(half.pixelColor(60, 30), pending.pixelColor(60, 30));
}

TEST_F(LayerGlTest, WithoutAFallbackTheMissingPartIsLeftAlone) {
    Layer layer;
    layer.kind = LayerKind::Scalar;
    const auto map = std::make_shared<MapBuffer>(1, Extent{70, 90});
    layer.map = map;
    layer.region = {{0, 0}, {90, 70}};
    map->put({0, 0, 30, 70}, std::vector<float>(30 * 70, 1.0F));
    const QImage image = drawn(layer, {{45, 35}, 1, false});
    const QColor background = QColor::fromRgbF(untouched[0], untouched[1], untouched[2]);
    EXPECT_NE(image.pixelColor(10, 60), background);
    EXPECT_EQ(image.pixelColor(60, 60), background);
}

TEST_F(LayerGlTest, NothingOutsideTheClipIsTouched) {
    Layer layer = scoresLayer();
    layer.photo = ImagePyramid::of(randomPhoto({70, 90}));
    layer.opacity = 0.5F;
    const Box clip{{20, 10}, {31, 22}};
    const QImage image = drawn(layer, {{45, 35}, 1, false}, clip);
    const QColor background = QColor::fromRgbF(untouched[0], untouched[1], untouched[2]);
    for (int y = 0; y < screenHeight; ++y) {
        for (int x = 0; x < screenWidth; ++x) {
            const bool inside = clip.contains({x + 0.5, y + 0.5});
            ASSERT_EQ(image.pixelColor(x, y) != background, inside) << x << ", " << y;
        }
    }
}

TEST_F(LayerGlTest, DataAtTheAddressOfFreedDataIsUploadedAnew) {
    Layer layer;
    layer.kind = LayerKind::Scalar;
    layer.region = {{0, 0}, {90, 70}};
    layer.scalar.map = ColorMap::Gray;
    for (int round = 0; round < 8; ++round) {
        const float value = round % 2 == 0 ? 0.0F : 1.0F;
        layer.map.reset();
        layer.map = MapBuffer::whole(1, {1, 1}, {value});
        const QImage image = drawn(layer, {{45, 35}, 1, false});
        ASSERT_EQ(image.pixelColor(40, 30), QColor(round % 2 == 0 ? Qt::black : Qt::white));
    }
}

TEST_F(LayerGlTest, MapsLargerThanTheDriverAllowsAreThinnedOut) {
    std::vector<float> values(static_cast<std::size_t>(6 * 21));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(i);
    MapBuffer map(1, {6, 21});
    MapTexture texture(map, 8);
    EXPECT_EQ(texture.step(), 3);
    map.put({0, 0, 10, 6}, std::vector<float>(60, -1));
    map.put(wholeOf(map.extent()), values);
    texture.update(map);
    texture.values().bind(0);
    std::vector<float> stored(2 * 7);
    glFunctions()->glGetTexImage(GL_TEXTURE_2D_ARRAY, 0, GL_RED, GL_FLOAT, stored.data());
    for (std::size_t y = 0; y < 2; ++y) {
        for (std::size_t x = 0; x < 7; ++x)
            EXPECT_EQ(stored[y * 7 + x], values[3 * y * 21 + 3 * x]);
    }
}

} // namespace
} // namespace loftscope
