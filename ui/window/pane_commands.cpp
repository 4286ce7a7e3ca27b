// SPDX-License-Identifier: Apache-2.0
#include "ui/window/pane_commands.h"

#include "ui/window/colors_panel.h"
#include "ui/window/commands.h"
#include "ui/window/window_text.h"
#include "ui/window/workspace.h"

#include <QAction>
#include <QCoreApplication>

#include <algorithm>

namespace loftscope {

namespace {

using Keys = QKeySequence;

constexpr float overlayOpacity = 0.6F;

/// What every command acts on.
struct Scope {
    Commands& commands;
    PaneModel& model;
    Workspace& workspace;
    ColorsPanel& panel;

    const PaneState& selected() const { return model.selectedPane(); }
    bool isFeatures() const { return kindOf(selected()).isFeatures; }
    void edit(const QString& what, const std::function<void(PaneState&)>& mutate) const {
        PaneState next = selected();
        mutate(next);
        model.setPane(next, what);
    }
    void editColors(const QString& what, const std::function<void(PaneState&)>& mutate) const {
        model.changeColors(selected().id, mutate, what);
    }
};

void addPickCommands(const Scope& scope) {
    const QString group = windowText("Edit");
    Commands& c = scope.commands;
    c.add({"pick.next",
           group,
           windowText("Ne&xt pick"),
           windowText("Makes the next pick the active one"),
           {Keys(Qt::Key_N)}},
          [scope] { scope.model.stepPick(1); });
    c.add({"pick.previous",
           group,
           windowText("P&revious pick"),
           windowText("Makes the previous pick the active one"),
           {Keys(Qt::SHIFT | Qt::Key_N)}},
          [scope] { scope.model.stepPick(-1); });
    c.add({"pick.remove",
           group,
           windowText("&Delete the pick"),
           windowText("Takes the active pick away"),
           {Keys(Qt::Key_Backspace)}},
          [scope] { scope.model.removePick(scope.model.state().activePick); });
}

void addPaneStyleCommands(const Scope& scope) {
    const QString group = windowText("Pane");
    Commands& c = scope.commands;
    c.add({"pane.duplicate",
           group,
           windowText("&Duplicate"),
           windowText("Another pane that shows the same, to change from there"),
           {Keys(Qt::CTRL | Qt::Key_D)}},
          [scope] { scope.model.duplicatePane(scope.selected().id); });
    c.add({"pane.overlay",
           group,
           windowText("&Overlay on the photo"),
           windowText("The map over the photo, half transparent, or alone"),
           {Keys(Qt::Key_O)},
           true},
          [scope] {
              scope.edit(windowText("Overlay"), [](PaneState& pane) {
                  pane.opacity = pane.opacity < 1 ? 1 : overlayOpacity;
              });
          });
    c.add({"pane.smooth",
           group,
           windowText("S&mooth"),
           windowText("Interpolates between the map's pixels when they are magnified"),
           {Keys(Qt::Key_S)},
           true},
          [scope] {
              scope.edit(windowText("Smooth"), [](PaneState& pane) { pane.smooth = !pane.smooth; });
          });
    c.add({"pane.next-color-map",
           group,
           windowText("Next colour &map"),
           windowText("Another colour map for the scalar map"),
           {Keys(Qt::Key_Y)}},
          [scope] {
              scope.edit(windowText("Choose colour map"), [](PaneState& pane) {
                  const auto maps = allColorMaps();
                  const auto now = std::ranges::find(maps, pane.scalar.map) - maps.begin();
                  pane.scalar.map = maps[static_cast<std::size_t>(now + 1) % maps.size()];
              });
          });
}

/// Steps through -1 (mean), 0 .. count - 1.
int stepped(int value, int step, int count) {
    if (count < 1) return value;
    const int now = std::min(value, count - 1) + 1;
    return (now + step + count + 1) % (count + 1) - 1;
}

void addAttentionCommands(const Scope& scope) {
    const QString group = windowText("Analyse");
    const auto add = [&](const char* id, const QString& text, const QString& help,
                         const QKeySequence& keys, int blockStep, int headStep) {
        scope.commands.add({id, group, text, help, {keys}}, [scope, blockStep, headStep] {
            const AttentionReady* ready = scope.workspace.attentionFor(scope.selected());
            if (ready == nullptr) return;
            scope.edit(windowText("Choose attention map"), [&](PaneState& pane) {
                pane.block = stepped(pane.block, blockStep, ready->blocks);
                pane.head = stepped(pane.head, headStep, ready->heads);
            });
        });
    };
    const QString heads =
        windowText("Another head of the attention in the selected pane; their mean is "
                   "one of them");
    const QString blocks =
        windowText("Another block or layer of the attention in the selected pane; their "
                   "mean is one of them");
    add("attention.next-head", windowText("Next &head"), heads, Keys(Qt::Key_K), 0, 1);
    add("attention.previous-head", windowText("Previous h&ead"), heads, Keys(Qt::Key_J), 0, -1);
    add("attention.next-block", windowText("Next &block"), blocks, Keys(Qt::SHIFT | Qt::Key_K), 1,
        0);
    add("attention.previous-block", windowText("Previous b&lock"), blocks,
        Keys(Qt::SHIFT | Qt::Key_J), -1, 0);
}

void addBasisCommands(const Scope& scope) {
    const QString group = windowText("Analyse");
    Commands& c = scope.commands;
    c.add({"basis.own",
           group,
           windowText("&Own bases"),
           windowText("Each method's features in their own principal components"),
           {},
           true},
          [scope] { scope.workspace.setBasis("own"); });
    c.add({"basis.shared",
           group,
           windowText("&Shared basis"),
           windowText("One set of principal components, fitted on all shown fields"),
           {},
           true},
          [scope] { scope.workspace.setBasis("shared"); });
    c.add({"basis.lock",
           group,
           windowText("&Lock the basis"),
           windowText("Keeps the principal components of now, also for photos to come"),
           {Keys(Qt::Key_B)},
           true},
          [scope] {
              const auto& panes = scope.model.state().panes;
              const bool locked = std::ranges::any_of(
                  panes, [](const PaneState& pane) { return pane.basis == "locked"; });
              if (locked) {
                  scope.workspace.setBasis("own");
              } else {
                  scope.workspace.lockBases();
              }
          });
    c.add({"basis.file", group, windowText("Basis from a &file..."),
           windowText("Principal components that were saved before")},
          [scope] { scope.panel.chooseBasisFile(); });
    c.add({"basis.save", group, windowText("S&ave the basis..."),
           windowText("Writes the selected pane's principal components to a file")},
          [scope] { scope.panel.chooseSaveFile(); });
}

void addColorCommands(const Scope& scope) {
    const QString group = windowText("Analyse");
    Commands& c = scope.commands;
    for (int i = 0; i < 3; ++i) {
        const QString name =
            QStringList{windowText("red"), windowText("green"), windowText("blue")}[i];
        c.add({QString("colors.flip-%1").arg(i + 1),
               group,
               windowText("Turn the sign of %1").arg(name),
               windowText(
                   "The sign of a principal component is arbitrary: this turns the one that is "
                   "shown as %1")
                   .arg(name),
               {Keys(Qt::CTRL | Qt::Key(Qt::Key_1 + i))}},
              [scope, i] {
                  const PaneState& pane = scope.selected();
                  const int component = pane.singleComponent
                                            ? pane.scalar.channel
                                            : pane.scores.components[static_cast<std::size_t>(i)];
                  scope.editColors(windowText("Turn sign"),
                                   [&](PaneState& each) { each.flips ^= 1U << component; });
              });
    }
    c.add({"colors.alone",
           group,
           windowText("One &component alone"),
           windowText("The first of the three components as a scalar map, or three as colours"),
           {Keys(Qt::Key_C)},
           true},
          [scope] {
              if (!scope.isFeatures()) return;
              const bool alone = scope.selected().singleComponent;
              scope.editColors(windowText("Choose component"), [&](PaneState& pane) {
                  if (alone) {
                      pane.singleComponent = false;
                  } else {
                      showComponentAlone(pane, pane.scores.components[0]);
                  }
              });
          });
    c.add({"colors.whiten",
           group,
           windowText("&Whiten"),
           windowText("Divides each component by its standard deviation"),
           {},
           true},
          [scope] {
              const bool on = !scope.selected().whiten;
              scope.editColors(windowText("Whiten"), [&](PaneState& pane) {
                  pane.whiten = on;
                  pane.autoRange = true;
              });
          });
    c.add({"colors.sigmoid",
           group,
           windowText("S&igmoid"),
           windowText("Sigmoid of the whitened scores instead of a linear range"),
           {},
           true},
          [scope] {
              const bool on = scope.selected().scores.scaling != ScoreScaling::Sigmoid;
              scope.editColors(windowText("Choose scaling"), [&](PaneState& pane) {
                  pane.scores.scaling = on ? ScoreScaling::Sigmoid : ScoreScaling::Linear;
                  pane.whiten = on || pane.whiten;
              });
          });
    c.add({"colors.mask",
           group,
           windowText("Fore&ground mask"),
           windowText("Blackens what lies below a threshold of the first component"),
           {Keys(Qt::Key_X)},
           true},
          [scope] {
              const bool on = !scope.selected().scores.mask.enabled;
              scope.editColors(windowText("Foreground mask"),
                               [&](PaneState& pane) { pane.scores.mask.enabled = on; });
          });
    c.add({"colors.together",
           group,
           windowText("Colours of all &feature panes"),
           windowText(
               "Choices about colours are for all feature panes, or for the selected one alone"),
           {},
           true},
          [scope] { scope.model.setColorsTogether(!scope.model.state().colorsTogether); });
}

void updateChecks(const Scope& scope) {
    const PaneState& pane = scope.selected();
    const auto check = [&](const char* id, bool on) {
        if (QAction* action = scope.commands.find(id)) action->setChecked(on);
    };
    check("pane.overlay", pane.opacity < 1);
    check("pane.smooth", pane.smooth);
    check("basis.own", pane.basis == "own");
    check("basis.shared", pane.basis == "shared");
    check("basis.lock", pane.basis == "locked");
    check("colors.alone", pane.singleComponent);
    check("colors.whiten", pane.whiten);
    check("colors.sigmoid", pane.scores.scaling == ScoreScaling::Sigmoid);
    check("colors.mask", pane.scores.mask.enabled);
    check("colors.together", scope.model.state().colorsTogether);
}

} // namespace

void addPaneCommands(Commands& commands, PaneModel& model, Workspace& workspace,
                     ColorsPanel& panel) {
    const Scope scope{commands, model, workspace, panel};
    addPickCommands(scope);
    addPaneStyleCommands(scope);
    addBasisCommands(scope);
    addColorCommands(scope);
    addAttentionCommands(scope);
    commands.add({"compute.retry",
                  windowText("Compute"),
                  windowText("&Retry"),
                  windowText("Computes again what failed or was cancelled"),
                  {Keys(Qt::CTRL | Qt::Key_R)}},
                 [scope] { scope.workspace.retry(); });
    for (const auto changed : {&PaneModel::paneChanged, &PaneModel::selectionChanged})
        QObject::connect(&model, changed, &commands, [scope](int) { updateChecks(scope); });
    QObject::connect(&model, &PaneModel::historyChanged, &commands,
                     [scope] { updateChecks(scope); });
    updateChecks(scope);
}

QStringList analyseCommands() {
    return {"text.ask",
            "",
            "basis.own",
            "basis.shared",
            "basis.lock",
            "basis.file",
            "basis.save",
            "",
            "colors.together",
            "colors.alone",
            "colors.whiten",
            "colors.sigmoid",
            "colors.mask",
            "colors.flip-1",
            "colors.flip-2",
            "colors.flip-3",
            "",
            "attention.next-head",
            "attention.previous-head",
            "attention.next-block",
            "attention.previous-block"};
}

QStringList pickCommands() {
    return {"pick.next", "pick.previous", "pick.remove"};
}

} // namespace loftscope
