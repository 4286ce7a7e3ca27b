// SPDX-License-Identifier: Apache-2.0
#include "ui/window/times_table.h"

#include <QHeaderView>

namespace loftscope {

namespace {

constexpr int mostRuns = 40;
constexpr int countRole = Qt::UserRole;
constexpr int doingRole = Qt::UserRole + 1; ///< what makes two runs the same

QString timeText(double milliseconds) {
    return milliseconds < 1000 ? TimesTable::tr("%1 ms").arg(milliseconds, 0, 'f', 0)
                               : TimesTable::tr("%1 s").arg(milliseconds / 1000, 0, 'f', 2);
}

QString memoryText(std::int64_t bytes) {
    return bytes > 0 ? TimesTable::tr("%1 MB").arg(static_cast<double>(bytes) / 1e6, 0, 'f', 0)
                     : QString();
}

QString capitalised(const std::string& text) {
    const QString plain = QString::fromStdString(text);
    return plain.left(1).toUpper() + plain.mid(1);
}

} // namespace

TimesTable::TimesTable(QWidget* parent)
    : QTreeWidget(parent) {
    setColumnCount(3);
    setHeaderLabels({tr("Stage"), tr("Time"), tr("Memory")});
    headerItem()->setToolTip(2, tr("Most memory that the program held during the stage"));
    for (int column = 1; column < 3; ++column)
        headerItem()->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
    header()->setStretchLastSection(false);
    header()->setSectionResizeMode(0, QHeaderView::Stretch);
    header()->setSectionResizeMode(1, QHeaderView::ResizeToContents);
    header()->setSectionResizeMode(2, QHeaderView::ResizeToContents);
    header()->setMinimumSectionSize(40);
    setIndentation(12);
    setFrameShape(QFrame::NoFrame);
    setAccessibleName(tr("Time and memory of the last requests"));
}

void TimesTable::onAnswer(const EngineEvent& event) {
    const auto* ended = std::get_if<RequestEnded>(&event);
    if (ended == nullptr || ended->stages.empty()) return;
    const QString doing = capitalised(ended->doing);
    QString key = doing;
    for (const StageTime& stage : ended->stages)
        key += '\n' + QString::fromStdString(stage.stage);
    int count = 1;
    if (const QTreeWidgetItem* last = topLevelItem(0);
        last != nullptr && last->data(0, doingRole) == key) {
        count = last->data(0, countRole).toInt() + 1;
        delete takeTopLevelItem(0);
    }
    QString title = count > 1 ? tr("%1 (%2 times)").arg(doing).arg(count) : doing;
    if (ended->error)
        title += ended->error->code == ErrorCode::Cancelled ? tr(" (cancelled)") : tr(" (failed)");
    title += QStringLiteral(": ") + timeText(ended->elapsedMs);
    auto* run = new QTreeWidgetItem({title});
    run->setData(0, countRole, count);
    run->setData(0, doingRole, key);
    run->setToolTip(0, title);
    for (const StageTime& stage : ended->stages) {
        auto* row = new QTreeWidgetItem(run, {capitalised(stage.stage), timeText(stage.elapsedMs),
                                              memoryText(stage.peakBytes)});
        for (int column = 1; column < 3; ++column)
            row->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
    }
    insertTopLevelItem(0, run);
    run->setFirstColumnSpanned(true);
    run->setExpanded(true);
    while (topLevelItemCount() > mostRuns)
        delete takeTopLevelItem(topLevelItemCount() - 1);
}

} // namespace loftscope
