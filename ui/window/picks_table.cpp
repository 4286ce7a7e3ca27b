// SPDX-License-Identifier: Apache-2.0
#include "ui/window/picks_table.h"

#include "ui/window/plain_header.h"
#include "ui/window/toggle_button.h"

#include <QEvent>
#include <QFontDatabase>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QScrollBar>
#include <QTableWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

QColor colorOf(const Pick& pick) {
    return {pick.color[0], pick.color[1], pick.color[2]};
}

QPixmap badgeOf(const Pick& pick, qreal ratio) {
    constexpr int side = 14;
    QPixmap pixmap(QSize(side, side) * ratio);
    pixmap.setDevicePixelRatio(ratio);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(Qt::black, 1));
    painter.setBrush(colorOf(pick));
    painter.drawEllipse(QRectF(1, 1, side - 2, side - 2));
    return pixmap;
}

} // namespace

PicksTable::PicksTable(PaneModel* model, QWidget* parent)
    : QWidget(parent)
    , model_(model)
    , table_(new QTableWidget)
    , hint_(new QLabel(tr("Click a pixel to pick it; Shift+click for another pick.")))
    , pin_(new ToggleButton(tr("Pin")))
    , remove_(new QPushButton(tr("Delete")))
    , clear_(new QPushButton(tr("Clear"))) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    hint_->setWordWrap(true);
    hint_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    table_->setObjectName("values");
    table_->setAccessibleName(tr("Values of every pane at the cursor and the picks"));
    table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table_->setSelectionMode(QAbstractItemView::NoSelection);
    table_->setFocusPolicy(Qt::NoFocus);
    table_->setShowGrid(false);
    table_->setFrameShape(QFrame::NoFrame);
    table_->setIconSize({10, 10});
    table_->setHorizontalHeader(new PlainHeader(Qt::Horizontal));
    table_->setVerticalHeader(new PlainHeader(Qt::Vertical));
    table_->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    table_->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 2);
    table_->setCornerButtonEnabled(false);
    // The corner between the two headers has a frame of its own.
    for (auto* corner : table_->findChildren<QAbstractButton*>())
        corner->installEventFilter(this);
    QPalette clear = palette();
    clear.setColor(QPalette::Base, Qt::transparent);
    table_->setPalette(clear);
    table_->setHorizontalScrollMode(QAbstractItemView::ScrollPerItem);
    table_->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    table_->horizontalHeader()->setToolTip(tr("Click a pick to make it the active one."));
    column->addWidget(table_);
    column->addWidget(hint_);
    auto* buttons = new QHBoxLayout;
    for (QAbstractButton* button : std::initializer_list<QAbstractButton*>{pin_, remove_, clear_}) {
        button->setFocusPolicy(Qt::NoFocus);
        buttons->addWidget(button);
    }
    buttons->addStretch(1);
    column->addLayout(buttons);
    pin_->setToolTip(tr("Keeps the active pick where it is; the next click places another (P)."));
    remove_->setToolTip(tr("Takes the active pick away (Backspace)."));
    clear_->setToolTip(tr("Takes all picks away (Esc)."));
    connect(pin_, &QAbstractButton::clicked, model_, &PaneModel::pinPick);
    connect(remove_, &QPushButton::clicked, this,
            [this] { model_->removePick(model_->state().activePick); });
    connect(clear_, &QPushButton::clicked, model_, &PaneModel::clearPicks);
    connect(table_->horizontalHeader(), &QHeaderView::sectionClicked, this, [this](int section) {
        if (section + 1 < table_->columnCount()) model_->setActivePick(section);
    });
    table_->horizontalHeader()->setSectionsClickable(true);

    soon_.setSingleShot(true);
    soon_.setInterval(0);
    connect(&soon_, &QTimer::timeout, this, &PicksTable::refresh);
    connect(model_, &PaneModel::picksChanged, this, &PicksTable::refreshSoon);
    connect(model_, &PaneModel::contentChanged, this, &PicksTable::refreshSoon);
    connect(model_, &PaneModel::paneChanged, this, &PicksTable::refreshSoon);
    connect(model_, &PaneModel::layoutChanged, this, &PicksTable::refreshSoon);
    connect(model_, &PaneModel::photoChanged, this, &PicksTable::refreshSoon);
    connect(model_, &PaneModel::hoverChanged, this, &PicksTable::refreshCursor);
    refresh();
}

bool PicksTable::eventFilter(QObject* watched, QEvent* event) {
    return event->type() == QEvent::Paint || QWidget::eventFilter(watched, event);
}

void PicksTable::refreshSoon() {
    if (!soon_.isActive()) soon_.start();
}

void PicksTable::set(int row, int column, const QString& text, const QColor& swatch) {
    QTableWidgetItem* item = table_->item(row, column);
    if (item == nullptr) {
        item = new QTableWidgetItem;
        QFont fixed = QFontDatabase::systemFont(QFontDatabase::FixedFont);
        fixed.setPointSizeF(font().pointSizeF() * 0.85);
        item->setFont(fixed);
        item->setFlags(Qt::ItemIsEnabled);
        table_->setItem(row, column, item);
    }
    item->setText(text);
    item->setData(Qt::DecorationRole, swatch.isValid() ? QVariant(swatch) : QVariant());
}

void PicksTable::fillColumn(int column, const std::optional<glm::dvec2>& at) {
    QString position;
    if (at && model_->photo()) {
        const Pixel pixel = pixelContaining(*at, model_->photoExtent());
        position = QString("(%1, %2)").arg(pixel.x).arg(pixel.y);
    }
    set(0, column, position);
    // Side by side they have to be short; the panes show all digits.
    const int fewer = model_->state().picks.empty() ? 0 : 1;
    int row = 1;
    for (const PaneState& pane : model_->state().panes) {
        const auto value = at ? model_->valueAt(pane.id, *at) : std::nullopt;
        QColor swatch;
        if (value) swatch.setRgbF(value->color[0], value->color[1], value->color[2]);
        const QString missing = at ? QString(QChar(0x2013)) : QString();
        set(row++, column, value ? model_->valueTexts(pane.id, *value, fewer).join(" ") : missing,
            swatch);
    }
}

void PicksTable::refreshCursor() {
    if (soon_.isActive()) return;
    const auto& hover = model_->hover();
    fillColumn(table_->columnCount() - 1, hover ? std::optional(hover->at) : std::nullopt);
}

void PicksTable::refresh() {
    const WorkspaceState& state = model_->state();
    const int rows = 1 + static_cast<int>(state.panes.size());
    const int columns = 1 + static_cast<int>(state.picks.size());
    table_->setRowCount(rows);
    table_->setColumnCount(columns);
    QStringList names{tr("Pixel")};
    for (const PaneState& pane : state.panes)
        names << model_->content(pane.id).title;
    table_->setVerticalHeaderLabels(names);
    for (std::size_t i = 0; i < state.picks.size(); ++i) {
        const Pick& pick = state.picks[i];
        auto* item = new QTableWidgetItem(tr("Pick %1").arg(pick.number));
        item->setData(Qt::DecorationRole, badgeOf(pick, devicePixelRatioF()));
        item->setToolTip(pick.pinned ? tr("Pinned: clicks leave it where it is.")
                                     : tr("Follows clicks."));
        QFont font = table_->font();
        font.setBold(static_cast<int>(i) == state.activePick);
        item->setFont(font);
        table_->setHorizontalHeaderItem(static_cast<int>(i), item);
        fillColumn(static_cast<int>(i), pick.at);
    }
    const auto& hover = model_->hover();
    table_->setHorizontalHeaderItem(columns - 1, new QTableWidgetItem(tr("Cursor")));
    fillColumn(columns - 1, hover ? std::optional(hover->at) : std::nullopt);
    // As high as its rows: the panel scrolls, not the table.
    int height = table_->horizontalHeader()->sizeHint().height() +
                 rows * table_->verticalHeader()->defaultSectionSize() + 4;
    if (!state.picks.empty()) height += table_->horizontalScrollBar()->sizeHint().height();
    table_->setFixedHeight(height);
    const auto active = model_->activePick();
    hint_->setVisible(state.picks.empty());
    pin_->setEnabled(active.has_value());
    pin_->setChecked(active && active->pinned);
    remove_->setEnabled(active.has_value());
    clear_->setEnabled(!state.picks.empty());
    if (active) table_->scrollToItem(table_->item(0, state.activePick));
}

QString PicksTable::textAt(int row, int column) const {
    const QTableWidgetItem* item = table_->item(row, column);
    return item == nullptr ? QString() : item->text();
}

QString PicksTable::text() const {
    QStringList lines;
    QStringList heading{QString()};
    for (int column = 0; column < table_->columnCount(); ++column)
        heading << table_->horizontalHeaderItem(column)->text();
    lines << heading.join('\t');
    for (int row = 0; row < table_->rowCount(); ++row) {
        QStringList cells{table_->verticalHeaderItem(row)->text()};
        for (int column = 0; column < table_->columnCount(); ++column)
            cells << textAt(row, column);
        lines << cells.join('\t');
    }
    return lines.join('\n');
}

} // namespace loftscope
