// SPDX-License-Identifier: Apache-2.0
// Results of evaluations as bars: what is read, what is drawn where, and files that are no results.
#include "core/figure/evaluation_chart.h"
#include "ui/figure/bar_chart_painter.h"
#include "ui/figure/gui_application.h"

#include <QImage>
#include <QPainter>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace loftscope {
namespace {

constexpr const char* results = R"({"evaluation": "contours", "caption": "Contours on 3 photos",
  "results": [
    {"method": "Bilinear", "ods": 40.0, "ods_interval": [38.5, 41.5]},
    {"method": "LoftUp", "ods": 80.0, "ods_interval": [70.0, 90.0], "gain": 40.0,
     "gain_interval": [31.0, 49.0]}]})";

TEST(EvaluationChart, ReadsWhatEvalWrites) {
    const auto chart = evaluationChartOf(results, "results.json");
    ASSERT_TRUE(chart) << chart.error().message;
    EXPECT_EQ(chart->caption, "Contours on 3 photos");
    ASSERT_EQ(chart->bars.size(), 2U);
    EXPECT_FALSE(chart->bars[0].gain);
    EXPECT_EQ(chart->bars[1].title, "LoftUp");
    EXPECT_EQ(chart->bars[1].interval.high, 90);
    EXPECT_EQ(chart->bars[1].gainInterval->low, 31);
}

TEST(EvaluationChart, SaysWhenAFileIsNoResult) {
    for (const char* text : {"", "[]", "{}", R"({"evaluation": "weather", "results": []})",
                             R"({"evaluation": "knn", "results": []})",
                             R"({"evaluation": "knn", "results": [{"method": "x"}]})",
                             R"({"evaluation": "knn", "results": [{"method": "x", "accuracy": 1,
                                 "accuracy_interval": "wide"}]})"}) {
        const auto chart = evaluationChartOf(text, "notes.json");
        ASSERT_FALSE(chart) << text;
        EXPECT_EQ(chart.error().code, ErrorCode::Malformed);
        EXPECT_NE(chart.error().message.find("notes.json"), std::string::npos);
    }
}

TEST(EvaluationChart, LengthsOfBarsAreProportionalToValues) {
    ASSERT_TRUE(ensureGuiApplication());
    const auto chart = evaluationChartOf(results, "results.json");
    ASSERT_TRUE(chart);
    const QSizeF size = barChartSize(*chart, 400);
    QImage canvas(size.toSize(), QImage::Format_RGB32);
    ChartColors colors;
    colors.first = QColor(255, 0, 0);
    colors.bar = QColor(0, 0, 255);
    QPainter painter(&canvas);
    paintBarChart(painter, *chart, 400, colors);
    painter.end();
    const auto longestRun = [&](QRgb color) {
        int longest = 0;
        for (int y = 0; y < canvas.height(); ++y) {
            int count = 0;
            for (int x = 0; x < canvas.width(); ++x)
                count += canvas.pixel(x, y) == color ? 1 : 0;
            longest = std::max(longest, count);
        }
        return longest;
    };
    const int first = longestRun(qRgb(255, 0, 0));
    const int second = longestRun(qRgb(0, 0, 255));
    EXPECT_GT(first, 40);
    EXPECT_NEAR(second, 2 * first, 4);
}

TEST(EvaluationChart, IsWrittenInThreeFormats) {
    const auto chart = evaluationChartOf(results, "results.json");
    ASSERT_TRUE(chart);
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / ("chart_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    for (const auto& [name, begin] :
         {std::pair{"a.svg", "<?xml"}, {"a.pdf", "%PDF"}, {"a.png", "\x89PNG"}}) {
        const auto written = writeBarChart(*chart, folder / name);
        ASSERT_TRUE(written) << written.error().message;
        std::ifstream file(folder / name, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        EXPECT_TRUE(text.starts_with(begin)) << name;
    }
    EXPECT_FALSE(writeBarChart(*chart, folder / "a.txt"));
    std::filesystem::remove_all(folder);
}

} // namespace
} // namespace loftscope
