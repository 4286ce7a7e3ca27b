// SPDX-License-Identifier: Apache-2.0
// Scripts: every step does what its documentation says, and every mistake is named.
#include "tests/window/window_fixture.h"

#include <QDockWidget>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct ScriptTest : WindowFixture {
    static QJsonArray steps(const char* json) {
        const QJsonDocument document = QJsonDocument::fromJson(json);
        EXPECT_TRUE(document.isArray()) << json;
        return document.array();
    }
    Result<void> play(const char* json) { return playScript(*window, steps(json)); }
    std::string errorOf(const char* json) {
        const auto played = play(json);
        return played ? "no error" : played.error().message;
    }
};

TEST_F(ScriptTest, MouseAndKeys) {
    open(madeUpPhoto("a.png", 96, 64));
    ASSERT_TRUE(play(R"([{"do": "click", "pane": 1, "at": [20, 30]}, {"do": "key", "key": "Right"},
                         {"do": "key", "key": "Shift+Down"}])"));
    const auto pixel = [&] {
        return pixelContaining(window->model().activePick()->at, window->model().photoExtent());
    };
    EXPECT_EQ(pixel(), (Pixel{21, 40}));
    ASSERT_TRUE(play(R"([{"do": "drag", "pane": 1, "from": [21, 40], "to": [60, 10]}])"));
    EXPECT_EQ(pixel(), (Pixel{60, 10}));
    const double zoom = window->canvas().zoomOf(1);
    ASSERT_TRUE(play(R"([{"do": "wheel", "pane": 2, "at": [50, 30], "notches": 4}])"));
    EXPECT_NEAR(window->canvas().zoomOf(1), 2 * zoom, 1e-6 * zoom);
    ASSERT_TRUE(play(R"([{"do": "hover", "pane": 2, "at": [50, 30]}])"));
    ASSERT_TRUE(window->model().hover());
    EXPECT_EQ(pixelContaining(window->model().hover()->at, {64, 96}), (Pixel{50, 30}));
    // A right drag pans: the photo point follows the mouse.
    const auto before = window->canvas().transformOf(1).widgetFromPixel(glm::dvec2{50, 30});
    ASSERT_TRUE(play(
        R"([{"do": "drag", "pane": 1, "from": [50, 30], "to": [45, 30], "button": "right"}])"));
    const auto after = window->canvas().transformOf(1).widgetFromPixel(glm::dvec2{50, 30});
    EXPECT_LT(after.x, before.x - 4);
    EXPECT_EQ(pixel(), (Pixel{60, 10})) << "the pick stays";
}

TEST_F(ScriptTest, FrameTimesOfPanesThatReallyZoomAndPan) {
    open(madeUpPhoto("a.png", 96, 64));
    const double zoom = window->canvas().zoomOf(1);
    double largestZoom = 0;
    double largestShift = 0;
    const auto start = window->canvas().transformOf(1).widgetFromPixel(glm::dvec2{48, 32});
    QObject::connect(&window->canvas(), &CanvasWidget::viewChanged, [&] {
        largestZoom = std::max(largestZoom, window->canvas().zoomOf(1));
        const auto now = window->canvas().transformOf(1).widgetFromPixel(glm::dvec2{48, 32});
        largestShift = std::max(largestShift, std::abs(now.y - start.y));
    });
    const QString path = folder.filePath("frames.json");
    const std::string json =
        R"([{"do": "frames", "pane": 1, "count": 12, "file": ")" + path.toStdString() + R"("}])";
    ASSERT_TRUE(play(json.c_str()));
    EXPECT_GT(largestZoom, 1.1 * zoom);
    EXPECT_GT(largestShift, 5);
    EXPECT_NEAR(window->canvas().zoomOf(1), zoom, 1e-3 * zoom);
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const QJsonObject result = QJsonDocument::fromJson(file.readAll()).object();
    EXPECT_GE(result["frames"].toInt(), 10);
    EXPECT_LE(result["frames"].toInt(), 12);
    EXPECT_EQ(result["panes"].toInt(), static_cast<int>(window->model().state().panes.size()));
    for (const char* clock : {"wall_ms", "processor_ms"}) {
        const QJsonObject times = result[clock].toObject();
        EXPECT_GT(times["median"].toDouble(), 0) << clock;
        EXPECT_LE(times["median"].toDouble(), times["p95"].toDouble()) << clock;
        EXPECT_LE(times["p95"].toDouble(), times["largest"].toDouble()) << clock;
    }
    EXPECT_THAT(errorOf(R"([{"do": "frames", "pane": 1, "file": "/no/such/folder/f.json"}])"),
                HasSubstr("could not be written"));
    EXPECT_THAT(errorOf(R"([{"do": "frames", "pane": 13, "file": "f.json"}])"),
                HasSubstr("not on screen"));
}

TEST_F(ScriptTest, CommandsPanelsThemesAndFiles) {
    const std::string photo = madeUpPhoto("b.png", 80, 60).toStdString();
    const std::string shot = folder.filePath("log.png").toStdString();
    const std::string json = R"([{"do": "open", "file": ")" + photo + R"("},
        {"do": "wait-idle", "seconds": 120},
        {"do": "action", "name": "compare.difference"},
        {"do": "panel", "name": "log"},
        {"do": "theme", "name": "light"},
        {"do": "resize", "size": [1000, 700]},
        {"do": "screenshot", "file": ")" +
                             shot + R"(", "of": "log"}])";
    const auto played = play(json.c_str());
    ASSERT_TRUE(played) << played.error().message;
    EXPECT_EQ(window->model().photoExtent(), (Extent{60, 80}));
    EXPECT_EQ(window->model().state().compare, CompareMode::Difference);
    EXPECT_FALSE(window->isDark());
    EXPECT_EQ(window->size(), QSize(1000, 700));
    EXPECT_EQ(QImage(QString::fromStdString(shot)).size(), window->panel("log")->size());
    ASSERT_TRUE(play(R"([{"do": "panel", "name": "log", "visible": false}])"));
    EXPECT_FALSE(window->panel("log")->isVisible());
    ASSERT_TRUE(play(R"([{"do": "action", "name": "help.palette"}, {"do": "type", "text": "dark"},
                         {"do": "key", "key": "Escape"}, {"do": "theme", "name": "dark"}])"));
}

TEST_F(ScriptTest, MistakesAreNamedBeforeAnythingIsPlayed) {
    EXPECT_THAT(errorOf(R"([{"do": "resize", "size": [700, 500]}, {"do": "dance"}])"),
                HasSubstr("Step 2 of the script: 'do' is 'dance', but must be one of click"));
    EXPECT_NE(window->width(), 700) << "nothing was played";
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": 1}])"), HasSubstr("click needs 'at'"));
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": "1", "at": [1, 2]}])"),
                HasSubstr("'pane' of click must be a number"));
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": 1, "at": [1]}])"), HasSubstr("two numbers"));
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": 1, "at": [1, 2], "pan": 3}])"),
                HasSubstr("click has no 'pan'"));
    EXPECT_THAT(errorOf(R"([3])"), HasSubstr("Step 1 of the script: it is not an object"));
    EXPECT_THAT(errorOf(R"([{"do": "key", "key": "Hyperspace"}])"), HasSubstr("names no key"));
    EXPECT_THAT(errorOf(R"([{"do": "action", "name": "no.such"}])"), HasSubstr("no action"));
    EXPECT_THAT(errorOf(R"([{"do": "panel", "name": "nowhere"}])"), HasSubstr("no panel"));
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": 9, "at": [1, 2]}])"), HasSubstr("no pane 9"));
    EXPECT_THAT(errorOf(R"([{"do": "click", "pane": 1, "at": [1, 2]}])"), HasSubstr("no photo"));
    EXPECT_THAT(errorOf(R"([{"do": "screenshot", "file": "/no/such/folder/a.png"}])"),
                HasSubstr("could not be written"));
}

TEST_F(ScriptTest, WaitingHasAnEnd) {
    start(slowOptions());
    window->openFile(madeUpPhoto("large.png", 700, 600));
    EXPECT_THAT(errorOf(R"([{"do": "wait-idle", "seconds": 0.2}])"),
                HasSubstr("Step 1 of the script: still computing after 0.2 s"));
}

TEST_F(ScriptTest, FilesThatAreNoScripts) {
    const auto errorOfFile = [&](const char* text) {
        QFile file(folder.filePath("steps.json"));
        EXPECT_TRUE(file.open(QIODevice::WriteOnly));
        file.write(text);
        file.close();
        const auto read = readScript(file.fileName());
        return read ? "no error" : read.error().message;
    };
    EXPECT_EQ(readScript(folder.filePath("absent.json")).error().code, ErrorCode::NotFound);
    EXPECT_THAT(errorOfFile("[\n{\"do\": \"quit\"},\n oops]"), HasSubstr("in line 3"));
    EXPECT_THAT(errorOfFile("{}"), HasSubstr("array of steps"));
    EXPECT_THAT(errorOfFile(R"([{"do": "quit"}, {"do": "wait"}])"), HasSubstr("Step 2"));
    EXPECT_EQ(errorOfFile(R"([{"do": "quit"}])"), "no error");
}

TEST_F(ScriptTest, EveryStepIsDocumented) {
    QFile file(LOFTSCOPE_DOCS "/scripting.md");
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    const std::string text = file.readAll().toStdString();
    for (const QString& step : scriptSteps())
        EXPECT_THAT(text, HasSubstr("| `" + step.toStdString() + "` |"));
}

} // namespace
} // namespace loftscope
