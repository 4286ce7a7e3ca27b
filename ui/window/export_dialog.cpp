// SPDX-License-Identifier: Apache-2.0
#include "ui/window/export_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QVBoxLayout>

#include <cmath>

namespace loftscope {

namespace {

constexpr int formWidth = 280;
/// Of the file, so that a figure of two columns of a paper has 300 dots per inch at 3.
constexpr double dotsPerInch = 300;

QString keyOf(const char* name) {
    return QString("export/%1").arg(name);
}

} // namespace

ExportChoices rememberedChoices(const QSettings& settings) {
    ExportChoices choices;
    FigureChoices& figure = choices.figure;
    figure.selectedAlone = settings.value(keyOf("selected"), false).toBool();
    figure.part =
        static_cast<FigurePart>(std::clamp(settings.value(keyOf("part"), 0).toInt(), 0, 2));
    figure.columns = std::clamp(settings.value(keyOf("columns"), 0).toInt(), 0, maximumPanes);
    figure.details = settings.value(keyOf("details"), true).toBool();
    figure.colorBars = settings.value(keyOf("bars"), true).toBool();
    figure.picks = settings.value(keyOf("picks"), true).toBool();
    figure.notes = settings.value(keyOf("notes"), true).toBool();
    figure.pixelScale = std::clamp(settings.value(keyOf("scale"), 3.0).toDouble(), 1.0, 8.0);
    const double widthMm = settings.value(keyOf("width"), 0.0).toDouble();
    if (widthMm >= 10 && widthMm <= 2000) figure.widthMm = widthMm;
    choices.format = settings.value(keyOf("format"), "png").toString();
    return choices;
}

void remember(const ExportChoices& choices, QSettings& settings) {
    const FigureChoices& figure = choices.figure;
    settings.setValue(keyOf("selected"), figure.selectedAlone);
    settings.setValue(keyOf("part"), static_cast<int>(figure.part));
    settings.setValue(keyOf("columns"), figure.columns);
    settings.setValue(keyOf("details"), figure.details);
    settings.setValue(keyOf("bars"), figure.colorBars);
    settings.setValue(keyOf("picks"), figure.picks);
    settings.setValue(keyOf("notes"), figure.notes);
    settings.setValue(keyOf("scale"), figure.pixelScale);
    settings.setValue(keyOf("width"), figure.widthMm);
    settings.setValue(keyOf("format"), choices.format);
}

ExportDialog::ExportDialog(DraftMaker draft, QSettings* settings, QWidget* parent)
    : QDialog(parent)
    , draft_(std::move(draft))
    , settings_(settings) {
    setObjectName("exportDialog");
    setWindowTitle(tr("Export figure"));
    resize(1020, 560);

    auto* form = new QFormLayout;
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->setVerticalSpacing(7);
    const auto row = [&](const QString& name, QWidget* field, const QString& tip) {
        field->setToolTip(tip);
        field->setAccessibleName(name);
        form->addRow(name, field);
    };
    panes_ = new QComboBox;
    panes_->addItems({tr("All that are shown"), tr("The selected one")});
    row(tr("Panes"), panes_, tr("Which panes of the window become panes of the figure"));
    part_ = new QComboBox;
    part_->addItems({tr("Whole photo"), tr("What the panes show"), tr("Whole, view enlarged")});
    part_->setToolTip(tr("The third enlarges in a corner what the panes show: zoom in first"));
    row(tr("Part"), part_, part_->toolTip());
    columns_ = new QSpinBox;
    columns_->setRange(0, maximumPanes);
    columns_->setSpecialValueText(tr("Automatic"));
    row(tr("Columns"), columns_, tr("Panes beside each other"));
    title_ = new QLineEdit;
    title_->setPlaceholderText(tr("None"));
    row(tr("Title"), title_, tr("Above the panes"));
    const auto check = [&](const QString& text, const QString& tip) {
        auto* box = new QCheckBox(text);
        box->setToolTip(tip);
        form->addRow(QString(), box);
        return box;
    };
    details_ = check(tr("Sizes and bases"), tr("A small line under each pane's title"));
    bars_ = check(tr("Colour bars"), tr("What the colours of scalar maps mean, with their unit"));
    picks_ = check(tr("Picked pixels"), tr("Marks in every pane, with their numbers"));
    notes_ = check(tr("Notes"), tr("Models with SHA-256, the photo's size, what colours mean"));
    format_ = new QComboBox;
    format_->addItem(tr("PNG, pixels"), "png");
    format_->addItem(tr("PDF, text and lines as such"), "pdf");
    format_->addItem(tr("SVG, text and lines as such"), "svg");
    row(tr("Format"), format_, tr("PDF and SVG keep text as text; maps are stored without loss"));
    detail_ = new QComboBox;
    for (const auto& [name, scale] : {std::pair{tr("Screen (1x)"), 1.0},
                                      {tr("Slides (2x)"), 2.0},
                                      {tr("Print (3x)"), 3.0},
                                      {tr("Poster (6x)"), 6.0}})
        detail_->addItem(name, scale);
    row(tr("Detail"), detail_, tr("Pixels for each unit of the figure"));
    width_ = new QComboBox;
    width_->addItem(tr("As the panes need"), 0.0);
    width_->addItem(tr("One column of a paper, %1 mm").arg(columnWidthMm), columnWidthMm);
    width_->addItem(tr("Both columns, %1 mm").arg(pageWidthMm), pageWidthMm);
    row(tr("Width"), width_,
        tr("When printed; for paper, letters are of 7 points and pictures have 300 dots per inch"));
    size_ = new QLabel;
    size_->setWordWrap(true);
    size_->setForegroundRole(QPalette::PlaceholderText);

    save_ = new QPushButton(tr("&Save..."));
    save_->setObjectName("save");
    save_->setDefault(true);
    copy_ = new QPushButton(tr("&Copy"));
    copy_->setObjectName("copy");
    copy_->setToolTip(tr("Puts the figure on the clipboard as pixels"));
    auto* close = new QPushButton(tr("Close"));
    connect(close, &QPushButton::clicked, this, &QDialog::close);
    connect(save_, &QPushButton::clicked, this, [this] {
        remember(choices(), *settings_);
        Q_EMIT saveRequested(draft_(choices().figure), choices().format);
    });
    connect(copy_, &QPushButton::clicked, this, [this] {
        remember(choices(), *settings_);
        Q_EMIT copyRequested(draft_(choices().figure));
    });
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(save_);
    buttons->addWidget(copy_);
    buttons->addStretch(1);
    buttons->addWidget(close);

    auto* side = new QWidget;
    side->setFixedWidth(formWidth);
    auto* column = new QVBoxLayout(side);
    column->setContentsMargins(0, 0, 0, 0);
    column->addLayout(form);
    column->addWidget(size_);
    column->addStretch(1);
    column->addLayout(buttons);
    view_ = new QLabel(tr("The preview is being drawn..."));
    view_->setAlignment(Qt::AlignCenter);
    view_->setMinimumSize(320, 240);
    view_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Ignored);
    view_->setFrameShape(QFrame::StyledPanel);
    view_->setWordWrap(true);
    view_->setAccessibleName(tr("Preview of the figure"));
    auto* layout = new QHBoxLayout(this);
    layout->setSpacing(12);
    layout->addWidget(side);
    layout->addWidget(view_, 1);

    setChoices(rememberedChoices(*settings_));
    for (QComboBox* box : {panes_, part_, format_, detail_, width_})
        connect(box, &QComboBox::currentIndexChanged, this, &ExportDialog::changed);
    for (QCheckBox* box : {details_, bars_, picks_, notes_})
        connect(box, &QCheckBox::toggled, this, &ExportDialog::changed);
    connect(columns_, &QSpinBox::valueChanged, this, &ExportDialog::changed);
    connect(title_, &QLineEdit::textChanged, this, &ExportDialog::changed);
    connect(&writer_, &FigureWriter::previewed, this, [this](const QImage& picture, QSize pixels) {
        preview_ = picture;
        const bool isPixels = format_->currentData() == "png";
        size_->setText(isPixels ? tr("%1 \u00d7 %2 pixels, %3 cm wide at %4 dpi")
                                      .arg(pixels.width())
                                      .arg(pixels.height())
                                      .arg(pixels.width() / dotsPerInch * 2.54, 0, 'f', 1)
                                      .arg(dotsPerInch)
                                : tr("Maps at %1 pixels across the figure").arg(pixels.width()));
        showPreview();
    });
    connect(&writer_, &FigureWriter::failed, this, [this](const QString& sentence) {
        preview_ = {};
        view_->setPixmap({});
        view_->setText(sentence);
    });
}

ExportDialog::~ExportDialog() = default;

ExportChoices ExportDialog::choices() const {
    ExportChoices choices;
    FigureChoices& figure = choices.figure;
    figure.selectedAlone = panes_->currentIndex() == 1;
    figure.part = static_cast<FigurePart>(part_->currentIndex());
    figure.columns = columns_->value();
    figure.title = title_->text();
    figure.details = details_->isChecked();
    figure.colorBars = bars_->isChecked();
    figure.picks = picks_->isChecked();
    figure.notes = notes_->isChecked();
    figure.pixelScale = detail_->currentData().toDouble();
    figure.widthMm = width_->currentData().toDouble();
    choices.format = format_->currentData().toString();
    return choices;
}

void ExportDialog::setChoices(const ExportChoices& choices) {
    const FigureChoices& figure = choices.figure;
    quiet_ = true;
    panes_->setCurrentIndex(figure.selectedAlone ? 1 : 0);
    part_->setCurrentIndex(static_cast<int>(figure.part));
    columns_->setValue(figure.columns);
    title_->setText(figure.title);
    details_->setChecked(figure.details);
    bars_->setChecked(figure.colorBars);
    picks_->setChecked(figure.picks);
    notes_->setChecked(figure.notes);
    format_->setCurrentIndex(std::max(0, format_->findData(choices.format)));
    const int detail = detail_->findData(figure.pixelScale);
    detail_->setCurrentIndex(detail < 0 ? detail_->findData(3.0) : detail);
    width_->setCurrentIndex(std::max(0, width_->findData(figure.widthMm)));
    detail_->setEnabled(figure.widthMm == 0);
    quiet_ = false;
    refresh();
}

void ExportDialog::changed() {
    detail_->setEnabled(width_->currentData().toDouble() == 0);
    if (!quiet_) refresh();
}

void ExportDialog::refresh() {
    if (!isVisible()) return;
    FigureDraft draft = draft_(choices().figure);
    const bool any = !draft.panes.empty();
    save_->setEnabled(any);
    copy_->setEnabled(any);
    if (!any) {
        preview_ = {};
        view_->setPixmap({});
        view_->setText(tr("There is nothing to export yet: open a photo, or wait for the maps."));
        size_->clear();
        return;
    }
    writer_.preview(std::move(draft), std::max(view_->width() - 8, 64));
}

void ExportDialog::showPreview() {
    if (preview_.isNull()) return;
    const QSize room = view_->size() - QSize(8, 8);
    const QImage fitted = preview_.width() > room.width() || preview_.height() > room.height()
                              ? preview_.scaled(room, Qt::KeepAspectRatio, Qt::SmoothTransformation)
                              : preview_;
    view_->setPixmap(QPixmap::fromImage(fitted));
}

void ExportDialog::resizeEvent(QResizeEvent* event) {
    QDialog::resizeEvent(event);
    showPreview();
}

void ExportDialog::showEvent(QShowEvent* event) {
    QDialog::showEvent(event);
    refresh();
}

} // namespace loftscope
