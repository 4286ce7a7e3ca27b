// SPDX-License-Identifier: Apache-2.0
#include "core/figure/figure_file.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace loftscope {
namespace {

using test::TempFolder;
using test::writeBytes;
using testing::AllOf;
using testing::HasSubstr;

FigurePlan fullPlan() {
    FigurePlan plan;
    plan.title = "Coffee, \"twice\"";
    plan.panes = {{*parsePane("image"), std::nullopt, std::nullopt},
                  {*parsePane("attention:loftup@#1;head=2"), "Head 3", ""}};
    plan.only = 2;
    plan.columns = 2;
    plan.rowPerPhoto = true;
    plan.columnLabels = {"a", "b"};
    plan.rowLabels = {"first"};
    plan.titles = plan.subtitles = plan.bars = plan.markers = plan.notes = false;
    plan.picks = {{{10, 20}, "1", colorOfPick(0)}, {{30, 40}, "eye", {1, 2, 255}}};
    plan.activePick = 2;
    plan.insets = {{{1, 2, 30, 40}, std::nullopt, Inset().share, colorOfInset(0)},
                   {{5, 6, 7, 8}, Corner::TopLeft, 0.3, {9, 8, 7}}};
    plan.crop = Rect{0, 0, 100, 90};
    plan.paneWidth = 200;
    plan.look = {.widthMm = 82.5, .fontPoints = 8, .dotsPerInch = 600, .textAsPaths = true};
    return plan;
}

TEST(FigureFile, KeepsEverything) {
    const TempFolder folder;
    for (const FigurePlan& plan : {fullPlan(), FigurePlan()}) {
        ASSERT_TRUE(writeFigurePlan(folder / "f.json", plan));
        const auto read = readFigurePlan((folder / "f.json").string(), {});
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(*read, plan);
        EXPECT_EQ(figureText(*read), figureText(plan));
    }
}

TEST(FigureFile, BeginsWithAPreset) {
    const TempFolder folder;
    writeBytes(folder / "f.json",
               R"({"loftscope_figure": 1, "preset": "teaser", "width": "column"})");
    const auto plan = readFigurePlan((folder / "f.json").string(), {"bilinear", "loftup"});
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->panes.size(), 4U);
    EXPECT_EQ(textOf(plan->panes[3].view), "loftup");
    EXPECT_EQ(plan->look.widthMm, columnWidthMm);
    EXPECT_EQ(*readFigurePlan("teaser", {"loftup"}), *figurePreset("teaser", {"loftup"}));
    for (const std::string_view name : figurePresets())
        EXPECT_TRUE(figurePreset(name, {"bilinear"}));
}

TEST(FigureFile, NamesWhatIsWrong) {
    const TempFolder folder;
    const auto errorOf = [&](const std::string& text) {
        writeBytes(folder / "wrong.json", text);
        const auto plan = readFigurePlan((folder / "wrong.json").string(), {});
        EXPECT_FALSE(plan) << text;
        return plan ? std::string() : plan.error().message;
    };
    const auto withField = [&](const std::string& field) {
        return errorOf(R"({"loftscope_figure": 1, )" + field + "}");
    };
    EXPECT_THAT(withField(R"("colums": 2)"),
                AllOf(HasSubstr("'wrong.json'"), HasSubstr("'colums', did you mean 'columns'?")));
    EXPECT_THAT(withField(R"("zzzzzzzzz": 2)"), HasSubstr("known are"));
    EXPECT_THAT(withField(R"("columns": "two")"), HasSubstr("'columns' must be a whole number"));
    EXPECT_THAT(withField(R"("width": 3)"), HasSubstr("millimetres"));
    EXPECT_THAT(withField(R"("panes": ["attention@x"])"), HasSubstr("attention@x"));
    EXPECT_THAT(withField(R"("panes": [{"show": "image", "tilte": "A"}])"),
                AllOf(HasSubstr("pane 1"), HasSubstr("'title'")));
    EXPECT_THAT(withField(R"("insets": [[1, 2, 0, 4]])"), HasSubstr("inset 1"));
    EXPECT_THAT(withField(R"("picks": [{"color": "#12345"}])"), HasSubstr("pick 1"));
    EXPECT_THAT(withField(R"("text": "curves")"), HasSubstr("text, paths"));
    EXPECT_THAT(errorOf("{\"loftscope_figure\": 2}"), HasSubstr("newer LoftScope"));
    EXPECT_THAT(errorOf("{}"), HasSubstr("loftscope_figure"));
    EXPECT_THAT(errorOf("{\"loftscope_figure\": 1"), HasSubstr("no valid JSON"));
    EXPECT_THAT(readFigurePlan("colage", {}).error().message,
                AllOf(HasSubstr("no figure preset 'colage'"), HasSubstr("teaser")));
    EXPECT_EQ(readFigurePlan("none/a.json", {}).error().code, ErrorCode::NotFound);
}

} // namespace
} // namespace loftscope
