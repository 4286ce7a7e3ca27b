// SPDX-License-Identifier: Apache-2.0
#include "ui/window/command_palette.h"

#include "ui/window/commands.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>

#include <algorithm>

namespace loftscope {

namespace {

constexpr int preferredWidth = 560;
constexpr int rowHeight = 26;
constexpr int rowsShown = 12;
constexpr int margin = 10;

enum Role { ActionRole = Qt::UserRole, MatchRole, GroupRole, KeysRole };

/// The text with its matching letters in bold; group and keys at the right.
class RowPainter : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;

    QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override {
        return {preferredWidth, rowHeight};
    }
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override {
        const bool enabled = index.flags().testFlag(Qt::ItemIsEnabled);
        const bool chosen = option.state.testFlag(QStyle::State_Selected);
        const QPalette& palette = option.palette;
        const auto group = enabled ? QPalette::Active : QPalette::Disabled;
        const QColor text =
            palette.color(group, chosen ? QPalette::HighlightedText : QPalette::Text);
        const QColor muted = enabled && !chosen ? palette.color(QPalette::PlaceholderText) : text;
        painter->save();
        if (chosen) painter->fillRect(option.rect, palette.color(QPalette::Highlight));
        QRect left = option.rect.adjusted(margin, 0, -margin, 0);
        const auto drawRight = [&](const QString& words, const QColor& color) {
            painter->setPen(color);
            painter->drawText(left, Qt::AlignVCenter | Qt::AlignRight, words);
            if (!words.isEmpty())
                left.setRight(left.right() - painter->fontMetrics().horizontalAdvance(words) -
                              2 * margin);
        };
        drawRight(index.data(KeysRole).toString(), text);
        drawRight(index.data(GroupRole).toString(), muted);
        const QString words = painter->fontMetrics().elidedText(
            index.data(Qt::DisplayRole).toString(), Qt::ElideMiddle, left.width() - margin);
        const QVariantList bold = index.data(MatchRole).toList();
        painter->setPen(text);
        QFont font = option.font;
        for (int i = 0; i < words.size(); ++i) {
            font.setBold(bold.contains(i));
            painter->setFont(font);
            painter->drawText(left, Qt::AlignVCenter | Qt::AlignLeft, words.mid(i, 1));
            left.setLeft(left.left() + painter->fontMetrics().horizontalAdvance(words[i]));
        }
        painter->restore();
    }
};

} // namespace

CommandPalette::CommandPalette(const Commands* commands, QWidget* window)
    : QFrame(window, Qt::Popup | Qt::FramelessWindowHint)
    , commands_(commands)
    , input_(new QLineEdit)
    , list_(new QListWidget) {
    setObjectName("palette");
    setFrameShape(QFrame::StyledPanel);
    input_->setPlaceholderText(tr("Type a few letters of what you want to do"));
    input_->setAccessibleName(tr("Search commands"));
    input_->installEventFilter(this);
    list_->setAccessibleName(tr("Commands"));
    list_->setItemDelegate(new RowPainter(list_));
    list_->setUniformItemSizes(true);
    list_->setFrameShape(QFrame::NoFrame);
    list_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    list_->setFocusPolicy(Qt::NoFocus);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addWidget(input_);
    layout->addWidget(list_);
    setFocusProxy(input_);
    connect(input_, &QLineEdit::textChanged, this, &CommandPalette::fill);
    connect(input_, &QLineEdit::returnPressed, this, &CommandPalette::run);
    connect(list_, &QListWidget::itemClicked, this, &CommandPalette::run);
}

void CommandPalette::open(const QList<QAction*>& more) {
    candidates_.clear();
    for (QAction* action : commands_->all())
        candidates_.append(action);
    for (QAction* action : more)
        candidates_.append(action);
    input_->clear();
    fill();
    const QWidget* window = parentWidget();
    const int high = input_->sizeHint().height() + rowsShown * rowHeight + 20;
    const int wide = std::min(preferredWidth, window->width() - 2 * margin);
    resize(wide, std::min(high, window->height() - 2 * margin));
    move(window->mapToGlobal(QPoint((window->width() - wide) / 2, window->height() / 8)));
    show();
    input_->setFocus();
}

QList<QAction*> CommandPalette::shown() const {
    QList<QAction*> actions;
    for (int row = 0; row < list_->count(); ++row)
        actions.append(list_->item(row)->data(ActionRole).value<QAction*>());
    return actions;
}

void CommandPalette::fill() {
    struct Row {
        QAction* action;
        QString text;
        FuzzyMatch match;
        qsizetype rank;
    };
    std::vector<Row> rows;
    for (const QPointer<QAction>& action : candidates_) {
        if (!action || !action->isVisible()) continue;
        const QString text = Commands::plainText(action);
        // The group can be searched, too, but what is called so comes first.
        auto match = fuzzyMatch(input_->text(), text);
        if (match) {
            match->score += 4;
        } else {
            match = fuzzyMatch(input_->text(), text + ' ' + Commands::groupOf(action));
        }
        if (!match) continue;
        const qsizetype used = recent_.indexOf(text);
        rows.push_back({action, text, *match, used < 0 ? recent_.size() : used});
    }
    std::ranges::stable_sort(rows, [](const Row& a, const Row& b) {
        if (a.action->isEnabled() != b.action->isEnabled()) return a.action->isEnabled();
        if (a.match.score != b.match.score) return a.match.score > b.match.score;
        if (a.rank != b.rank) return a.rank < b.rank;
        return a.match.score != 0 && a.text.size() < b.text.size();
    });
    list_->clear();
    for (const Row& row : rows) {
        auto* item = new QListWidgetItem(row.text, list_);
        item->setData(ActionRole, QVariant::fromValue(row.action));
        item->setData(GroupRole, Commands::groupOf(row.action));
        item->setData(KeysRole, row.action->shortcut().toString(QKeySequence::NativeText));
        QVariantList positions;
        for (const int position : row.match.positions)
            positions.append(position);
        item->setData(MatchRole, positions);
        item->setToolTip(row.action->toolTip());
        if (!row.action->isEnabled()) item->setFlags(Qt::NoItemFlags);
    }
    list_->setCurrentRow(0);
}

void CommandPalette::run() {
    const QListWidgetItem* item = list_->currentItem();
    if (item == nullptr || !item->flags().testFlag(Qt::ItemIsEnabled)) return;
    auto* action = item->data(ActionRole).value<QAction*>();
    recent_.removeAll(item->text());
    recent_.prepend(item->text());
    // Closed first: the command may open something itself.
    hide();
    action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
    if (watched == input_ && event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        const int row = list_->currentRow();
        const int page = rowsShown - 1;
        const int step = key == Qt::Key_Down       ? 1
                         : key == Qt::Key_Up       ? -1
                         : key == Qt::Key_PageDown ? page
                         : key == Qt::Key_PageUp   ? -page
                                                   : 0;
        if (step != 0 && list_->count() > 0) {
            list_->setCurrentRow(std::clamp(row + step, 0, list_->count() - 1));
            return true;
        }
        if (key == Qt::Key_Escape) {
            hide();
            return true;
        }
    }
    return QFrame::eventFilter(watched, event);
}

} // namespace loftscope
