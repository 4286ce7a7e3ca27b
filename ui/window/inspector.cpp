// SPDX-License-Identifier: Apache-2.0
#include "ui/window/inspector.h"

#include <QFontDatabase>
#include <QLabel>
#include <QVBoxLayout>

#include <algorithm>

namespace loftscope {

namespace {

QLabel* headingIn(QVBoxLayout* layout, const QString& text) {
    auto* label = new QLabel(text);
    QFont font = label->font();
    font.setBold(true);
    label->setFont(font);
    layout->addWidget(label);
    return label;
}

QLabel* textIn(QVBoxLayout* layout) {
    auto* label = new QLabel;
    label->setWordWrap(true);
    // The dock decides how wide the text is, not the other way round.
    label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    layout->addWidget(label);
    return label;
}

} // namespace

Inspector::Inspector(PaneModel* model, Workspace* workspace, QWidget* parent)
    : QWidget(parent)
    , model_(model)
    , workspace_(workspace)
    , text_(new TextField(model))
    , picks_(new PicksTable(model))
    , grid_(new AttentionGrid) {
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(text_);
    layout->addSpacing(4);
    headingIn(layout, tr("Values"))
        ->setToolTip(tr("Of every pane at the cursor and at each pick."));
    layout->addWidget(picks_);
    layout->addSpacing(8);
    headingIn(layout, tr("Attention, block by head"))
        ->setToolTip(tr("How much each patch token contributes to the picked pixel's feature; the "
                        "shares of a map sum to 1. Click one to show it in the pane."));
    layout->addWidget(grid_);
    attention_ = textIn(layout);
    layout->addStretch(1);

    // Where texts mean nothing, no field asks for one.
    text_->hide();
    connect(workspace_, &Workspace::featuresShown, this,
            [this] { text_->setVisible(workspace_->comparesTexts()); });
    connect(model_, &PaneModel::selectionChanged, this, &Inspector::updateAttention);
    connect(model_, &PaneModel::paneChanged, this, &Inspector::updateAttention);
    connect(workspace_, &Workspace::attentionChanged, this, &Inspector::updateAttention);
    connect(workspace_, &Workspace::photoShown, this, &Inspector::updateAttention);
    connect(grid_, &AttentionGrid::chosen, this, [this](int block, int head) {
        const PaneState* current = model_->pane(attentionPane());
        if (current == nullptr) return;
        PaneState next = *current;
        next.block = block;
        next.head = head;
        model_->setPane(next, tr("Choose attention map"));
    });
    updateAttention();
}

int Inspector::attentionPane() const {
    const auto hasHeads = [](const PaneState& pane) { return kindOf(pane).hasHeads; };
    if (hasHeads(model_->selectedPane())) return model_->selectedPane().id;
    const auto& panes = model_->state().panes;
    const auto found = std::ranges::find_if(panes, hasHeads);
    return found == panes.end() ? 0 : found->id;
}

void Inspector::updateAttention() {
    const PaneState* pane = model_->pane(attentionPane());
    const AttentionReady* ready = pane != nullptr ? workspace_->attentionFor(*pane) : nullptr;
    grid_->setAttention(ready);
    if (ready == nullptr) {
        attention_->setText({});
        return;
    }
    const int block = std::min(pane->block, ready->blocks - 1);
    const int head = std::min(pane->head, ready->heads - 1);
    grid_->setChosen(block, head);
    const AttentionSummary& summary = ready->summaries[ready->indexOf(block, head)];
    attention_->setText(tr("Entropy %1 bit, peak %2 at patch (%3, %4)")
                            .arg(summary.entropyBits, 0, 'f', 2)
                            .arg(summary.peak, 0, 'g', 3)
                            .arg(summary.peakToken.x)
                            .arg(summary.peakToken.y));
    attention_->setToolTip(tr("Entropy 0: one patch has all the weight; the more bits, the more "
                              "patches share it."));
}

QString Inspector::attentionText() const {
    return attention_->text();
}

QString Inspector::valuesText() const {
    return picks_->text();
}

} // namespace loftscope
