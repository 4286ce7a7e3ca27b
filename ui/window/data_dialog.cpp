// SPDX-License-Identifier: Apache-2.0
#include "ui/window/data_dialog.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include <algorithm>

namespace loftscope {

namespace {

constexpr const char* formatKey = "data/format";

} // namespace

QString rememberedDataFormat(const QSettings& settings) {
    const QString format = settings.value(formatKey).toString();
    const auto& formats = dataFormats();
    const bool known = std::ranges::find(formats, format.toStdString()) != formats.end();
    return known ? format : QString("npy");
}

DataDialog::DataDialog(QSettings* settings, QWidget* parent)
    : QDialog(parent)
    , settings_(settings) {
    setObjectName("dataDialog");
    setWindowTitle(tr("Export data"));
    format_ = new QComboBox;
    for (const auto& [name, ending] : {std::pair{tr("NumPy (.npy)"), "npy"},
                                       {tr("safetensors"), "safetensors"},
                                       {tr("PNG, 16 bits"), "png"},
                                       {tr("OpenEXR, 32 bits"), "exr"},
                                       {tr("CSV, a line per row"), "csv"}})
        format_->addItem(name, ending);
    format_->setObjectName("dataFormat");
    format_->setAccessibleName(tr("Maps as"));
    format_->setToolTip(tr("Format of maps of one number per pixel; scores are arrays: .npy, or "
                           "safetensors"));
    auto* form = new QFormLayout;
    form->addRow(tr("Maps as"), format_);
    content_ = new QLabel;
    content_->setWordWrap(true);
    content_->setMinimumWidth(360);
    save_ = new QPushButton(tr("Choose &folder..."));
    save_->setObjectName("save");
    save_->setDefault(true);
    auto* close = new QPushButton(tr("Close"));
    connect(close, &QPushButton::clicked, this, &QDialog::close);
    connect(save_, &QPushButton::clicked, this, [this] {
        settings_->setValue(formatKey, format());
        Q_EMIT saveRequested();
    });
    auto* buttons = new QHBoxLayout;
    buttons->addStretch(1);
    buttons->addWidget(save_);
    buttons->addWidget(close);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addWidget(content_);
    layout->addStretch(1);
    layout->addLayout(buttons);
    setFormat(rememberedDataFormat(*settings_));
}

void DataDialog::describe(const DataDraft& draft) {
    const DataSet& set = draft.set;
    const auto scores = static_cast<int>(
        std::ranges::count_if(set.maps, [](const DataMap& map) { return map.scores; }));
    const int maps = static_cast<int>(set.maps.size()) - scores;
    QStringList lines;
    if (set.maps.empty()) {
        lines << tr("There is no whole map yet: open a photo and wait for a pane.");
    } else {
        lines << tr("Maps of one number per pixel: %1. Arrays of scores: %2, with their PCA bases.")
                     .arg(maps)
                     .arg(scores);
        if (!set.picks.empty())
            lines << tr("Picked pixels with their attention, as picks.json: %1.")
                         .arg(set.picks.size());
        lines << tr("Each file says how it was made.");
    }
    if (draft.unfinished > 0)
        lines << tr("Panes that are left out because they are not computed yet: %1.")
                     .arg(draft.unfinished);
    content_->setText(lines.join('\n'));
    save_->setEnabled(!set.maps.empty());
}

QString DataDialog::format() const {
    return format_->currentData().toString();
}

void DataDialog::setFormat(const QString& ending) {
    format_->setCurrentIndex(std::max(0, format_->findData(ending)));
}

QString DataDialog::text() const {
    return content_->text();
}

} // namespace loftscope
