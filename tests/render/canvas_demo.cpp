// SPDX-License-Identifier: Apache-2.0
// Six panes of made-up maps over a photo, drawn by the real canvas: for looking at and for frame
// times. canvas_demo PHOTO FOLDER writes screenshots; canvas_demo PHOTO --bench prints times.
#include "ui/canvas/canvas_widget.h"
#include "ui/render/gl_functions.h"

#include <QApplication>
#include <QElapsedTimer>
#include <QImage>
#include <QTest>
#include <QTextStream>
#include <glm/common.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <sys/resource.h>
#include <vector>

using namespace loftscope;

namespace {

Image loadPhoto(const QString& path) {
    const QImage file = QImage(path).convertToFormat(QImage::Format_RGB888);
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(file.width() * file.height() * 3));
    for (int y = 0; y < file.height(); ++y) {
        pixels.insert(pixels.end(), file.constScanLine(y),
                      file.constScanLine(y) + file.width() * 3);
    }
    return {{file.height(), file.width()}, std::move(pixels)};
}

/// Nine smooth functions of the photo's local colour and place, standing in for PCA scores.
std::vector<float> madeUpScores(const Image& photo, Extent extent) {
    std::vector<float> values(static_cast<std::size_t>(9 * extent.area()));
    const std::int64_t reach = std::max<std::int64_t>(1, photo.width() / extent.width / 2);
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const std::int64_t px = (2 * x + 1) * photo.width() / (2 * extent.width);
            const std::int64_t py = (2 * y + 1) * photo.height() / (2 * extent.height);
            double sum[3] = {0, 0, 0};
            double count = 0;
            for (std::int64_t dy = -reach; dy <= reach; dy += std::max<std::int64_t>(1, reach)) {
                for (std::int64_t dx = -reach; dx <= reach;
                     dx += std::max<std::int64_t>(1, reach)) {
                    const std::uint8_t* rgb =
                        photo.row(std::clamp<std::int64_t>(py + dy, 0, photo.height() - 1)) +
                        3 * std::clamp<std::int64_t>(px + dx, 0, photo.width() - 1);
                    for (int c = 0; c < 3; ++c)
                        sum[c] += rgb[c] / 255.0;
                    ++count;
                }
            }
            const double r = sum[0] / count;
            const double g = sum[1] / count;
            const double b = sum[2] / count;
            const double u = static_cast<double>(x) / static_cast<double>(extent.width);
            const double v = static_cast<double>(y) / static_cast<double>(extent.height);
            const double score[9] = {r + g - b,
                                     r - g + 0.4 * v,
                                     b - 0.6 * r + 0.3 * u,
                                     std::sin(6 * r + 2 * u),
                                     std::cos(5 * g - v),
                                     std::sin(7 * b),
                                     r * g - b * v,
                                     g - r * u,
                                     b * b - g};
            for (int c = 0; c < 9; ++c) {
                values[static_cast<std::size_t>((c * extent.height + y) * extent.width + x)] =
                    static_cast<float>(score[c] * (c < 3 ? 1 : 0.5));
            }
        }
    }
    return values;
}

std::vector<float> interpolated(const std::vector<float>& low, Extent grid, Extent fine) {
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(9 * fine.area()));
    const auto place = [](std::int64_t i, std::int64_t from, std::int64_t to) {
        const double at =
            (static_cast<double>(i) + 0.5) * static_cast<double>(to) / static_cast<double>(from) -
            0.5;
        return std::clamp(at, 0.0, static_cast<double>(to - 1));
    };
    for (int c = 0; c < 9; ++c) {
        for (std::int64_t y = 0; y < fine.height; ++y) {
            for (std::int64_t x = 0; x < fine.width; ++x) {
                const double px = place(x, fine.width, grid.width);
                const double py = place(y, fine.height, grid.height);
                const auto at = [&](std::int64_t gx, std::int64_t gy) {
                    const auto cx = std::min(gx, grid.width - 1);
                    const auto cy = std::min(gy, grid.height - 1);
                    return static_cast<double>(
                        low[static_cast<std::size_t>((c * grid.height + cy) * grid.width + cx)]);
                };
                const auto gx = static_cast<std::int64_t>(px);
                const auto gy = static_cast<std::int64_t>(py);
                const double fx = px - static_cast<double>(gx);
                const double fy = py - static_cast<double>(gy);
                values.push_back(
                    static_cast<float>((1 - fy) * ((1 - fx) * at(gx, gy) + fx * at(gx + 1, gy)) +
                                       fy * ((1 - fx) * at(gx, gy + 1) + fx * at(gx + 1, gy + 1))));
            }
        }
    }
    return values;
}

std::vector<float> madeUpSimilarity(const std::vector<float>& scores, Extent extent, Pixel pick) {
    std::vector<float> values(static_cast<std::size_t>(extent.area()));
    const auto area = static_cast<std::size_t>(extent.area());
    const auto at = static_cast<std::size_t>(pick.y * extent.width + pick.x);
    for (std::size_t i = 0; i < area; ++i) {
        double dot = 0;
        double aa = 0;
        double bb = 0;
        for (std::size_t c = 0; c < 9; ++c) {
            const double a = scores[c * area + i];
            const double b = scores[c * area + at];
            dot += a * b;
            aa += a * a;
            bb += b * b;
        }
        values[i] = static_cast<float>(dot / std::sqrt(aa * bb + 1e-9));
    }
    return values;
}

std::vector<float> madeUpAttention(Extent extent, glm::dvec2 center) {
    std::vector<float> values(static_cast<std::size_t>(extent.area()));
    float sum = 0;
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const double dx = static_cast<double>(x) + 0.5 - center.x;
            const double dy = static_cast<double>(y) + 0.5 - center.y;
            const double value = std::exp(-(dx * dx + dy * dy) / 14) +
                                 0.3 * std::exp(-std::pow(std::hypot(dx, dy) - 9, 2) / 3);
            values[static_cast<std::size_t>(y * extent.width + x)] = static_cast<float>(value);
            sum += static_cast<float>(value);
        }
    }
    for (float& value : values)
        value /= sum;
    return values;
}

std::vector<float> part(const std::vector<float>& values, Extent extent, int channels,
                        const Rect& rect) {
    std::vector<float> result;
    for (int c = 0; c < channels; ++c) {
        for (std::int64_t y = rect.y; y < rect.bottom(); ++y) {
            const auto begin = values.begin() + (c * extent.height + y) * extent.width + rect.x;
            result.insert(result.end(), begin, begin + rect.width);
        }
    }
    return result;
}

struct Demo {
    PaneModel model;
    int photo = 0, low = 0, bilinear = 0, loftup = 0, attention = 0, similarity = 0;
};

void fillDemo(Demo& demo, const Image& photo) {
    PaneModel& m = demo.model;
    m.setPhoto(ImagePyramid::of(photo));
    const Extent grid{std::max<std::int64_t>(1, photo.height() / 14),
                      std::max<std::int64_t>(1, photo.width() / 14)};
    const Extent fine{std::max<std::int64_t>(1, photo.height() * 3 / 4),
                      std::max<std::int64_t>(1, photo.width() * 3 / 4)};
    const auto lowScores = madeUpScores(photo, grid);
    const auto highScores = madeUpScores(photo, fine);
    const auto lowMap = MapBuffer::whole(9, grid, lowScores);
    const auto sizeText = [](Extent e) { return QString("%1 x %2").arg(e.height).arg(e.width); };

    demo.photo = m.idAt(0);
    PaneContent content;
    content.form = LayerKind::Photo;
    content.title = "Photo";
    content.details = sizeText(photo.extent());
    m.setContent(demo.photo, content);

    const auto add = [&](LayerKind form, PaneContent shown, ColorMap map = ColorMap::Viridis,
                         float opacity = 1) {
        PaneState state;
        shown.form = form;
        state.scalar.map = map;
        state.opacity = opacity;
        const int id = m.addPane(state);
        m.setContent(id, std::move(shown));
        return id;
    };
    content = {};
    content.title = "Low-res";
    content.details = "PCA 1-3, " + sizeText(grid) + ", own basis, fp32";
    content.map = lowMap;
    demo.low = add(LayerKind::Scores, content);
    content.title = "Bilinear";
    content.details = "PCA 1-3, " + sizeText(fine) + ", low-res basis, fp32";
    content.map = std::make_shared<MapBuffer>(9, fine);
    content.map->put(wholeOf(fine), interpolated(lowScores, grid, fine));
    demo.bilinear = add(LayerKind::Scores, content);
    content.title = "LoftUp";
    content.details = "PCA 1-3, " + sizeText(fine) + ", own basis, bf16";
    const Extent tile{96, 96};
    content.map = std::make_shared<MapBuffer>(9, fine, tile);
    content.fallback = lowMap;
    int index = 0;
    for (std::int64_t y = 0; y < fine.height; y += tile.height) {
        for (std::int64_t x = 0; x < fine.width; x += tile.width, ++index) {
            const Rect rect{x, y, std::min(tile.width, fine.width - x),
                            std::min(tile.height, fine.height - y)};
            if (index < 15) content.map->put(rect, part(highScores, fine, 9, rect));
        }
    }
    content.progress = 0.43;
    demo.loftup = add(LayerKind::Scores, content);
    content = {};
    content.title = "Attention";
    content.details = "LoftUp block 2, mean of 4 heads, " + sizeText(grid);
    content.unit = "share of attention";
    content.map = MapBuffer::whole(1, grid,
                                   madeUpAttention(grid, {static_cast<double>(grid.width) * 0.45,
                                                          static_cast<double>(grid.height) * 0.5}));
    demo.attention = add(LayerKind::Scalar, content, ColorMap::Magma, 0.75F);
    content.title = "Similarity";
    content.details = "LoftUp, " + sizeText(fine) + ", to pick 1";
    content.unit = "cosine similarity";
    content.map = MapBuffer::whole(
        1, fine, madeUpSimilarity(highScores, fine, {fine.width * 45 / 100, fine.height / 2}));
    demo.similarity = add(LayerKind::Scalar, content);
    m.select(demo.loftup);
    m.setReference(demo.bilinear);
    m.placePick(boxOf(photo.extent()).size * glm::dvec2(0.45, 0.5));
    m.pinPick();
    m.placePick(boxOf(photo.extent()).size * glm::dvec2(0.8, 0.25));
}

void settle(QWidget& widget) {
    for (int i = 0; i < 4; ++i) {
        widget.repaint();
        QTest::qWait(15);
    }
}

/// Processor time of all threads: unlike the wall clock it does not count other programs.
double processorMs() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto ms = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) * 1e-3;
    };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void bench(CanvasWidget& canvas, Demo& demo, QTextStream& out) {
    const auto measure = [&](const QString& what, const std::function<void(int)>& step) {
        std::vector<double> times;
        double processor = 0;
        int frames = 0;
        const auto counting =
            QObject::connect(&canvas, &QOpenGLWidget::frameSwapped, [&] { ++frames; });
        for (int i = 0; i < 60; ++i) {
            step(i);
            if (i == 5) {
                processor = processorMs();
                frames = 0;
            }
            QElapsedTimer timer;
            timer.start();
            // The change has asked for one repaint; then wait for the rasteriser.
            QCoreApplication::processEvents();
            canvas.makeCurrent();
            glFunctions()->glFinish();
            canvas.doneCurrent();
            times.push_back(static_cast<double>(timer.nsecsElapsed()) * 1e-6);
        }
        const double worst = *std::max_element(times.begin() + 5, times.end());
        out << what << ": median " << median(times) << " ms, worst " << worst << " ms, processor "
            << (processorMs() - processor) / std::max(frames, 1) << " ms a frame, " << frames
            << " frames\n";
        QObject::disconnect(counting);
        out.flush();
    };
    PaneModel& m = demo.model;
    const int id = m.state().selected;
    const PaneFrame frame{canvas.pictureOf(id), canvas.devicePixelRatioF()};
    View view = fitView(m.photoExtent(), frame);
    measure("6 panes, fitted, hover moves", [&](int i) {
        m.setHover(Hover{id, boxOf(m.photoExtent()).size * (0.2 + 0.01 * i)});
    });
    measure("6 panes, pan", [&](int i) {
        m.setView(id, panned({view.center, view.zoom * 1.5, false}, m.photoExtent(), frame,
                             {i % 30 - 15.0, i % 20 - 10.0}));
    });
    measure("6 panes, zoom", [&](int i) {
        m.setView(id, {view.center, view.zoom * std::pow(1.08, i), false});
    });
    const auto zoomed = [&](int i) {
        m.setView(id, {view.center, view.zoom * (1.5 + 0.01 * i), false});
    };
    const std::array<int, 6> ids{demo.photo,  demo.low,       demo.bilinear,
                                 demo.loftup, demo.attention, demo.similarity};
    std::vector<std::pair<PaneState, PaneContent>> originals;
    for (const int pane : ids)
        originals.emplace_back(*m.pane(pane), m.content(pane));
    originals.emplace_back(*m.pane(demo.similarity), PaneContent{});
    originals.back().second.title = "nothing";
    for (const auto& [state, content] : originals) {
        for (const int pane : ids) {
            PaneState same = state;
            same.id = pane;
            m.setPane(same, "same");
            m.setContent(pane, content);
        }
        measure("6 x " + content.title, zoomed);
    }
    for (const PaneState& pane : m.state().panes) {
        PaneState smooth = pane;
        smooth.smooth = true;
        m.setPane(smooth, "smooth");
    }
    measure("6 panes smooth, pan", [&](int i) {
        m.setView(id, panned({view.center, view.zoom * 1.5, false}, m.photoExtent(), frame,
                             {i % 30 - 15.0, i % 20 - 10.0}));
    });
}

} // namespace

int main(int argc, char** argv) {
    configureOpenGl();
    const QApplication app(argc, argv);
    QTextStream out(stdout);
    const QStringList arguments = QApplication::arguments();
    if (const auto reason = canvasUnavailable(); reason || arguments.size() < 3) {
        out << reason.value_or("usage: canvas_demo PHOTO FOLDER | PHOTO --bench") << "\n";
        return 2;
    }
    Demo demo;
    fillDemo(demo, loadPhoto(arguments[1]));
    CanvasWidget canvas(&demo.model);
    canvas.resize(1280, 800);
    canvas.show();
    if (!QTest::qWaitForWindowExposed(&canvas)) return 1;
    canvas.setFocus();
    settle(canvas);
    if (arguments[2] == "--bench") {
        bench(canvas, demo, out);
        return 0;
    }
    const QString folder = arguments[2];
    const auto shot = [&](const QString& name) {
        settle(canvas);
        canvas.grabFramebuffer().save(folder + "/" + name + ".png");
    };
    PaneModel& m = demo.model;
    shot("1_fitted");
    QTest::mouseMove(&canvas, {150, 230});
    shot("2_hover");
    canvas.setRangeControlVisible(true);
    shot("3_range");
    canvas.setRangeControlVisible(false);
    m.setCompare(CompareMode::Wipe);
    m.select(demo.loftup);
    m.toggleMaximised(demo.loftup);
    shot("4_wipe");
    m.setCompare(CompareMode::Difference);
    shot("5_difference");
    m.setCompare(CompareMode::Off);
    m.toggleMaximised(0);
    m.setView(demo.loftup, {boxOf(m.photoExtent()).size * glm::dvec2(0.45, 0.5), 60, false});
    shot("6_values");
    m.fit();
    canvas.setTheme(lightCanvas());
    m.markStale([&](const PaneState& pane) { return pane.id == demo.similarity; });
    shot("7_light");
    PaneContent empty;
    empty.title = "Attention";
    empty.message = "Click a pixel to see what it attends to.";
    m.setContent(demo.attention, empty);
    canvas.setTheme(darkCanvas());
    canvas.resize(620, 380);
    shot("8_small");
    return 0;
}
