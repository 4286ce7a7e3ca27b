// SPDX-License-Identifier: Apache-2.0
#include "ui/window/pane_menu.h"

#include "ui/window/window_text.h"
#include "ui/window/workspace.h"

#include <QActionGroup>
#include <QCoreApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QSlider>
#include <QWidgetAction>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace loftscope {

namespace {

/// Everything that the entries of one pane's menu act on.
struct Target {
    PaneModel& model;
    Workspace& workspace;
    int id;

    const PaneState& state() const { return *model.pane(id); }
    /// An entry that changes the pane.
    void edit(const QString& what, const std::function<void(PaneState&)>& mutate) const {
        const PaneState* current = model.pane(id);
        if (current == nullptr) return;
        PaneState next = *current;
        mutate(next);
        model.setPane(next, what);
    }
};

QAction* addChecked(QMenu& menu, const QString& text, bool checked,
                    const std::function<void()>& act) {
    QAction* action = menu.addAction(text, &menu, act);
    action->setCheckable(true);
    action->setChecked(checked);
    return action;
}

/// Entries for every kind of content; `use` gets the chosen pane.
void addContents(QMenu& menu, const KindContext& context, const PaneState* current,
                 const std::function<void(const PaneState&)>& use) {
    const auto isCurrent = [&](const PaneState& choice) {
        return current != nullptr && choice.kind == current->kind &&
               choice.method == current->method && choice.ofClassToken == current->ofClassToken &&
               choice.minuend == current->minuend && choice.subtrahend == current->subtrahend;
    };
    for (const ContentKind& kind : contentKinds()) {
        const std::vector<PaneChoice> choices =
            kind.choices(context, current != nullptr ? current->id : 0);
        const bool single = choices.size() == 1 && choices.front().label == kind.name;
        QMenu* where = &menu;
        if (!single) {
            where = menu.addMenu(kind.name);
            where->setToolTipsVisible(true);
            where->menuAction()->setToolTip(kind.tip);
            where->setEnabled(!choices.empty());
        }
        bool any = false;
        for (const PaneChoice& choice : choices) {
            QAction* action = addChecked(*where, choice.label, isCurrent(choice.pane),
                                         [use, pane = choice.pane] { use(pane); });
            action->setToolTip(choice.tip.isEmpty() ? kind.tip : choice.tip);
            action->setEnabled(choice.enabled);
            any = any || isCurrent(choice.pane);
        }
        if (any && !single) {
            QFont font = where->menuAction()->font();
            font.setBold(true);
            where->menuAction()->setFont(font);
        }
    }
}

void addComponents(QMenu& menu, const Target& target) {
    const PaneContent& content = target.model.content(target.id);
    const int count = content.map ? content.map->channels() : 0;
    QMenu* components = menu.addMenu(windowText("Components"));
    components->setEnabled(count > 0);
    const PaneState& state = target.state();
    for (int first = 0; first + 2 < count; first += 3) {
        const std::array<int, 3> triple{first, first + 1, first + 2};
        const bool isShown = !state.singleComponent && state.scores.components == triple;
        addChecked(*components, windowText("%1-%2 as colours").arg(first + 1).arg(first + 3),
                   isShown, [target, triple] {
                       target.edit(windowText("Choose components"), [&](PaneState& pane) {
                           pane.singleComponent = false;
                           pane.scores.components = triple;
                       });
                   });
    }
    components->addSeparator();
    for (int component = 0; component < count; ++component) {
        const bool isShown = state.singleComponent && state.scalar.channel == component;
        addChecked(*components, windowText("%1 alone").arg(component + 1), isShown,
                   [target, component] {
                       target.edit(windowText("Choose component"),
                                   [&](PaneState& pane) { showComponentAlone(pane, component); });
                   });
    }
}

void addHeads(QMenu& menu, const Target& target) {
    const AttentionReady* ready = target.workspace.attentionFor(target.state());
    const int blocks = ready != nullptr ? ready->blocks : 0;
    const int heads = ready != nullptr ? ready->heads : 0;
    const bool ofBackbone = target.state().kind == "self-attention";
    QMenu* blockMenu = menu.addMenu(ofBackbone ? windowText("Layer") : windowText("Block"));
    blockMenu->setEnabled(blocks > 1);
    const int shownBlock = std::min(target.state().block, blocks - 1);
    for (int block = -1; block < blocks; ++block) {
        addChecked(*blockMenu, block < 0 ? windowText("Mean") : QString::number(block + 1),
                   block == shownBlock, [target, block, blocks] {
                       target.edit(windowText("Choose attention map"), [&](PaneState& pane) {
                           pane.block = block == blocks - 1 ? lastBlock : block;
                       });
                   });
    }
    QMenu* headMenu = menu.addMenu(windowText("Head"));
    headMenu->setEnabled(heads > 1);
    for (int head = -1; head < heads; ++head) {
        addChecked(*headMenu, head < 0 ? windowText("Mean") : QString::number(head + 1),
                   head == std::min(target.state().head, heads - 1), [target, head] {
                       target.edit(windowText("Choose attention map"),
                                   [&](PaneState& pane) { pane.head = head; });
                   });
    }
}

void addPicks(QMenu& menu, const Target& target) {
    QMenu* picks = menu.addMenu(windowText("Follow pick"));
    picks->setToolTipsVisible(true);
    const auto add = [&](int number, const QString& text, const QString& tip) {
        addChecked(*picks, text, target.state().pick == number, [target, number] {
            target.edit(windowText("Follow pick"), [&](PaneState& pane) { pane.pick = number; });
        })->setToolTip(tip);
    };
    add(0, windowText("The active one"), windowText("The pane changes with every click."));
    for (const Pick& pick : target.model.state().picks)
        add(pick.number, windowText("Pick %1").arg(pick.number),
            windowText("The pane stays with this pick, so that picks can be compared."));
}

void addOpacity(QMenu& menu, const Target& target) {
    QMenu* overlay = menu.addMenu(windowText("Overlay on the photo"));
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(12, 4, 12, 4);
    auto* slider = new QSlider(Qt::Horizontal);
    slider->setAccessibleName(windowText("Opacity of the map over the photo"));
    slider->setRange(0, 100);
    slider->setMinimumWidth(140);
    slider->setValue(static_cast<int>(std::lround(target.state().opacity * 100)));
    layout->addWidget(new QLabel(windowText("Opacity")));
    layout->addWidget(slider);
    auto* action = new QWidgetAction(overlay);
    action->setDefaultWidget(row);
    overlay->addAction(action);
    QObject::connect(slider, &QSlider::valueChanged, overlay, [target](int value) {
        const PaneState* current = target.model.pane(target.id);
        if (current == nullptr) return;
        PaneState next = *current;
        next.opacity = static_cast<float>(value) / 100;
        target.model.setPane(next, windowText("Change opacity"), "opacity");
    });
    for (const int percent : {100, 75, 50, 25}) {
        addChecked(*overlay,
                   percent == 100 ? windowText("Map alone") : windowText("%1 %").arg(percent),
                   std::lround(target.state().opacity * 100) == percent, [target, percent] {
                       target.edit(windowText("Change opacity"), [&](PaneState& pane) {
                           pane.opacity = static_cast<float>(percent) / 100;
                       });
                   });
    }
    overlay->addSeparator();
    addChecked(*overlay, windowText("Low values transparent"), target.state().scalar.opacityByValue,
               [target] {
                   target.edit(windowText("Overlay"), [](PaneState& pane) {
                       pane.scalar.opacityByValue = !pane.scalar.opacityByValue;
                   });
               });
}

void addColors(QMenu& menu, const Target& target) {
    QMenu* colors = menu.addMenu(windowText("Colour map"));
    for (const ColorMap map : allColorMaps()) {
        addChecked(*colors, QString::fromUtf8(nameOf(map).data()), target.state().scalar.map == map,
                   [target, map] {
                       target.edit(windowText("Choose colour map"),
                                   [&](PaneState& pane) { pane.scalar.map = map; });
                   });
    }
    colors->addSeparator();
    addChecked(*colors, windowText("Reversed"), target.state().scalar.reversed, [target] {
        target.edit(windowText("Reverse colour map"),
                    [](PaneState& pane) { pane.scalar.reversed = !pane.scalar.reversed; });
    });
}

void addStyle(QMenu& menu, const Target& target) {
    const ContentKind& kind = kindOf(target.state());
    const int ranges = target.model.rangeCount(target.id);
    if (kind.isFeatures) addComponents(menu, target);
    if (kind.hasHeads) addHeads(menu, target);
    if (kind.followsPick && !target.state().ofClassToken) addPicks(menu, target);
    if (ranges == 1) addColors(menu, target);
    if (ranges > 0) {
        addOpacity(menu, target);
        addChecked(menu, windowText("Smooth"), target.state().smooth, [target] {
            target.edit(windowText("Smooth"), [](PaneState& pane) { pane.smooth = !pane.smooth; });
        })->setToolTip(windowText("Interpolate between the map's pixels when they are magnified."));
        QAction* automatic = menu.addAction(windowText("Automatic range"), &menu,
                                            [target] { target.model.setAutoRange(target.id); });
        automatic->setEnabled(!target.state().autoRange);
    }
}

} // namespace

void fillPaneMenu(QMenu& menu, PaneModel& model, Workspace& workspace, int pane) {
    const Target target{model, workspace, pane};
    if (model.pane(pane) == nullptr) return;
    menu.setToolTipsVisible(true);
    QMenu* show = menu.addMenu(windowText("Show"));
    show->setToolTipsVisible(true);
    addContents(*show, workspace.context(), &target.state(), [target](const PaneState& choice) {
        target.edit(windowText("Show %1").arg(kindOf(choice).name),
                    [&](PaneState& state) { state = changedTo(state, choice); });
    });
    addStyle(menu, target);
    menu.addSeparator();
    const bool full = model.state().panes.size() >= maximumPanes;
    QMenu* add = menu.addMenu(windowText("Add pane"));
    add->setToolTipsVisible(true);
    add->setEnabled(!full);
    addContents(*add, workspace.context(), nullptr,
                [target](const PaneState& choice) { target.model.addPane(choice); });
    menu.addAction(windowText("Duplicate"), &menu,
                   [target] { target.model.duplicatePane(target.id); })
        ->setEnabled(!full);
    const bool isMaximised = model.state().maximised == pane;
    menu.addAction(isMaximised ? windowText("Back to all panes") : windowText("Maximise"), &menu,
                   [target] { target.model.toggleMaximised(target.id); });
    QMenu* swap = menu.addMenu(windowText("Swap with"));
    swap->setEnabled(model.state().panes.size() > 1);
    for (std::size_t i = 0; i < model.state().panes.size(); ++i) {
        const int other = model.state().panes[i].id;
        if (other == pane) continue;
        swap->addAction(windowText("%1 %2").arg(i + 1).arg(model.content(other).title), &menu,
                        [target, other] { target.model.swapPanes(target.id, other); });
    }
    addChecked(menu, windowText("Use as A"), model.state().reference == pane,
               [target] { target.model.setReference(target.id); });
    menu.addAction(windowText("Remove"), &menu, [target] { target.model.removePane(target.id); })
        ->setEnabled(model.state().panes.size() > 1);
}

} // namespace loftscope
