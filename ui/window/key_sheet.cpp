// SPDX-License-Identifier: Apache-2.0
#include "ui/window/key_sheet.h"

#include "ui/window/commands.h"

#include <QAction>
#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QScrollBar>
#include <QVBoxLayout>

#include <algorithm>
#include <vector>

namespace loftscope {

namespace {

struct Row {
    QString keys;
    QString text;
};
struct Section {
    QString title;
    std::vector<Row> rows;
};

/// What the canvas does itself, without a command.
Section gestures() {
    return {KeySheet::tr("Mouse and held keys"),
            {{KeySheet::tr("Click"), KeySheet::tr("Pick a pixel")},
             {KeySheet::tr("Drag"), KeySheet::tr("Move the pick; the newest place wins")},
             {KeySheet::tr("Wheel"), KeySheet::tr("Zoom at the cursor")},
             {KeySheet::tr("Right drag"), KeySheet::tr("Pan (also middle, or Alt and left)")},
             {KeySheet::tr("Right click"), KeySheet::tr("Menu of the pane")},
             {KeySheet::tr("Drag header"), KeySheet::tr("Swap two panes")},
             {KeySheet::tr("Double-click header"), KeySheet::tr("Maximise the pane")},
             {KeySheet::tr("Arrows"), KeySheet::tr("Move the pick by 1 pixel, with Shift by 10")},
             {KeySheet::tr("Hold Space"), KeySheet::tr("Show A in the selected pane")}}};
}

std::vector<Section> sectionsOf(const Commands& commands) {
    std::vector<Section> sections;
    for (const QString& group : commands.groups()) {
        Section section{group, {}};
        for (const QAction* action : commands.all()) {
            if (Commands::groupOf(action) != group || action->shortcut().isEmpty()) continue;
            if (action->objectName().startsWith("pane.select-")) {
                if (action->objectName().endsWith("-1"))
                    section.rows.push_back({"1 ... 9", KeySheet::tr("Select pane 1 to 9")});
                continue;
            }
            QStringList keys;
            for (const QKeySequence& each : action->shortcuts())
                keys.append(each.toString(QKeySequence::NativeText));
            section.rows.push_back({keys.join(KeySheet::tr(" or ")), Commands::plainName(action)});
        }
        if (!section.rows.empty()) sections.push_back(std::move(section));
    }
    sections.push_back(gestures());
    return sections;
}

QWidget* widgetOf(const Section& section) {
    auto* widget = new QWidget;
    widget->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
    auto* grid = new QGridLayout(widget);
    grid->setContentsMargins(0, 0, 0, 12);
    grid->setHorizontalSpacing(12);
    grid->setVerticalSpacing(3);
    auto* title = new QLabel(section.title);
    QFont bold = title->font();
    bold.setBold(true);
    title->setFont(bold);
    grid->addWidget(title, 0, 0, 1, 2);
    int row = 1;
    for (const Row& each : section.rows) {
        auto* keys = new QLabel(each.keys);
        keys->setFrameShape(QFrame::StyledPanel);
        keys->setMargin(1);
        keys->setIndent(4);
        keys->setAutoFillBackground(true);
        keys->setBackgroundRole(QPalette::Base);
        grid->addWidget(keys, row, 0, Qt::AlignLeft);
        grid->addWidget(new QLabel(each.text), row, 1);
        ++row;
    }
    grid->setColumnStretch(1, 1);
    return widget;
}

} // namespace

KeySheet::KeySheet(const Commands& commands, QWidget* parent)
    : QDialog(parent) {
    setObjectName("keys");
    setWindowTitle(tr("Keys"));
    setAttribute(Qt::WA_DeleteOnClose);
    const std::vector<Section> sections = sectionsOf(commands);
    std::size_t rows = 0;
    for (const Section& section : sections)
        rows += section.rows.size() + 2;
    // Three columns of about the same height, the sections in their order.
    constexpr std::size_t columns = 3;
    auto* page = new QWidget;
    auto* across = new QHBoxLayout(page);
    across->setSpacing(28);
    QVBoxLayout* column = nullptr;
    std::size_t filled = 0;
    for (const Section& section : sections) {
        const std::size_t size = section.rows.size() + 2;
        if (column == nullptr || filled + size / 2 > rows / columns) {
            if (column != nullptr) column->addStretch(1);
            column = new QVBoxLayout;
            across->addLayout(column);
            filled = 0;
        }
        column->addWidget(widgetOf(section));
        filled += size;
    }
    column->addStretch(1);

    auto* scroll = new QScrollArea;
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setWidgetResizable(true);
    scroll->setWidget(page);
    auto* hint = new QLabel(
        tr("Everything that has no key: %1, then type a few letters of it.")
            .arg(commands.find("help.palette")->shortcut().toString(QKeySequence::NativeText)));
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(scroll);
    layout->addWidget(hint);
    const QSize wanted =
        page->sizeHint() +
        QSize(scroll->verticalScrollBar()->sizeHint().width(), hint->sizeHint().height()) +
        QSize(30, 36);
    resize(wanted.boundedTo(parent->size() - QSize(40, 40)));
}

} // namespace loftscope
