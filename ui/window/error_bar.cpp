// SPDX-License-Identifier: Apache-2.0
#include "ui/window/error_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>

namespace loftscope {

ErrorBar::ErrorBar(QWidget* parent)
    : QFrame(parent)
    , label_(new QLabel(this))
    , choose_(new QPushButton(tr("Choose file..."), this)) {
    setObjectName("errorBar");
    auto* close = new QPushButton(tr("Dismiss"), this);
    close->setObjectName("dismiss");
    label_->setWordWrap(true);
    label_->setTextFormat(Qt::PlainText);
    label_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(10, 5, 6, 5);
    layout->addWidget(label_, 1);
    layout->addWidget(choose_);
    layout->addWidget(close);
    connect(close, &QPushButton::clicked, this, &ErrorBar::dismiss);
    connect(choose_, &QPushButton::clicked, this, &ErrorBar::chooseFileRequested);
    hide();
}

void ErrorBar::showError(const QString& sentence) {
    show(sentence, true);
}

void ErrorBar::showNote(const QString& sentence) {
    if (!isVisible() || !isError_) show(sentence, false);
}

void ErrorBar::show(const QString& sentence, bool error) {
    isError_ = error;
    label_->setText(sentence);
    choose_->setVisible(error);
    // A stripe tells the kind; the rest stays grey beside the maps.
    setStyleSheet(QString("#errorBar { border: 0; border-left: 4px solid %1; }")
                      .arg(error ? "#d55e00" : "#888888"));
    setVisible(true);
}

QString ErrorBar::text() const {
    return label_->text();
}

void ErrorBar::dismiss() {
    isError_ = false;
    hide();
}

} // namespace loftscope
