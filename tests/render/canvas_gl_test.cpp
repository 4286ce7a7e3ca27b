// SPDX-License-Identifier: Apache-2.0
// The canvas driven by real events; what it draws is checked only where it matters.
#include "ui/canvas/canvas_widget.h"
#include "ui/canvas/pane_chrome.h"

#include <QApplication>
#include <QMouseEvent>
#include <QSignalSpy>
#include <QTest>
#include <QWheelEvent>
#include <glm/common.hpp>
#include <glm/geometric.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <random>

namespace loftscope {
namespace {

QPoint pointOf(glm::dvec2 at) {
    return QPointF(at.x, at.y).toPoint();
}

struct CanvasTest : ::testing::Test {
    PaneModel model;
    std::unique_ptr<CanvasWidget> canvas;
    int photo = 0;
    int scores = 0;
    int scalar = 0;

    void SetUp() override {
        std::vector<std::uint8_t> pixels(static_cast<std::size_t>(120 * 160 * 3));
        for (std::size_t i = 0; i < pixels.size(); ++i) {
            pixels[i] = static_cast<std::uint8_t>(i * 7 % 256);
        }
        model.setPhoto(ImagePyramid::of(Image({120, 160}, std::move(pixels))));
        photo = model.idAt(0);
        PaneContent content;
        content.form = LayerKind::Photo;
        model.setContent(photo, content);
        scores = add(LayerKind::Scores, 5);
        scalar = add(LayerKind::Scalar, 1);
        canvas = std::make_unique<CanvasWidget>(&model);
        canvas->resize(900, 400);
        canvas->show();
        ASSERT_TRUE(QTest::qWaitForWindowExposed(canvas.get()));
        paint();
    }
    int add(LayerKind form, int channels) {
        std::vector<float> values(static_cast<std::size_t>(channels * 12 * 16));
        std::iota(values.begin(), values.end(), 0.0F);
        const int id = model.addPane({});
        PaneContent content;
        content.form = form;
        content.title = "Pane";
        content.map = MapBuffer::whole(channels, {12, 16}, std::move(values));
        model.setContent(id, content);
        return id;
    }
    void paint() {
        canvas->repaint();
        QApplication::processEvents();
    }
    QPoint widgetAt(int pane, glm::dvec2 pixel) const {
        return pointOf(canvas->transformOf(pane).widgetFromPixel(pixel));
    }
    void drag(QPoint from, QPoint to, Qt::MouseButton button = Qt::LeftButton) {
        QTest::mouseMove(canvas.get(), from);
        QTest::mousePress(canvas.get(), button, {}, from);
        for (int i = 1; i <= 4; ++i)
            sendMove(from + (to - from) * i / 4, button);
        QTest::mouseRelease(canvas.get(), button, {}, to);
        paint();
    }
    void sendMove(QPoint at, Qt::MouseButtons buttons = Qt::NoButton) {
        QMouseEvent move(QEvent::MouseMove, at, canvas->mapToGlobal(at), Qt::NoButton, buttons, {});
        QApplication::sendEvent(canvas.get(), &move);
        paint();
    }
    void wheel(QPoint at, int notches) {
        QWheelEvent event(at, canvas->mapToGlobal(at), {}, {0, 120 * notches}, {}, {},
                          Qt::NoScrollPhase, false);
        QApplication::sendEvent(canvas.get(), &event);
    }
};

TEST_F(CanvasTest, AClickPicksThePhotoPixelUnderIt) {
    QSignalSpy picked(canvas.get(), &CanvasWidget::picked);
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, widgetAt(scores, {100, 40}));
    ASSERT_TRUE(model.activePick());
    EXPECT_LT(glm::distance(model.activePick()->at, glm::dvec2(100, 40)), 1.0);
    EXPECT_EQ(model.state().selected, scores);
    ASSERT_EQ(picked.count(), 1);
    EXPECT_EQ(picked[0][0].toInt(), scores);
}

TEST_F(CanvasTest, AClickBesideThePhotoPicksNothing) {
    const Box picture = canvas->pictureOf(photo);
    const glm::dvec2 beside = picture.origin + glm::dvec2(3, 3);
    ASSERT_FALSE(
        boxOf(model.photoExtent()).contains(canvas->transformOf(photo).pixelFromWidget(beside)));
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, pointOf(beside));
    EXPECT_FALSE(model.activePick());
}

TEST_F(CanvasTest, ADragMovesThePickAndIsOneUndo) {
    drag(widgetAt(photo, {20, 20}), widgetAt(photo, {120, 90}));
    ASSERT_EQ(model.state().picks.size(), 1U);
    EXPECT_LT(glm::distance(model.activePick()->at, glm::dvec2(120, 90)), 1.0);
    model.undo();
    EXPECT_TRUE(model.state().picks.empty());
}

TEST_F(CanvasTest, HoverTellsThePhotoPointAndLeavingEndsIt) {
    QSignalSpy left(canvas.get(), &CanvasWidget::hoverLeft);
    sendMove(widgetAt(scalar, {50, 60}));
    ASSERT_TRUE(model.hover());
    EXPECT_EQ(model.hover()->pane, scalar);
    EXPECT_LT(glm::distance(model.hover()->at, glm::dvec2(50, 60)), 1.0);
    sendMove(pointOf(canvas->headerOf(scalar).center()));
    EXPECT_FALSE(model.hover());
    EXPECT_EQ(left.count(), 1);
}

TEST_F(CanvasTest, TheWheelZoomsAllLinkedPanesAtTheCursor) {
    const QPoint at = widgetAt(photo, {30, 30});
    const glm::dvec2 before = canvas->transformOf(photo).pixelFromWidget({at.x(), at.y()});
    const double zoom = canvas->zoomOf(scores);
    wheel(at, 8);
    EXPECT_NEAR(canvas->zoomOf(scores), zoom * 4, 1e-9);
    EXPECT_LT(glm::distance(canvas->transformOf(photo).pixelFromWidget({at.x(), at.y()}), before),
              1e-6);
}

TEST_F(CanvasTest, TheMiddleButtonPansAndTheRightOneOpensTheMenuIfItDoesNotMove) {
    QSignalSpy menu(canvas.get(), &CanvasWidget::paneMenuRequested);
    wheel(widgetAt(photo, {80, 60}), 8);
    const glm::dvec2 held = canvas->transformOf(photo).pixelFromWidget(
        {double(widgetAt(photo, {80, 60}).x()), double(widgetAt(photo, {80, 60}).y())});
    const QPoint from = widgetAt(photo, {80, 60});
    drag(from, from + QPoint(40, -20), Qt::MiddleButton);
    const QPoint moved = widgetAt(photo, held);
    EXPECT_LE((moved - from - QPoint(40, -20)).manhattanLength(), 2);
    EXPECT_FALSE(model.activePick());
    drag(from, from + QPoint(30, 0), Qt::RightButton);
    EXPECT_EQ(menu.count(), 0);
    QTest::mouseClick(canvas.get(), Qt::RightButton, {}, widgetAt(scores, {80, 60}));
    ASSERT_EQ(menu.count(), 1);
    EXPECT_EQ(menu[0][0].toInt(), scores);
}

TEST_F(CanvasTest, HeadersSelectMaximiseSwapAndOpenTheMenu) {
    QSignalSpy menu(canvas.get(), &CanvasWidget::paneMenuRequested);
    const Box header = canvas->headerOf(photo);
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, pointOf(header.center()));
    EXPECT_EQ(model.state().selected, photo);
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, pointOf(menuButtonOf(header).center()));
    EXPECT_EQ(menu.count(), 1);
    drag(pointOf(header.center()), pointOf(canvas->pictureOf(scalar).center()));
    EXPECT_EQ(model.idAt(2), photo);
    QTest::mouseDClick(canvas.get(), Qt::LeftButton, {},
                       pointOf(canvas->headerOf(scalar).center()));
    EXPECT_EQ(model.state().maximised, scalar);
    EXPECT_TRUE(canvas->pictureOf(photo).empty());
    EXPECT_EQ(canvas->pictureOf(scalar).size.x, 900);
}

TEST_F(CanvasTest, TheWipeIsDraggedByItsEdgeAndShowsTheReferenceOnTheLeft) {
    model.select(scalar);
    model.setReference(scores);
    model.setCompare(CompareMode::Wipe);
    paint();
    QSignalSpy wiped(canvas.get(), &CanvasWidget::wipeMoved);
    const Box picture = canvas->pictureOf(scalar);
    drag(pointOf(handleOf(model.state().wipe, picture)),
         pointOf(picture.origin + picture.size * glm::dvec2(0.25, 0.7)));
    EXPECT_NEAR(model.state().wipe.position, 0.25, 0.01);
    EXPECT_GT(wiped.count(), 0);
    EXPECT_FALSE(model.activePick()) << "a grabbed edge picks nothing";
    sendMove({1, 1});
    const QImage image = canvas->grabFramebuffer();
    const QPoint inA = pointOf(picture.origin + picture.size * glm::dvec2(0.12, 0.5));
    const QPoint inReference = inA + pointOf(canvas->pictureOf(scores).origin - picture.origin);
    EXPECT_EQ(image.pixelColor(inA), image.pixelColor(inReference));
    const QPoint inB = pointOf(picture.origin + picture.size * glm::dvec2(0.6, 0.5));
    EXPECT_NE(image.pixelColor(inB),
              image.pixelColor(inB + pointOf(canvas->pictureOf(scores).origin - picture.origin)));
}

TEST_F(CanvasTest, SpaceFlipsWhileHeld) {
    model.select(scalar);
    model.setReference(scores);
    canvas->setFocus();
    const QPoint inPane = pointOf(canvas->pictureOf(scalar).center());
    const QPoint inReference = pointOf(canvas->pictureOf(scores).center());
    QTest::keyPress(canvas.get(), Qt::Key_Space);
    EXPECT_TRUE(model.flipped());
    paint();
    QImage image = canvas->grabFramebuffer();
    EXPECT_EQ(image.pixelColor(inPane), image.pixelColor(inReference));
    QTest::keyRelease(canvas.get(), Qt::Key_Space);
    EXPECT_FALSE(model.flipped());
    paint();
    image = canvas->grabFramebuffer();
    EXPECT_NE(image.pixelColor(inPane), image.pixelColor(inReference));
}

TEST_F(CanvasTest, ArrowKeysNudgeThePickAndEscapeClears) {
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, widgetAt(photo, {80.5, 60.5}));
    const Pixel start = pixelContaining(model.activePick()->at, model.photoExtent());
    QTest::keyClick(canvas.get(), Qt::Key_Right);
    QTest::keyClick(canvas.get(), Qt::Key_Up, Qt::ShiftModifier);
    EXPECT_EQ(pixelContaining(model.activePick()->at, model.photoExtent()),
              (Pixel{start.x + 1, start.y - 10}));
    QTest::keyClick(canvas.get(), Qt::Key_Escape);
    EXPECT_FALSE(model.activePick());
}

TEST_F(CanvasTest, TheRangeControlDragsAnEndAndPicksNothing) {
    model.select(scalar);
    canvas->setRangeControlVisible(true);
    paint();
    paint();
    const Box box = rangeControlBox(canvas->pictureOf(scalar), 1);
    ASSERT_FALSE(box.empty());
    const ValueRange before = model.rangeOf(scalar, 0);
    QSignalSpy changed(canvas.get(), &CanvasWidget::rangeChanged);
    const QPoint right = pointOf({box.end().x - 14, box.end().y - 30});
    drag(right, right - QPoint(60, 0));
    paint();
    EXPECT_GT(changed.count(), 0);
    EXPECT_LT(model.rangeOf(scalar, 0).high, before.high);
    EXPECT_EQ(model.rangeOf(scalar, 0).low, before.low);
    EXPECT_FALSE(model.activePick());
    // Press and release without a frame in between still count as a click.
    const QPoint automatic = pointOf({box.end().x - 24, box.origin.y + 14});
    sendMove(automatic);
    QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, automatic);
    for (int i = 0; i < 4; ++i)
        paint();
    EXPECT_TRUE(model.pane(scalar)->autoRange);
}

TEST_F(CanvasTest, SurvivesAMoveToAnotherWindowAndItsEnd) {
    QWidget window;
    window.resize(700, 500);
    canvas->setParent(&window);
    canvas->setGeometry(0, 0, 700, 500);
    window.show();
    canvas->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(&window));
    paint();
    const QImage image = canvas->grabFramebuffer();
    EXPECT_EQ(image.size(), QSize(700, 500));
    const QPoint inMap = pointOf(canvas->pictureOf(scalar).center());
    EXPECT_NE(image.pixelColor(inMap).saturation(), 0) << "a colour map, not the background";
    canvas.reset();
}

TEST_F(CanvasTest, EmptyPanesSayWhy) {
    PaneContent empty;
    empty.title = "Attention";
    empty.message = "Click a pixel to see what it attends to.";
    model.setContent(scalar, empty);
    paint();
    const QImage image = canvas->grabFramebuffer();
    const Box picture = canvas->pictureOf(scalar);
    int inked = 0;
    for (int x = static_cast<int>(picture.origin.x); x < static_cast<int>(picture.end().x); ++x) {
        for (int dy = -12; dy <= 12; ++dy) {
            const int y = static_cast<int>(picture.center().y) + dy;
            inked += image.pixelColor(x, y).lightness() > 90 ? 1 : 0;
        }
    }
    EXPECT_GT(inked, 100);
}

TEST_F(CanvasTest, TwoHundredRandomActionsLeaveAConsistentModel) {
    std::mt19937 random(11);
    const auto upTo = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    canvas->setRangeControlVisible(true);
    for (int i = 0; i < 200; ++i) {
        const QPoint at(upTo(900), upTo(400));
        switch (upTo(12)) {
        case 0:
            wheel(at, upTo(9) - 4);
            break;
        case 1:
            QTest::mouseClick(canvas.get(), Qt::LeftButton, {}, at);
            break;
        case 2:
            drag(at, {upTo(900), upTo(400)});
            break;
        case 3:
            drag(at, {upTo(900), upTo(400)}, Qt::MiddleButton);
            break;
        case 4:
            QTest::mouseDClick(canvas.get(), Qt::LeftButton, {}, at);
            break;
        case 5:
            model.setCompare(static_cast<CompareMode>(upTo(3)));
            break;
        case 6:
            model.setReference(model.idAt(upTo(4)));
            break;
        case 7:
            upTo(2) == 0 ? model.undo() : model.redo();
            break;
        case 8:
            model.setLinked(upTo(2) == 0);
            break;
        case 9:
            model.addPane(*model.pane(model.idAt(0)));
            break;
        case 10:
            model.removePane(model.idAt(upTo(3)));
            break;
        default:
            QTest::keyClick(canvas.get(), upTo(2) == 0 ? Qt::Key_Space : Qt::Key_Left);
            break;
        }
        if (i % 10 == 0) paint();
        ASSERT_NE(model.pane(model.state().selected), nullptr);
        ASSERT_LE(model.state().panes.size(), 12U);
    }
    paint();
}

} // namespace
} // namespace loftscope
