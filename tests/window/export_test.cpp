// SPDX-License-Identifier: Apache-2.0
// What the window shows, in files and on the clipboard.
#include "core/image/decode.h"
#include "core/weights/tensor_file.h"
#include "tests/window/window_fixture.h"
#include "ui/render/layer_picture.h"
#include "ui/window/export_dialog.h"
#include "ui/window/figure_export.h"
#include "ui/window/session_keeper.h"

#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDir>
#include <QFileDialog>
#include <QImageReader>
#include <QProcess>
#include <QPushButton>
#include <QSignalSpy>
#include <nlohmann/json.hpp>

#include <fstream>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

struct ExportTest : WindowFixture {
    void SetUp() override {
        WindowFixture::SetUp();
        open(madeUpPhoto("a photo.png"));
    }
    PaneModel& model() const { return window->model(); }
    FigureDraft draft(const FigureChoices& choices = {}) const {
        return draftOf(
            model(), {"a photo.png", window->workspace().models()},
            [this](int pane) { return window->canvas().transformOf(pane).visiblePixels(); },
            choices);
    }
    QStringList figures() const {
        return QDir(folder.path()).entryList({"*_features*"}, QDir::Files, QDir::Name);
    }
    bool written(const QSignalSpy& spy, int count = 1) const {
        return QTest::qWaitFor([&] { return spy.count() >= count; }, 30000);
    }
};

TEST_F(ExportTest, MapsAreWrittenWithHowTheyWereMade) {
    QSignalSpy noted(&window->figures(), &FigureExport::noted);
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(paneOf("photo"), 48.5, 32.5));
    ASSERT_TRUE(waitIdle(*window));
    const QString data = folder.filePath("data");
    window->figures().saveData(data);
    ASSERT_TRUE(written(noted));
    const QStringList names = QDir(data).entryList({"*.npy"}, QDir::Files, QDir::Name);
    ASSERT_EQ(names.size(), 5) << names.join(' ').toStdString();
    EXPECT_TRUE(names.contains("4-loftup.npy")) << names.join(' ').toStdString();
    const auto scores = readTensor((data + "/4-loftup.npy").toStdString());
    ASSERT_TRUE(scores) << scores.error().message;
    EXPECT_EQ(scores->dim(), 3);
    // What is written is what is shown.
    const MapBuffer& map = *model().content(paneOf("features", "loftup")).map;
    EXPECT_EQ((*scores)[1][7][9].item<float>(), map.at(1, {9, 7}));
    QFile about(data + "/4-loftup.npy.json");
    ASSERT_TRUE(about.open(QIODevice::ReadOnly));
    EXPECT_THAT(about.readAll().toStdString(), HasSubstr("upsampler_sha256"));
    EXPECT_TRUE(QFile::exists(data + "/basis-own-loftup.safetensors"));
    EXPECT_TRUE(QFile::exists(data + "/picks.json"));

    // Nothing is overwritten.
    window->figures().saveData(data);
    ASSERT_TRUE(written(noted, 2));
    EXPECT_TRUE(QFile::exists(data + "/a_photo_data/4-loftup.npy"));
    QSignalSpy failed(&window->figures(), &FigureExport::failed);
    window->figures().saveData(folder.filePath("a photo.png/data"));
    ASSERT_TRUE(written(failed));
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("cannot be made"));
}

TEST_F(ExportTest, TheDataDialogRemembersItsFormat) {
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(paneOf("photo"), 48.5, 32.5));
    ASSERT_TRUE(waitIdle(*window));
    command("file.export-data")->trigger();
    DataDialog* dialog = window->figures().dataDialog();
    ASSERT_NE(dialog, nullptr);
    EXPECT_EQ(dialog->format(), "npy");
    EXPECT_THAT(dialog->text().toStdString(), HasSubstr("number per pixel: 2"));
    EXPECT_THAT(dialog->text().toStdString(), HasSubstr("scores: 3"));
    dialog->setFormat("csv");
    ASSERT_TRUE(QDir(folder.path()).mkdir("data"));
    QTest::mouseClick(dialog->findChild<QPushButton*>("save"), Qt::LeftButton);
    auto* chooser = dialog->findChild<QFileDialog*>("dataFolder");
    ASSERT_NE(chooser, nullptr);
    chooser->selectFile(folder.filePath("data"));
    QSignalSpy noted(&window->figures(), &FigureExport::noted);
    static_cast<QDialog*>(chooser)->accept();
    ASSERT_TRUE(written(noted));
    EXPECT_TRUE(QFile::exists(folder.filePath("data/6-similarity-loftup.csv")));
    EXPECT_TRUE(QFile::exists(folder.filePath("data/4-loftup.npy"))) << "scores are arrays";
    ASSERT_TRUE(QTest::qWaitFor([&] { return window->figures().dataDialog() == nullptr; }));
    start(options());
    command("file.export-data")->trigger();
    EXPECT_EQ(window->figures().dataDialog()->format(), "csv");
}

TEST_F(ExportTest, ClosingWhileNumbersAreWrittenLeavesNothingHalf) {
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(paneOf("photo"), 48.5, 32.5));
    ASSERT_TRUE(waitIdle(*window));
    window->figures().saveData(folder.filePath("data"));
    window.reset();
    const QDir data(folder.filePath("data"));
    EXPECT_TRUE(data.entryList({"*.part"}, QDir::Files).isEmpty());
    for (const QString& name : data.entryList({"*.npy"}, QDir::Files)) {
        const auto values = readTensor(data.filePath(name).toStdString());
        EXPECT_TRUE(values) << values.error().message;
    }
}

/// All weights of picks.json, pick by pick.
std::vector<double> weightsOf(const nlohmann::json& picks) {
    std::vector<double> all;
    for (const auto& pick : picks.at("picks"))
        for (const auto& attention : pick.at("attention"))
            for (const auto& map : attention.at("maps"))
                for (const auto& weight : map.at("weights"))
                    all.push_back(weight.get<double>());
    return all;
}

TEST_F(ExportTest, TheCommandLineWritesTheSameNumbers) {
    // Two picks, a difference whose first map has its sign turned, a basis that panes share.
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(paneOf("photo"), 48.5, 32.5));
    ASSERT_TRUE(waitIdle(*window));
    model().addPick({5.5, 6.5});
    PaneState pane = *model().pane(paneOf("features", ""));
    pane.kind = "difference";
    pane.minuend = paneOf("features", "bilinear");
    pane.subtrahend = paneOf("attention");
    model().setPane(pane, "test");
    PaneState turned = *model().pane(pane.minuend);
    turned.singleComponent = true;
    turned.scalar.channel = 1;
    turned.flips = 1U << 1;
    model().setPane(turned, "test");
    window->workspace().setBasis("shared");
    ASSERT_TRUE(waitIdle(*window));
    QSignalSpy saved(&window->sessions(), &SessionKeeper::noted);
    window->sessions().saveTo(folder.filePath("kept.loftscope"));
    ASSERT_TRUE(written(saved));
    QSignalSpy noted(&window->figures(), &FigureExport::noted);
    window->figures().saveData(folder.filePath("window"));
    ASSERT_TRUE(written(noted));

    QProcess program;
    program.start(LOFTSCOPE_PROGRAM,
                  {"render", folder.filePath("kept.loftscope"), "-o", folder.filePath("a.png"),
                   "--data", folder.filePath("command"), "-q"});
    ASSERT_TRUE(program.waitForFinished(120000));
    ASSERT_EQ(program.exitCode(), 0) << program.readAllStandardError().toStdString();
    const QDir ours(folder.filePath("window"));
    const QDir theirs(folder.filePath("command"));
    const QStringList names = ours.entryList(QDir::Files, QDir::Name);
    EXPECT_EQ(names, theirs.entryList(QDir::Files, QDir::Name));
    EXPECT_TRUE(names.contains("2-difference.npy")) << names.join(' ').toStdString();
    for (const QString& name : names) {
        if (!name.endsWith(".npy")) continue;
        const auto a = readTensor(ours.filePath(name).toStdString());
        const auto b = readTensor(theirs.filePath(name).toStdString());
        ASSERT_TRUE(a && b) << name.toStdString();
        ASSERT_EQ(a->sizes(), b->sizes()) << name.toStdString();
        const auto* const x = a->const_data_ptr<float>();
        const auto* const y = b->const_data_ptr<float>();
        const float scale = b->abs().max().item<float>();
        for (std::int64_t i = 0; i < a->numel(); ++i)
            ASSERT_NEAR(x[i], y[i], 1e-5F * scale) << name.toStdString() << " at " << i;
    }
    const auto picksIn = [](const QDir& directory) {
        return nlohmann::json::parse(std::ifstream(directory.filePath("picks.json").toStdString()));
    };
    const auto a = weightsOf(picksIn(ours));
    const auto b = weightsOf(picksIn(theirs));
    ASSERT_EQ(a.size(), b.size());
    EXPECT_GT(a.size(), 24U) << "of two picks";
    for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_NEAR(a[i], b[i], 1e-5);
}

TEST_F(ExportTest, AFigureHasThePanesOfTheWindowWithTheirPixels) {
    const FigureSpec figure = figureOf(draft());
    // Attention and similarity wait for a pick.
    ASSERT_EQ(figure.panes.size(), 4U);
    EXPECT_EQ(figure.panes[0].picture.extent(), (Extent{64, 96}));
    EXPECT_TRUE(figure.panes[0].smooth);
    EXPECT_EQ(figure.panes[1].picture.extent(), (Extent{4, 6})) << "patch tokens stay crisp";
    EXPECT_FALSE(figure.panes[1].smooth);
    EXPECT_EQ(figure.panes[3].title, "LoftUp");
    ASSERT_FALSE(figure.notes.empty());
    EXPECT_THAT(figure.notes[0], HasSubstr("loftscope_vit16.safetensors, SHA-256"));
    EXPECT_THAT(figure.notes[0], HasSubstr("loftscope_vit16_loftup.safetensors, SHA-256"));
    // The colours are those of the readout, pixel by pixel.
    const int loftUp = paneOf("features", "loftup");
    for (const Pixel pixel : {Pixel{0, 0}, Pixel{48, 32}, Pixel{95, 63}}) {
        const auto value = model().valueAt(
            loftUp, {static_cast<double>(pixel.x) + 0.5, static_cast<double>(pixel.y) + 0.5});
        ASSERT_TRUE(value);
        const std::uint8_t* drawn = figure.panes[3].picture.row(pixel.y) + 3 * pixel.x;
        for (std::size_t i = 0; i < 3; ++i)
            EXPECT_EQ(drawn[i], std::lround(value->color[i] * 255));
    }
}

TEST_F(ExportTest, PicksColourBarsAndDifferencesAreDrawnAsOnScreen) {
    QTest::mouseClick(&window->canvas(), Qt::LeftButton, {}, widgetAt(paneOf("photo"), 48.5, 16.5));
    ASSERT_TRUE(waitIdle(*window));
    const glm::dvec2 pick = model().activePick()->at;
    FigureSpec figure = figureOf(draft());
    ASSERT_EQ(figure.panes.size(), 6U);
    for (const FigurePane& pane : figure.panes) {
        ASSERT_EQ(pane.markers.size(), 1U) << pane.title;
        EXPECT_NEAR(pane.markers[0].x, pick.x / 96, 1e-9);
        EXPECT_NEAR(pane.markers[0].y, pick.y / 64, 1e-9);
    }
    const FigurePane& similarity = figure.panes[5];
    ASSERT_TRUE(similarity.bar);
    EXPECT_EQ(similarity.bar->unit, "cosine similarity");
    EXPECT_FALSE(figure.panes[3].bar) << "false colours have no bar";

    model().setReference(paneOf("features", "bilinear"));
    model().select(paneOf("features", "loftup"));
    model().setCompare(CompareMode::Wipe);
    figure = figureOf(draft({.selectedAlone = true}));
    ASSERT_EQ(figure.panes.size(), 1U);
    EXPECT_EQ(figure.panes[0].title, "Bilinear | LoftUp");
    const Image a =
        pictureOf(model().layerOf(paneOf("features", "bilinear")), {{0, 0}, {96, 64}}).image;
    const Image b =
        pictureOf(model().layerOf(paneOf("features", "loftup")), {{0, 0}, {96, 64}}).image;
    const Image& wiped = figure.panes[0].picture;
    ASSERT_EQ(wiped.extent(), b.extent());
    EXPECT_TRUE(std::equal(a.row(30), a.row(30) + 3 * 48, wiped.row(30)));
    EXPECT_TRUE(std::equal(b.row(30) + 3 * 48, b.row(30) + 3 * 96, wiped.row(30) + 3 * 48));
    EXPECT_FALSE(std::equal(a.row(30), a.row(30) + 3 * 48, b.row(30)));

    model().setCompare(CompareMode::Difference);
    ASSERT_TRUE(waitIdle(*window));
    figure = figureOf(draft({.selectedAlone = true}));
    ASSERT_EQ(figure.panes.size(), 1U);
    EXPECT_TRUE(figure.panes[0].bar) << "of the distance between the features";
}

TEST_F(ExportTest, OnlyWhatThePanesShowOrThatEnlarged) {
    model().setView(paneOf("photo"), {{24, 16}, 8, false});
    const Box seen = intersectionOf(window->canvas().transformOf(paneOf("photo")).visiblePixels(),
                                    {{0, 0}, {96, 64}});
    const FigureSpec cut = figureOf(draft({.part = FigurePart::VisiblePart}));
    EXPECT_EQ(cut.panes[0].picture.width(), std::lround(seen.size.x));
    EXPECT_EQ(cut.panes[0].picture.height(), std::lround(seen.size.y));
    const FigureSpec inset = figureOf(draft({.part = FigurePart::Inset}));
    ASSERT_EQ(inset.panes[2].insets.size(), 1U);
    EXPECT_NEAR(inset.panes[2].insets[0].x, seen.origin.x / 96, 1e-9);
    EXPECT_NEAR(inset.panes[2].insets[0].width, seen.size.x / 96, 1e-9);
    model().fit();
    EXPECT_TRUE(figureOf(draft({.part = FigurePart::Inset})).panes[2].insets.empty())
        << "all of it cannot be enlarged";
}

TEST_F(ExportTest, TheQuickExportNeverOverwrites) {
    QSignalSpy noted(&window->figures(), &FigureExport::noted);
    command("file.export-now")->trigger();
    ASSERT_TRUE(written(noted));
    command("file.export-now")->trigger();
    ASSERT_TRUE(written(noted, 2));
    EXPECT_EQ(figures(), (QStringList{"a_photo_features.png", "a_photo_features_2.png"}));
    const QImage picture(folder.filePath("a_photo_features.png"));
    EXPECT_GT(picture.width(), 3000) << "four panes at three times 300 pixels";

    command("edit.copy-figure")->trigger();
    ASSERT_TRUE(written(noted, 3));
    EXPECT_EQ(QApplication::clipboard()->image().size(), picture.size());
}

TEST_F(ExportTest, WhereNothingCanBeWrittenTheBarSaysSo) {
    QSignalSpy failed(&window->figures(), &FigureExport::failed);
    window->figures().save(folder.filePath("no/such/folder/figure.png"));
    ASSERT_TRUE(written(failed));
    EXPECT_TRUE(window->errorBar().showsError());
    EXPECT_THAT(window->errorBar().text().toStdString(), HasSubstr("no/such/folder"));
    EXPECT_TRUE(figures().isEmpty());
}

TEST_F(ExportTest, AFigureForAColumnOfAPaper) {
    const QString path = folder.filePath("column.png");
    FigureWriter writer;
    QSignalSpy wrote(&writer, &FigureWriter::written);
    QSignalSpy previewed(&writer, &FigureWriter::previewed);
    writer.write(draft({.widthMm = 82.5}), path);
    writer.preview(draft({.widthMm = 82.5}), 300);
    ASSERT_TRUE(written(wrote));
    ASSERT_TRUE(written(previewed));
    const QImage picture(path);
    EXPECT_NEAR(picture.width(), 82.5 / 25.4 * 300, 1.5);
    EXPECT_NEAR(previewed[0][1].toSize().width(), picture.width(), 3) << "as the dialog says";
    EXPECT_LE(previewed[0][0].value<QImage>().width(), 300);
}

TEST_F(ExportTest, TheDialogPreviewsSavesAndRemembers) {
    command("file.export")->trigger();
    ExportDialog* dialog = window->figures().dialog();
    ASSERT_NE(dialog, nullptr);
    const auto previewed = [&](const QImage& before) {
        return QTest::qWaitFor([&] { return dialog->previewImage() != before; }, 30000);
    };
    ASSERT_TRUE(previewed({}));
    const QImage first = dialog->previewImage();
    ExportChoices choices = dialog->choices();
    choices.figure.columns = 2;
    choices.figure.notes = false;
    choices.figure.pixelScale = 1;
    choices.format = "pdf";
    dialog->setChoices(choices);
    ASSERT_TRUE(previewed(first)) << "the preview follows";
    const QImage second = dialog->previewImage();
    model().stepComponents(paneOf("features", "loftup"), 1);
    ASSERT_TRUE(previewed(second)) << "and so it does when the window changes";

    QTest::mouseClick(dialog->findChild<QPushButton*>("save"), Qt::LeftButton);
    auto* chooser = dialog->findChild<QDialog*>("saveFigure");
    ASSERT_NE(chooser, nullptr);
    QSignalSpy noted(&window->figures(), &FigureExport::noted);
    chooser->accept();
    ASSERT_TRUE(written(noted));
    ASSERT_EQ(figures(), QStringList{"a_photo_features.pdf"});
    QFile pdf(folder.filePath("a_photo_features.pdf"));
    ASSERT_TRUE(pdf.open(QIODevice::ReadOnly));
    EXPECT_TRUE(pdf.read(5) == "%PDF-");
    dialog->close();
    ASSERT_TRUE(QTest::qWaitFor([&] { return window->figures().dialog() == nullptr; }));

    start(options());
    command("file.export")->trigger();
    EXPECT_EQ(window->figures().dialog()->choices().figure.columns, 2);
    EXPECT_EQ(window->figures().dialog()->choices().format, "pdf");
}

} // namespace
} // namespace loftscope
