// SPDX-License-Identifier: Apache-2.0
// Clips in the window: a slider over frames, one basis for all of them.
#include "core/kernel/processor.h"
#include "tests/window/window_fixture.h"
#include "ui/window/clip_bar.h"

#include <QCheckBox>
#include <QLabel>
#include <QSlider>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct ClipWindowTest : WindowFixture {
    void openFrames(int count) {
        for (int i = 0; i < count; ++i)
            madeUpPhoto(QString("f%1.png").arg(i), 96, 64, 40 * i);
        window->openSequence(folder.path());
        ASSERT_TRUE(waitIdle(*window));
    }
    std::vector<float> scoresOf(const std::string& method) {
        const auto values = contentOf("features", method).map->channel(0);
        return {values.begin(), values.end()};
    }
};

TEST_F(ClipWindowTest, ASliderOverTheFrames) {
    EXPECT_FALSE(window->clipBar().isVisible());
    openFrames(4);
    EXPECT_TRUE(window->clipBar().isVisible());
    EXPECT_EQ(window->clipBar().slider()->maximum(), 3);
    EXPECT_EQ(window->clipBar().text(), "frame 1 of 4");
    window->model().placePick({30, 30});
    window->model().setView(1, {{48, 32}, 3, false});
    waitIdle(*window);
    command("clip.next")->trigger();
    command("clip.next")->trigger();
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(window->clipBar().text(), "frame 3 of 4");
    EXPECT_EQ(window->workspace().clip()->frame, 2);
    EXPECT_TRUE(window->model().activePick()) << "the pick stays where it is";
    EXPECT_FALSE(window->model().viewOf(1).fitted) << "and so does the view";
    EXPECT_FALSE(contentOf("features", "loftup").stale);
    EXPECT_FALSE(contentOf("attention").stale);
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
    // A storm of slider moves ends with the newest frame.
    for (const int frame : {0, 3, 1, 2, 0, 3})
        window->clipBar().slider()->setValue(frame);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(window->workspace().clip()->frame, 3);
    // A photo leaves the clip.
    open(madeUpPhoto("f2.png", 96, 64));
    EXPECT_FALSE(window->clipBar().isVisible());
    EXPECT_FALSE(command("clip.next")->isEnabled());
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("own basis"));
}

TEST_F(ClipWindowTest, OneBasisMakesEqualFramesEqualColours) {
    openFrames(4);
    const std::string details = contentOf("features", "loftup").details.toStdString();
    EXPECT_THAT(details, HasSubstr("locked basis"));
    const std::vector<float> low = scoresOf("");
    const std::vector<float> loftUp = scoresOf("loftup");
    window->clipBar().slider()->setValue(2);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_NE(scoresOf(""), low);
    window->clipBar().slider()->setValue(0);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_EQ(scoresOf(""), low) << "the frame looks as it did before";
    EXPECT_EQ(scoresOf("loftup"), loftUp);
    // Without it every frame has its own.
    window->clipBar().sameColors()->setChecked(false);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_THAT(contentOf("features", "").details.toStdString(), HasSubstr("own basis"));
    EXPECT_NE(scoresOf(""), low);
}

TEST_F(ClipWindowTest, ABrokenVideoIsASentence) {
    open(madeUpPhoto("photo.png"));
    const QString path = folder.filePath("broken.mp4");
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("this is no video");
    file.close();
    drop({path});
    waitIdle(*window);
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("no video"));
    EXPECT_FALSE(window->clipBar().isVisible());
    EXPECT_EQ(title(), "photo.png");
}

TEST_F(ClipWindowTest, BfloatIsSaidOnThePane) {
    open(madeUpPhoto("photo.png"));
    ComputeSettings settings = window->model().state().compute;
    settings.precision = "bf16";
    window->model().setCompute(settings);
    ASSERT_TRUE(waitIdle(*window));
    EXPECT_THAT(contentOf("features", "loftup").details.toStdString(), HasSubstr("bf16"));
    EXPECT_THAT(contentOf("features", "bilinear").details.toStdString(),
                ::testing::Not(HasSubstr("bf16")));
    EXPECT_TRUE(contentOf("features", "loftup").map->complete());
    const auto* result = window->findChild<QLabel*>("computeResult");
    ASSERT_NE(result, nullptr);
    EXPECT_EQ(result->text().contains("no bf16 instructions"), emulatesBf16())
        << result->text().toStdString();
}

} // namespace
} // namespace loftscope
