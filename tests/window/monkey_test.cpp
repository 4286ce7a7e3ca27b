// SPDX-License-Identifier: Apache-2.0
// Anything in any order: hundreds of random actions, and pictures of the window compared with each
// other.
#include "tests/window/window_fixture.h"
#include "ui/window/command_palette.h"

#include <QDialog>
#include <QDockWidget>
#include <QMenu>
#include <QWheelEvent>

#include <algorithm>
#include <random>

namespace loftscope {
namespace {

class MonkeyTest : public WindowFixture, public ::testing::WithParamInterface<unsigned> {
protected:
    std::mt19937 random{GetParam()};

    int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random); }
    QPoint anywhere() {
        return {below(window->canvas().width()), below(window->canvas().height())};
    }
    /// Menus and dialogs that an action opened.
    void closeWhatIsOpen() {
        for (QMenu* menu : window->findChildren<QMenu*>())
            if (menu->isVisible()) menu->close();
        for (QDialog* dialog : window->findChildren<QDialog*>())
            dialog->close();
        window->commandPalette().hide();
    }
    QString act(const QStringList& files) {
        static const QStringList left{"file.quit", "view.full-screen"};
        CanvasWidget& canvas = window->canvas();
        switch (below(8)) {
        case 0:
        case 1:
        case 2: {
            const QList<QAction*>& all = window->commands().all();
            QAction* action = all[below(static_cast<int>(all.size()))];
            if (left.contains(action->objectName())) return {};
            action->trigger();
            return action->objectName();
        }
        case 3:
            QTest::mouseClick(&canvas, below(5) == 0 ? Qt::RightButton : Qt::LeftButton, {},
                              anywhere());
            return "click";
        case 4: {
            const QPoint from = anywhere();
            sendMouse(QEvent::MouseButtonPress, from, Qt::LeftButton);
            for (int i = 0; i < 4; ++i)
                sendMouse(QEvent::MouseMove, anywhere(), Qt::LeftButton);
            sendMouse(QEvent::MouseButtonRelease, anywhere(), Qt::NoButton);
            return "drag";
        }
        case 5: {
            const QPointF at = anywhere();
            QWheelEvent wheel(at, canvas.mapToGlobal(at), {}, {0, (below(9) - 4) * 120},
                              Qt::NoButton, {}, Qt::NoScrollPhase, false);
            QApplication::sendEvent(&canvas, &wheel);
            return "wheel";
        }
        case 6: {
            static constexpr std::array keys{Qt::Key_Left, Qt::Key_Up,     Qt::Key_Space,
                                             Qt::Key_Tab,  Qt::Key_Escape, Qt::Key_Plus};
            QTest::keyClick(&canvas, keys[static_cast<std::size_t>(below(keys.size()))]);
            return "key";
        }
        default:
            if (below(3) > 0) {
                window->resize(500 + below(900), 400 + below(500));
                return "resize";
            }
            const QString file = files[below(static_cast<int>(files.size()))];
            window->openFile(file);
            return "open " + file;
        }
    }
};

TEST_P(MonkeyTest, TwoHundredActions) {
    const QStringList files{madeUpPhoto("a.png", 96, 64), madeUpPhoto("b.png", 20, 160),
                            madeUpPhoto("c.png", 1, 1), brokenPhoto("d.jpg"),
                            LOFTSCOPE_RESOURCES "/models/loftscope_vit16_loftup.safetensors"};
    open(files.first());
    qtWarnings().clear();
    for (int i = 0; i < 200; ++i) {
        const QString what = act(files);
        if (below(4) == 0) QTest::qWait(below(30));
        QApplication::processEvents();
        closeWhatIsOpen();
        // Inputs of thousands of pixels are right, but nothing to wait for here.
        if (window->model().state().compute.inputSize > 128) {
            ComputeSettings settings = window->model().state().compute;
            settings.inputSize = 64;
            window->model().setCompute(settings);
        }
        ASSERT_TRUE(qtWarnings().isEmpty()) << "after action " << i << ", " << what.toStdString()
                                            << ": " << qtWarnings().join("; ").toStdString();
    }
    // And it still works.
    ASSERT_TRUE(waitIdle(*window, 120'000));
    window->openFile(files.first());
    ASSERT_TRUE(waitIdle(*window, 120'000));
    EXPECT_EQ(window->model().photoExtent(), (Extent{64, 96}));
    EXPECT_FALSE(window->errorBar().showsError()) << window->errorBar().text().toStdString();
}

INSTANTIATE_TEST_SUITE_P(Seeds, MonkeyTest, ::testing::Values(1U, 2U, 3U));

struct PictureTest : WindowFixture {
    QImage picture() {
        QApplication::processEvents();
        window->canvas().repaint();
        return window->canvas().grab().toImage().convertToFormat(QImage::Format_RGB32);
    }
    /// Share of pixels that differ by more than two levels in a channel.
    static double difference(const QImage& a, const QImage& b) {
        if (a.size() != b.size()) return 1;
        qint64 different = 0;
        for (int y = 0; y < a.height(); ++y) {
            for (int x = 0; x < a.width(); ++x) {
                const QRgb p = a.pixel(x, y);
                const QRgb q = b.pixel(x, y);
                const int most =
                    std::max({std::abs(qRed(p) - qRed(q)), std::abs(qGreen(p) - qGreen(q)),
                              std::abs(qBlue(p) - qBlue(q))});
                if (most > 2) ++different;
            }
        }
        return static_cast<double>(different) / (double(a.width()) * a.height());
    }
};

TEST_F(PictureTest, TheSameStateIsTheSamePicture) {
    open(madeUpPhoto("a.png", 96, 64));
    const QImage first = picture();
    window->model().placePick({30, 30});
    waitIdle(*window);
    const QImage picked = picture();
    EXPECT_GT(difference(first, picked), 0.05) << "attention and similarity have come";
    command("compare.wipe")->trigger();
    EXPECT_GT(difference(picked, picture()), 0.001);
    command("compare.wipe")->trigger();
    EXPECT_LT(difference(picked, picture()), 0.001);
    // Another window with the same photo, pick and size shows the same.
    const QSize size = window->size();
    start(options());
    window->resize(size);
    open(folder.filePath("a.png"));
    window->model().placePick({30, 30});
    waitIdle(*window);
    EXPECT_LT(difference(picked, picture()), 0.001);
    command("edit.undo")->trigger();
    waitIdle(*window);
    EXPECT_LT(difference(first, picture()), 0.001) << "undo takes the pick's maps away, too";
}

TEST_F(PictureTest, LightAndDarkDifferAroundThePicturesOnly) {
    open(madeUpPhoto("a.png", 96, 64));
    command("pane.select-1")->trigger();
    command("pane.maximise")->trigger();
    const QImage dark = picture();
    window->setDark(false);
    const QImage light = picture();
    const QPoint middle = widgetAt(paneOf("photo"), 48, 32);
    EXPECT_EQ(dark.pixel(middle), light.pixel(middle));
    EXPECT_LT(qGray(dark.pixel(dark.width() / 2, 2)), 100);
    EXPECT_GT(qGray(light.pixel(light.width() / 2, 2)), 180);
    window->setDark(true);
}

} // namespace
} // namespace loftscope
