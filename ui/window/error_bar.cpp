// SPDX-License-Identifier: Apache-2.0
#include "ui/window/error_bar.h"

#include <QAction>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>

namespace loftscope {

ErrorBar::ErrorBar(QWidget* parent)
    : QFrame(parent)
    , label_(new QLabel(this))
    , layout_(new QHBoxLayout(this)) {
    setObjectName("errorBar");
    auto* close = new QPushButton(tr("Dismiss"), this);
    close->setObjectName("dismiss");
    close->setToolTip(tr("Hides this message; the log keeps it"));
    label_->setWordWrap(true);
    label_->setTextFormat(Qt::PlainText);
    label_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    layout_->setContentsMargins(10, 5, 6, 5);
    layout_->addWidget(label_, 1);
    layout_->addWidget(close);
    connect(close, &QPushButton::clicked, this, &ErrorBar::dismiss);
    hide();
}

void ErrorBar::showError(const QString& sentence, const QList<QAction*>& waysOut) {
    show(sentence, true, waysOut);
}

void ErrorBar::showNote(const QString& sentence, const QList<QAction*>& waysOut) {
    if (!isVisible() || !isError_) show(sentence, false, waysOut);
}

void ErrorBar::show(const QString& sentence, bool error, const QList<QAction*>& waysOut) {
    isError_ = error;
    label_->setText(sentence);
    setAccessibleName(sentence);
    for (QPushButton* button : buttons_)
        button->deleteLater();
    buttons_.clear();
    for (QAction* action : waysOut) {
        auto* button = new QPushButton(action->text(), this);
        button->setToolTip(action->toolTip());
        connect(button, &QPushButton::clicked, action, &QAction::trigger);
        layout_->insertWidget(static_cast<int>(buttons_.size()) + 1, button);
        buttons_.append(button);
    }
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
