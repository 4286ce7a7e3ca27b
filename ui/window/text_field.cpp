// SPDX-License-Identifier: Apache-2.0
#include "ui/window/text_field.h"

#include "ui/window/content_kinds.h"

#include <algorithm>

namespace loftscope {

namespace {

constexpr const char* textKind = "text";

bool showsText(const PaneState& pane) {
    return pane.kind == textKind;
}

} // namespace

QString textOfPanes(const PaneModel& model) {
    const auto& panes = model.state().panes;
    const PaneState& selected = model.selectedPane();
    if (showsText(selected)) return QString::fromStdString(selected.text);
    const auto found = std::ranges::find_if(panes, showsText);
    return found == panes.end() ? QString() : QString::fromStdString(found->text);
}

void askForText(PaneModel& model, const QString& text) {
    const std::string wanted = text.trimmed().toStdString();
    const QString what = PaneModel::tr("Look for a text");
    WorkspaceState state = model.state();
    if (std::ranges::any_of(state.panes, showsText)) {
        model.changePanes(
            showsText, [&](PaneState& pane) { pane.text = wanted; }, what);
        return;
    }
    if (wanted.empty()) return;
    const std::string method = model.selectedPane().method;
    int id = std::ranges::max(state.panes, {}, &PaneState::id).id;
    for (const std::string& each : {std::string(), method.empty() ? "bilinear" : method}) {
        if (state.panes.size() == maximumPanes) break;
        PaneState pane = paneShowing(textKind, each);
        pane.text = wanted;
        pane.id = ++id;
        pane.view = state.view;
        state.panes.push_back(std::move(pane));
    }
    model.setState(std::move(state), what);
}

TextField::TextField(PaneModel* model, QWidget* parent)
    : QLineEdit(parent)
    , model_(model) {
    setObjectName("textQuery");
    setAccessibleName(tr("Text to look for"));
    setPlaceholderText(tr("Look for, e.g. a dog"));
    setToolTip(tr("Enter shows how much every feature resembles this text. Needs a backbone with a "
                  "text tower: CLIP or SigLIP."));
    setClearButtonEnabled(true);
    connect(this, &QLineEdit::returnPressed, this, [this] { askForText(*model_, text()); });
    connect(model_, &PaneModel::paneChanged, this, &TextField::follow);
    connect(model_, &PaneModel::layoutChanged, this, &TextField::follow);
    connect(model_, &PaneModel::selectionChanged, this, &TextField::follow);
    follow();
}

void TextField::follow() {
    // What is being written is not taken away.
    if (hasFocus() && isModified()) return;
    const QString shown = textOfPanes(*model_);
    if (shown != text() && (!shown.isEmpty() || !isModified())) setText(shown);
}

} // namespace loftscope
