// SPDX-License-Identifier: Apache-2.0
#include "ui/window/log_panel.h"

#include <QClipboard>
#include <QFontDatabase>
#include <QGuiApplication>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTime>
#include <QVBoxLayout>

namespace loftscope {

namespace {

constexpr int mostLines = 5000;

} // namespace

LogPanel::LogPanel(QWidget* parent)
    : QWidget(parent)
    , lines_(new QPlainTextEdit) {
    lines_->setReadOnly(true);
    lines_->setMaximumBlockCount(mostLines);
    lines_->setLineWrapMode(QPlainTextEdit::NoWrap);
    lines_->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
    lines_->setFrameShape(QFrame::NoFrame);
    lines_->setAccessibleName(tr("Log"));
    auto* copy = new QPushButton(tr("Copy all"));
    copy->setToolTip(tr("Copies the whole log, for a report"));
    auto* clear = new QPushButton(tr("Clear"));
    clear->setToolTip(tr("Empties the log"));
    connect(copy, &QPushButton::clicked, this, &LogPanel::copyAll);
    connect(clear, &QPushButton::clicked, this, &LogPanel::clear);
    auto* buttons = new QVBoxLayout;
    buttons->addWidget(copy);
    buttons->addWidget(clear);
    buttons->addStretch(1);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addWidget(lines_, 1);
    layout->addLayout(buttons);
}

void LogPanel::add(Level level, const QString& text) {
    const QString kind = level == Level::Error     ? tr("Error: ")
                         : level == Level::Warning ? tr("Note: ")
                                                   : QString();
    lines_->appendPlainText(QTime::currentTime().toString("HH:mm:ss.zzz  ") + kind + text);
}

QString LogPanel::text() const {
    return lines_->toPlainText();
}

void LogPanel::copyAll() const {
    QGuiApplication::clipboard()->setText(text());
}

void LogPanel::clear() {
    lines_->clear();
}

} // namespace loftscope
