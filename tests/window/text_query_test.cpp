// SPDX-License-Identifier: Apache-2.0
// Looking for a text in the real window, with a small CLIP of random weights.
#include "tests/text/text_checkpoints.h"
#include "tests/window/window_fixture.h"
#include "ui/panes/session_state.h"

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct TextQueryTest : WindowFixture {
    test::TempFolder models;

    PaneModel& model() const { return window->model(); }
    void startWithClip() {
        WindowOptions clip = options();
        clip.workspace.inputSize = 96;
        clip.workspace.engine.weights.clear();
        clip.workspace.engine.backbone =
            test::writeState(models, "clip.safetensors", test::twoTowers("clip"));
        test::layVocabulary(models, "text.clip.merges.txt", "merges.txt");
        start(clip);
        open(madeUpPhoto("photo.png"));
    }
    void ask(const QString& text) {
        command("text.ask")->trigger();
        TextField& field = *window->inspector().text();
        field.clear();
        QTest::keyClicks(&field, text);
        QTest::keyClick(&field, Qt::Key_Return);
        ASSERT_TRUE(waitIdle(*window));
    }
};

TEST_F(TextQueryTest, ShowsItAmongLowResAndUpsampledFeaturesAndCanBeUndone) {
    startWithClip();
    const std::size_t before = model().state().panes.size();
    ask("a dog");
    ASSERT_EQ(model().state().panes.size(), before + 2);
    const PaneContent& low = contentOf("text", "");
    EXPECT_EQ(low.title.toStdString(), "\u201ca dog\u201d");
    ASSERT_NE(low.map, nullptr) << low.message.toStdString();
    EXPECT_TRUE(low.map->complete());
    const PaneContent& high = contentOf("text", "bilinear");
    ASSERT_NE(high.map, nullptr);
    EXPECT_GT(high.map->extent().width, low.map->extent().width);

    // Another text takes the place of the first in every pane; undo brings it back.
    ask("trees");
    EXPECT_EQ(model().state().panes.size(), before + 2);
    EXPECT_EQ(contentOf("text", "").title.toStdString(), "\u201ctrees\u201d");
    model().undo();
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(model().pane(paneOf("text", "bilinear"))->text, "a dog");
    EXPECT_EQ(window->inspector().text()->text().toStdString(), "a dog");
    model().undo();
    EXPECT_EQ(model().state().panes.size(), before);
}

TEST_F(TextQueryTest, TheSessionKeepsIt) {
    startWithClip();
    ask("a dog, at night");
    const WorkspaceState again = stateOf(sessionOf(model().state()));
    int texts = 0;
    for (const PaneState& pane : again.panes)
        if (pane.kind == "text") texts += pane.text == "a dog, at night" ? 1 : 0;
    EXPECT_EQ(texts, 2);
}

TEST_F(TextQueryTest, ABackboneWithoutTextTowerSaysSo) {
    command("text.ask")->trigger();
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("open a photo first"));
    open(madeUpPhoto("photo.png"));
    EXPECT_FALSE(window->inspector().text()->isVisible());
    command("text.ask")->trigger();
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("no text tower"));
    // A pane of another session may ask for one all the same.
    askForText(model(), "a dog");
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_THAT(contentOf("text", "").message.toStdString(), HasSubstr("has no text tower"));
}

} // namespace
} // namespace loftscope
