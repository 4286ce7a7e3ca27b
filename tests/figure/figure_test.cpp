// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/figure_layout.h"
#include "ui/figure/figure_painter.h"
#include "ui/figure/figure_text.h"
#include "ui/figure/gui_application.h"

#include <QFile>
#include <QFontInfo>
#include <QFontMetricsF>
#include <QGuiApplication>
#include <QImage>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <clocale>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Color = std::array<int, 3>;

/// Every cell has a colour of its own.
Image cells(Extent extent) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x) {
            pixels.push_back(static_cast<std::uint8_t>(x * 5 % 256));
            pixels.push_back(static_cast<std::uint8_t>(y * 5 % 256));
            pixels.push_back(static_cast<std::uint8_t>((x * 31 + y * 17) % 256));
        }
    return {extent, std::move(pixels)};
}

Image plain(Extent extent, Color color = {90, 120, 150}) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t i = 0; i < extent.area(); ++i)
        for (const int level : color)
            pixels.push_back(static_cast<std::uint8_t>(level));
    return {extent, std::move(pixels)};
}

Color at(const Image& image, qreal x, qreal y) {
    const std::uint8_t* pixel =
        image.row(static_cast<std::int64_t>(y)) + 3 * static_cast<std::int64_t>(x);
    return {pixel[0], pixel[1], pixel[2]};
}

/// True if all pixels of the place (at 1x) are white.
bool isBlank(const Image& image, const QRectF& place, qreal scale) {
    for (qreal y = place.top() * scale; y < place.bottom() * scale; ++y)
        for (qreal x = place.left() * scale; x < place.right() * scale; ++x)
            if (at(image, x, y) != Color{255, 255, 255}) return false;
    return true;
}

FigurePane paneOf(Image picture, std::string title = "Title", std::string subtitle = "") {
    FigurePane pane;
    pane.picture = std::move(picture);
    pane.title = std::move(title);
    pane.subtitle = std::move(subtitle);
    return pane;
}

class Figure : public testing::Test {
protected:
    static void SetUpTestSuite() { ASSERT_TRUE(ensureGuiApplication()); }

    static FigureLayout layoutOf(const FigureSpec& spec) {
        auto layout = layOut(spec);
        EXPECT_TRUE(layout) << layout.error().message;
        return layout.value_or(FigureLayout{});
    }
    static Image paintingOf(const FigureSpec& spec) {
        auto image = paintFigure(spec);
        EXPECT_TRUE(image) << image.error().message;
        return image.value_or(Image{});
    }

    /// Nothing overlaps, nothing leaves the page, and whatever is given has its place.
    static void expectTidy(const FigureSpec& spec, const FigureLayout& layout) {
        std::vector<QRectF> places{layout.title};
        ASSERT_EQ(layout.panes.size(), spec.panes.size());
        for (std::size_t i = 0; i < spec.panes.size(); ++i) {
            const PaneLayout& pane = layout.panes[i];
            places.insert(places.end(), {pane.title, pane.subtitle, pane.box});
            EXPECT_EQ(pane.title.isEmpty(), spec.panes[i].title.empty());
            EXPECT_EQ(pane.subtitle.isEmpty(), spec.panes[i].subtitle.empty());
            EXPECT_EQ(pane.bar.has_value(), spec.panes[i].bar.has_value());
            EXPECT_TRUE(pane.box.adjusted(-0.01, -0.01, 0.01, 0.01).contains(pane.picture));
            EXPECT_FALSE(pane.picture.isEmpty());
            if (pane.bar) places.insert(places.end(), {pane.bar->bar, pane.bar->unit});
        }
        places.insert(places.end(), layout.notes.begin(), layout.notes.end());
        const QRectF page = QRectF(QPointF(), layout.size).adjusted(8, 8, -8, -8);
        for (std::size_t i = 0; i < places.size(); ++i) {
            if (places[i].isEmpty()) continue;
            EXPECT_TRUE(page.contains(places[i])) << "place " << i;
            for (std::size_t j = i + 1; j < places.size(); ++j)
                EXPECT_FALSE(places[i].intersects(places[j])) << i << " and " << j;
        }
    }
};

TEST_F(Figure, NeedsNoDisplayAndKeepsTheDecimalPoint) {
    EXPECT_EQ(QGuiApplication::platformName(), "offscreen");
    EXPECT_STREQ(std::setlocale(LC_NUMERIC, nullptr), "C");
    EXPECT_TRUE(ensureGuiApplication()) << "a second call does nothing";
}

TEST_F(Figure, BringsItsOwnFonts) {
    EXPECT_TRUE(QFile::exists(":/fonts/DejaVuSans.ttf"));
    EXPECT_TRUE(QFile::exists(":/fonts/DejaVuSans-Bold.ttf"));
    EXPECT_EQ(QFontInfo(figureFont(13)).family(), "DejaVu Sans");
    EXPECT_TRUE(QFontInfo(figureFont(13, Weight::Bold)).bold());
}

TEST_F(Figure, ShrinksThenShortensTextThatIsTooLong) {
    const QFontMetricsF metrics(figureFont(13));
    const std::string text = "Attention of (412, 233)";
    const qreal width = metrics.horizontalAdvance(QString::fromStdString(text));
    EXPECT_EQ(fittedText(text, 13, Weight::Regular, width + 1).font.pixelSize(), 13);
    const FittedText smaller = fittedText(text, 13, Weight::Regular, width * 0.9);
    EXPECT_LT(smaller.font.pixelSize(), 13);
    EXPECT_EQ(smaller.text.toStdString(), text);
    const FittedText shortened = fittedText(text, 13, Weight::Regular, width / 2);
    EXPECT_TRUE(shortened.text.endsWith(QChar(0x2026)));
    EXPECT_LE(QFontMetricsF(shortened.font).horizontalAdvance(shortened.text), width / 2);
    EXPECT_GE(shortened.font.pixelSize(), 10);
    EXPECT_EQ(fittedText("two\nlines", 13, Weight::Regular, 500).text, "two lines");
}

TEST_F(Figure, KeepsTheExactColoursOfCells) {
    for (const double scale : {1.0, 2.0, 3.0, 1.37}) {
        FigureSpec spec;
        spec.panes = {paneOf(cells({37, 50}))};
        spec.scale = scale;
        const Image figure = paintingOf(spec);
        const QRectF place = layoutOf(spec).panes[0].picture;
        const auto width = static_cast<std::int64_t>(std::lround(place.width() * scale));
        const auto height = static_cast<std::int64_t>(std::lround(place.height() * scale));
        const auto left = static_cast<std::int64_t>(std::lround(place.left() * scale));
        const auto top = static_cast<std::int64_t>(std::lround(place.top() * scale));
        const Image& map = spec.panes[0].picture;
        // Every pixel shows the cell under its centre: crisp, in place, never blended.
        std::int64_t wrong = 0;
        for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x)
                wrong += at(figure, static_cast<qreal>(left + x), static_cast<qreal>(top + y)) !=
                         at(map, (static_cast<qreal>(x) + 0.5) * 50 / static_cast<qreal>(width),
                            (static_cast<qreal>(y) + 0.5) * 37 / static_cast<qreal>(height));
        EXPECT_EQ(wrong, 0) << "scale " << scale;
    }
}

TEST_F(Figure, ShowsPhotosSmoothly) {
    FigureSpec spec;
    spec.panes = {paneOf(cells({3, 4}))};
    spec.panes[0].smooth = true;
    const Image figure = paintingOf(spec);
    const QRectF place = layoutOf(spec).panes[0].picture;
    std::set<Color> colors;
    for (qreal x = place.left() * spec.scale; x < place.right() * spec.scale; ++x)
        colors.insert(at(figure, x, place.center().y() * spec.scale));
    EXPECT_GT(colors.size(), 20U);
}

TEST_F(Figure, AveragesMapsThatAreLargerThanTheirPane) {
    // Black and white columns, far more than the pane has pixels: grey, not a pattern.
    std::vector<std::uint8_t> pixels;
    for (int y = 0; y < 400; ++y)
        for (int x = 0; x < 4000; ++x)
            pixels.insert(pixels.end(), 3, x % 2 == 0 ? 0 : 255);
    FigureSpec spec;
    spec.columns = 1;
    spec.panes = {paneOf(Image({400, 4000}, std::move(pixels)))};
    spec.scale = 1;
    const Image figure = paintingOf(spec);
    const QPointF centre = layoutOf(spec).panes[0].picture.center();
    for (int x = -20; x < 20; ++x)
        EXPECT_NEAR(at(figure, centre.x() + x, centre.y())[0], 128, 20);
}

TEST_F(Figure, HasTheSizeItsScaleAsksFor) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({20, 30})), paneOf(plain({20, 30}))};
    spec.paneWidth = 150;
    const FigureLayout layout = layoutOf(spec);
    for (const double scale : {1.0, 2.0, 3.0}) {
        spec.scale = scale;
        const Image figure = paintingOf(spec);
        EXPECT_EQ(figure.width(), std::lround(layout.size.width() * scale));
        EXPECT_EQ(figure.height(), std::lround(layout.size.height() * scale));
    }
    EXPECT_NEAR(layout.panes[0].picture.width(), 150, 0.5);
    EXPECT_NEAR(layout.panes[0].picture.height(), 100, 0.5);
}

TEST_F(Figure, PaintsTitlesSubtitlesAndNotesWhereTheyBelong) {
    FigureSpec spec;
    spec.title = "A figure";
    spec.notes = {"What was cropped.", "What the colours mean."};
    spec.panes = {paneOf(plain({20, 30}), "LoftUp", "224 x 336, own PCA basis")};
    const FigureLayout layout = layoutOf(spec);
    const Image figure = paintingOf(spec);
    FigureSpec wordless = spec;
    wordless.title = wordless.panes[0].title = wordless.panes[0].subtitle = " ";
    wordless.notes = {" ", " "};
    const Image blank = paintingOf(wordless);
    ASSERT_EQ(blank.extent(), figure.extent());
    for (const QRectF& place : {layout.title, layout.panes[0].title, layout.panes[0].subtitle,
                                layout.notes[0], layout.notes[1]}) {
        EXPECT_FALSE(isBlank(figure, place, spec.scale));
        EXPECT_TRUE(isBlank(blank, place, spec.scale));
    }
}

TEST_F(Figure, WrapsLongNotes) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({20, 30}))};
    spec.notes = {"Short."};
    const qreal oneLine = layoutOf(spec).notes[0].height();
    std::string text;
    for (int i = 0; i < 60; ++i)
        text += "word ";
    spec.notes = {text, "Short."};
    const FigureLayout layout = layoutOf(spec);
    EXPECT_GE(layout.notes[0].height(), 4 * oneLine);
    expectTidy(spec, layout);
    // The last line is painted, not cut off.
    const Image figure = paintingOf(spec);
    QRectF lastLine = layout.notes[0];
    lastLine.setTop(lastLine.bottom() - oneLine);
    EXPECT_FALSE(isBlank(figure, lastLine, spec.scale));
}

TEST_F(Figure, RingsMarkersSoThatTheyShowOnAnything) {
    for (const Color& background : {Color{0, 0, 0}, Color{255, 255, 255}, Color{230, 60, 40}}) {
        FigureSpec spec;
        spec.panes = {paneOf(plain({40, 60}, background))};
        spec.panes[0].markers = {{0.25, 0.5, "1", {230, 60, 40}}};
        const Image figure = paintingOf(spec);
        const QRectF place = layoutOf(spec).panes[0].picture;
        const QPointF centre(place.left() + place.width() / 4, place.center().y());
        // Outwards to the left, away from the number: picture, dark edge, white, colour, white, ...
        bool dark = false;
        bool white = false;
        bool colored = false;
        for (qreal x = 0; x > -10; x -= 1 / spec.scale) {
            const Color color = at(figure, (centre.x() + x) * spec.scale, centre.y() * spec.scale);
            const int sum = color[0] + color[1] + color[2];
            dark |= sum < 120;
            white |= sum > 700;
            colored |= color == Color{230, 60, 40};
        }
        EXPECT_TRUE(dark && white && colored);
        // The picked place itself stays visible.
        EXPECT_EQ(at(figure, centre.x() * spec.scale, centre.y() * spec.scale), background);
        // The number stands to the right of the ring.
        std::set<Color> colors;
        for (qreal y = -4; y < 4; y += 1 / spec.scale)
            for (qreal x = 9; x < 16; x += 1 / spec.scale)
                colors.insert(
                    at(figure, (centre.x() + x) * spec.scale, (centre.y() + y) * spec.scale));
        EXPECT_GT(colors.size(), 2U);
    }
}

TEST_F(Figure, EnlargesAPartInAFreeCorner) {
    // Left half blue, right half gray; the inset shows a part of the left and stands at the right.
    Image picture = plain({40, 60}, {150, 150, 150});
    std::vector<std::uint8_t> pixels(picture.pixels().begin(), picture.pixels().end());
    for (std::int64_t y = 0; y < 40; ++y)
        for (std::int64_t x = 0; x < 30; ++x) {
            pixels[static_cast<std::size_t>(y * 60 + x) * 3] = 20;
            pixels[static_cast<std::size_t>(y * 60 + x) * 3 + 1] = 40;
            pixels[static_cast<std::size_t>(y * 60 + x) * 3 + 2] = 200;
        }
    FigureSpec spec;
    spec.panes.emplace_back();
    spec.panes[0].picture = Image({40, 60}, std::move(pixels));
    Inset inset{.x = 0.1, .y = 0.1, .width = 0.2, .height = 0.2};
    inset.corner = cornerFor(inset, {});
    EXPECT_EQ(inset.corner, Corner::BottomRight);
    spec.panes[0].insets = {inset};
    const Image figure = *paintFigure(spec);
    const QRectF picturePlace = layOut(spec)->panes[0].picture;
    const auto colorAtShare = [&](double x, double y) {
        return at(figure, (picturePlace.left() + x * picturePlace.width()) * spec.scale,
                  (picturePlace.top() + y * picturePlace.height()) * spec.scale);
    };
    EXPECT_EQ(colorAtShare(0.8, 0.8), (Color{20, 40, 200})) << "the part, enlarged";
    EXPECT_EQ(colorAtShare(0.9, 0.2), (Color{150, 150, 150})) << "nothing elsewhere";
    // The frame of the part has the inset's colour.
    EXPECT_EQ(colorAtShare(0.2, 0.1), (Color{255, 196, 0}));

    const Inset second{.x = 0.1, .y = 0.1, .width = 0.2, .height = 0.2};
    EXPECT_NE(cornerFor(second, {inset}), Corner::BottomRight);
    spec.panes[0].insets[0].x = 0.9;
    const auto outside = paintFigure(spec);
    ASSERT_FALSE(outside);
    EXPECT_THAT(outside.error().message, HasSubstr("outside"));
}

TEST_F(Figure, PutsANumberLeftOfAMarkerAtTheRightEdge) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({40, 60}))};
    spec.panes[0].markers = {{0.99, 0.5, "17", {255, 255, 255}}};
    const Image figure = paintingOf(spec);
    const FigureLayout layout = layoutOf(spec);
    const QRectF place = layout.panes[0].picture;
    EXPECT_TRUE(isBlank(figure,
                        QRectF(place.right() + 8, place.top(),
                               layout.size.width() - place.right() - 8, place.height()),
                        spec.scale));
}

TEST_F(Figure, ExplainsScalarMapsByABar) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({200, 300})), paneOf(plain({200, 300}))};
    spec.panes[0].bar = ColorBar{ColorMap::Viridis, 0, 0.01, "share of attention"};
    const FigureLayout layout = layoutOf(spec);
    expectTidy(spec, layout);
    const BarLayout& bar = *layout.panes[0].bar;
    EXPECT_GE(bar.axis.ticks.size(), 3U);
    EXPECT_LE(bar.axis.ticks.size(), 5U);
    const Image figure = paintingOf(spec);
    for (const double share : {0.0, 0.25, 0.5, 0.75, 0.999}) {
        const Color shown = at(figure, (bar.bar.left() + share * bar.bar.width()) * spec.scale,
                               bar.bar.center().y() * spec.scale);
        const auto expected = colorAt(ColorMap::Viridis, static_cast<float>(share));
        for (std::size_t c = 0; c < 3; ++c)
            EXPECT_NEAR(shown[c], expected[c], 3) << share;
    }
    EXPECT_FALSE(isBlank(figure, bar.unit, spec.scale));
    const QRectF labels(bar.bar.left(), bar.labelTop, bar.bar.width(), 12);
    EXPECT_FALSE(isBlank(figure, labels, spec.scale));
}

TEST_F(Figure, SaysThatAMapIsConstant) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({200, 300}))};
    spec.panes[0].bar = ColorBar{ColorMap::Magma, 3, 3, "norm"};
    const BarLayout bar = *layoutOf(spec).panes[0].bar;
    EXPECT_EQ(bar.axis.ticks.size(), 1U);
    const Image figure = paintingOf(spec);
    const auto middle = colorAt(ColorMap::Magma, 0.5F);
    for (const double share : {0.1, 0.9})
        EXPECT_EQ(at(figure, (bar.bar.left() + share * bar.bar.width()) * spec.scale,
                     bar.bar.center().y() * spec.scale),
                  (Color{middle[0], middle[1], middle[2]}));
}

TEST_F(Figure, ThinsTicksOutOnANarrowBar) {
    FigureSpec spec;
    spec.paneWidth = 110;
    spec.panes = {paneOf(plain({200, 300}))};
    spec.panes[0].bar = ColorBar{ColorMap::Magma, 12.2, 12.3, "norm"};
    const BarLayout bar = *layoutOf(spec).panes[0].bar;
    const QFontMetricsF metrics(figureFont(letters::ticks));
    qreal taken = 0;
    for (const Tick& tick : bar.axis.ticks)
        taken += metrics.horizontalAdvance(QString::fromStdString(tick.label));
    EXPECT_LT(taken, bar.bar.width());
}

TEST_F(Figure, LetterboxesDifferentShapesOnOneRowHeight) {
    FigureSpec spec;
    spec.columns = 4;
    spec.panes = {paneOf(plain({929, 512})), paneOf(plain({384, 512})), paneOf(plain({384, 3072})),
                  paneOf(plain({1, 1}))};
    const FigureLayout layout = layoutOf(spec);
    expectTidy(spec, layout);
    for (std::size_t i = 0; i < spec.panes.size(); ++i) {
        EXPECT_EQ(layout.panes[i].box.top(), layout.panes[0].box.top());
        EXPECT_EQ(layout.panes[i].box.height(), layout.panes[0].box.height());
        const Image& picture = spec.panes[i].picture;
        EXPECT_NEAR(layout.panes[i].picture.width() / layout.panes[i].picture.height(),
                    static_cast<qreal>(picture.width()) / static_cast<qreal>(picture.height()),
                    0.05);
        EXPECT_NEAR(layout.panes[i].picture.center().y(), layout.panes[0].box.center().y(), 0.5);
    }
}

TEST_F(Figure, ShowsMapsOfOnePhotoAtOneSize) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({512, 768})), paneOf(plain({37, 56})), paneOf(plain({518, 784}))};
    const FigureLayout layout = layoutOf(spec);
    for (const PaneLayout& pane : layout.panes) {
        EXPECT_EQ(pane.picture.size(), layout.panes[0].picture.size());
        EXPECT_EQ(pane.picture, pane.box);
    }
}

TEST_F(Figure, IsTidyForOddInput) {
    const ColorBar bar{ColorMap::Turbo, -1, 1,
                       "a unit that has rather a long name, in fact too long"};
    for (const Extent extent : {Extent{1, 1}, Extent{384, 3072}, Extent{3072, 384}, Extent{1, 5000},
                                Extent{5000, 1}, Extent{37, 50}})
        for (const std::size_t count : {1U, 2U, 5U, 12U}) {
            FigureSpec spec;
            spec.scale = 1;
            spec.title = std::string(200, 'W');
            spec.notes = {std::string(300, 'W'), "", "note"};
            for (std::size_t i = 0; i < count; ++i) {
                spec.panes.push_back(
                    paneOf(plain(extent), i % 3 == 0 ? "" : std::string(99, 'W'), "subtitle"));
                if (i % 2 == 1) spec.panes.back().bar = bar;
                spec.panes.back().markers = {{0, 0, "1", {}}, {1, 1, "", {}}, {7, -3, "2", {}}};
            }
            SCOPED_TRACE(testing::Message()
                         << extent.width << " x " << extent.height << ", " << count << " panes");
            expectTidy(spec, layoutOf(spec));
            EXPECT_FALSE(paintingOf(spec).empty());
        }
}

TEST_F(Figure, ChoosesColumnsByNumberAndShape) {
    const auto columns = [](std::size_t count, Extent extent) {
        FigureSpec spec;
        spec.panes.assign(count, paneOf(plain(extent)));
        std::set<qreal> lefts;
        for (const PaneLayout& pane : layoutOf(spec).panes)
            lefts.insert(pane.box.left());
        return lefts.size();
    };
    EXPECT_EQ(columns(1, {2, 3}), 1U);
    EXPECT_EQ(columns(4, {2, 3}), 4U);
    EXPECT_EQ(columns(6, {2, 3}), 3U);
    EXPECT_EQ(columns(12, {2, 3}), 4U);
    EXPECT_EQ(columns(4, {1, 3}), 2U);
    EXPECT_EQ(columns(4, {1, 8}), 1U);
}

TEST_F(Figure, IsAsWideAsAColumnOfAPaper) {
    FigureSpec spec;
    spec.columns = 3;
    for (int i = 0; i < 6; ++i)
        spec.panes.push_back(paneOf(plain({20, 30})));
    spec.panes[5].bar = ColorBar{ColorMap::Magma, 0, 1, "cosine similarity"};
    spec.look = {.widthMm = 82.5, .fontPoints = 8, .dotsPerInch = 600, .textAsPaths = false};
    const FigureLayout layout = layoutOf(spec);
    const Image figure = paintingOf(spec);
    EXPECT_EQ(figure.width(), std::lround(82.5 / 25.4 * 600));
    EXPECT_NEAR(layout.pointsPerUnit * letters::title, 8, 1e-9);
    // The panes fill the width.
    EXPECT_LT(layout.panes[0].picture.left() * layout.pointsPerUnit, 1);
    EXPECT_NEAR(layout.panes[2].picture.right() * layout.pointsPerUnit, 82.5 / 25.4 * 72, 1);
    // Larger letters leave less height for nothing, but the width is the same.
    spec.look.fontPoints = 12;
    EXPECT_EQ(paintingOf(spec).width(), figure.width());
    spec.look.widthMm = 10;
    const auto narrow = layOut(spec);
    ASSERT_FALSE(narrow);
    EXPECT_THAT(narrow.error().message, HasSubstr("do not fit"));
    spec.look.dotsPerInch = 0;
    EXPECT_FALSE(layOut(spec));
}

TEST_F(Figure, NamesRowsAndColumnsOutside) {
    FigureSpec spec;
    spec.columns = 2;
    for (int i = 0; i < 4; ++i)
        spec.panes.push_back(paneOf(plain({20, 30}), ""));
    const FigureLayout without = layoutOf(spec);
    spec.columnLabels = {"Image", "LoftUp"};
    spec.rowLabels = {"parrots", "owl"};
    const FigureLayout layout = layoutOf(spec);
    ASSERT_EQ(layout.columnLabels.size(), 2U);
    ASSERT_EQ(layout.rowLabels.size(), 2U);
    EXPECT_GT(layout.size.height(), without.size.height());
    const Image figure = paintingOf(spec);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_FALSE(isBlank(figure, layout.columnLabels[i], spec.scale));
        EXPECT_FALSE(isBlank(figure, layout.rowLabels[i], spec.scale));
        EXPECT_LE(layout.columnLabels[i].bottom(), layout.panes[0].box.top());
        EXPECT_LE(layout.rowLabels[i].right(), layout.panes[0].box.left());
        EXPECT_NEAR(layout.columnLabels[i].center().x(), layout.panes[i].box.center().x(), 1);
        EXPECT_NEAR(layout.rowLabels[i].center().y(), layout.panes[2 * i].box.center().y(), 1);
    }
}

TEST_F(Figure, TurnsAColourBarAround) {
    FigureSpec spec;
    spec.panes = {paneOf(plain({200, 300}))};
    spec.panes[0].bar = ColorBar{ColorMap::Viridis, 0, 1, "", true};
    const QRectF bar = layoutOf(spec).panes[0].bar->bar;
    const Color left =
        at(paintingOf(spec), (bar.left() + 0.5) * spec.scale, bar.center().y() * spec.scale);
    const auto last = colorAt(ColorMap::Viridis, 1);
    EXPECT_NEAR(left[0], last[0], 3);
    EXPECT_NEAR(left[2], last[2], 3);
}

TEST_F(Figure, RefusesWhatCannotBePainted) {
    const auto refused = [](const FigureSpec& spec) {
        const auto result = paintFigure(spec);
        EXPECT_FALSE(result);
        return result ? Error{} : result.error();
    };
    FigureSpec spec;
    EXPECT_EQ(refused(spec).code, ErrorCode::InvalidArgument);
    spec.panes = {paneOf(Image(), "LoftUp")};
    EXPECT_THAT(refused(spec).message, HasSubstr("'LoftUp' has no picture"));
    spec.panes = {paneOf(plain({2, 3}))};
    spec.scale = 0;
    EXPECT_EQ(refused(spec).code, ErrorCode::InvalidArgument);
    spec.scale = 200;
    EXPECT_THAT(refused(spec).message, HasSubstr("more than 32767"));
    spec.scale = 1;
    spec.panes[0].bar = ColorBar{ColorMap::Gray, 0, std::numeric_limits<double>::quiet_NaN(), ""};
    EXPECT_EQ(refused(spec).code, ErrorCode::InvalidArgument);
    spec.panes[0].bar = ColorBar{ColorMap::Gray, 1, 0, ""};
    EXPECT_EQ(refused(spec).code, ErrorCode::InvalidArgument);
}

class FigureFile : public Figure {
protected:
    FigureFile() {
        fs::create_directories(folder_);
        spec_.title = "Parrots";
        spec_.notes = {"First note.", "Second note."};
        spec_.panes = {paneOf(cells({37, 50}), "Low-res")};
    }
    ~FigureFile() override { fs::remove_all(folder_); }
    std::string written(const std::string& name) {
        const auto result = writeFigure(spec_, folder_ / name);
        EXPECT_TRUE(result) << result.error().message;
        std::ostringstream text;
        text << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
        return text.str();
    }
    fs::path folder_ =
        fs::temp_directory_path() / ("loftscope_figure_" + std::to_string(::getpid()));
    FigureSpec spec_;
};

TEST_F(FigureFile, PngHoldsTheFigureItsResolutionAndItsNotes) {
    written("figure.png");
    const QImage file(QString::fromStdString((folder_ / "figure.png").string()));
    const Image painting = paintingOf(spec_);
    ASSERT_EQ(file.width(), painting.width());
    ASSERT_EQ(file.height(), painting.height());
    for (int y = 0; y < file.height(); y += 7)
        for (int x = 0; x < file.width(); x += 5) {
            const QRgb pixel = file.pixel(x, y);
            EXPECT_EQ((Color{qRed(pixel), qGreen(pixel), qBlue(pixel)}), at(painting, x, y));
        }
    EXPECT_NEAR(file.dotsPerMeterX() * 0.0254, 300, 0.1);
    EXPECT_EQ(file.text("Title"), "Parrots");
    EXPECT_EQ(file.text("Description"), "First note.\nSecond note.");
}

TEST_F(FigureFile, PdfKeepsTextAsTextAndColoursLossless) {
    const std::string pdf = written("figure.pdf");
    EXPECT_THAT(pdf, StartsWith("%PDF-"));
    EXPECT_THAT(pdf, HasSubstr("/FontFile2"));
    EXPECT_THAT(pdf, HasSubstr("DejaVuSans"));
    EXPECT_THAT(pdf, Not(HasSubstr("/DCTDecode")));
}

TEST_F(FigureFile, SvgKeepsTextAsText) {
    const std::string svg = written("figure.SVG");
    EXPECT_THAT(svg, HasSubstr(">Low-res</text>"));
    EXPECT_THAT(svg, HasSubstr("First note."));
    EXPECT_THAT(svg, HasSubstr("data:image/png;base64"));
}

TEST_F(FigureFile, TextCanBeOutlines) {
    spec_.look.textAsPaths = true;
    EXPECT_THAT(written("figure.svg"), Not(HasSubstr("</text>")));
    EXPECT_THAT(written("figure.pdf"), Not(HasSubstr("/FontFile2")));
}

TEST_F(FigureFile, IsTheSameBytesEveryTime) {
    for (const std::string ending : {"png", "pdf", "svg"}) {
        const std::string first = written("first." + ending);
        // Dates in files count whole seconds.
        ::sleep(ending == "pdf" ? 2 : 0);
        EXPECT_EQ(written("second." + ending), first) << ending;
    }
}

TEST_F(FigureFile, PdfWithoutADateIsStillWhole) {
    const std::string pdf = written("figure.pdf");
    EXPECT_THAT(pdf, Not(HasSubstr("CreationDate")));
    // Every offset of the table points at the object of its number.
    const std::size_t table = std::stoul(pdf.substr(pdf.rfind("startxref") + 9));
    ASSERT_EQ(pdf.substr(table, 4), "xref");
    std::istringstream lines(pdf.substr(table));
    std::string word;
    std::size_t first = 0;
    std::size_t count = 0;
    lines >> word >> first >> count;
    ASSERT_GT(count, 5U);
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t offset = 0;
        std::string generation;
        std::string kind;
        lines >> offset >> generation >> kind;
        if (kind != "n") continue;
        EXPECT_THAT(pdf.substr(offset, 20), StartsWith(std::to_string(first + i) + " 0 obj"));
    }
}

TEST_F(FigureFile, SvgHasItsSizeInMillimetres) {
    spec_.look.widthMm = 82.5;
    EXPECT_THAT(written("figure.svg"), HasSubstr("width=\"82.5mm\""));
}

TEST_F(FigureFile, OtherPictureFormatsWorkAndUnknownOnesAreNamed) {
    EXPECT_FALSE(written("figure.jpg").empty());
    EXPECT_TRUE(namesFigure("a.pdf"));
    EXPECT_TRUE(namesFigure("a.PNG"));
    EXPECT_FALSE(namesFigure("a.docx"));
    const auto unknown = writeFigure(spec_, folder_ / "figure.docx");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(unknown.error().message, HasSubstr("figure.docx"));
}

TEST_F(FigureFile, FailureLeavesNothingBehind) {
    for (const char* name : {"none/a.png", "none/a.pdf", "none/a.svg", "none/a.jpg"}) {
        const auto result = writeFigure(spec_, folder_ / name);
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, ErrorCode::WriteFailed) << result.error().message;
    }
    spec_.panes[0].picture = Image();
    EXPECT_FALSE(writeFigure(spec_, folder_ / "a.pdf"));
    EXPECT_TRUE(fs::is_empty(folder_));
}

} // namespace
} // namespace loftscope
