// SPDX-License-Identifier: Apache-2.0
// Everything that the window can be told to do, and the menus that offer it.
#include "ui/window/clip_bar.h"
#include "ui/window/command_palette.h"
#include "ui/window/figure_export.h"
#include "ui/window/main_window.h"
#include "ui/window/model_panel.h"
#include "ui/window/pane_commands.h"
#include "ui/window/pane_menu.h"
#include "ui/window/session_keeper.h"
#include "ui/window/status_line.h"

#include <QAction>
#include <QCheckBox>
#include <QClipboard>
#include <QDockWidget>
#include <QFileInfo>
#include <QGuiApplication>
#include <QMenu>
#include <QMenuBar>
#include <QToolButton>

#include <algorithm>

namespace loftscope {

namespace {

constexpr double wipeStep = 0.02; // of the pane

/// The entries of a menu and its sub-menus, each named by the way to it: "Show: Attention: LoftUp".
void collectEntries(const QMenu& menu, const QString& before, QList<QAction*>& entries) {
    for (QAction* action : menu.actions()) {
        if (action->isSeparator() || action->text().isEmpty()) continue;
        const QString name = before + Commands::plainText(action);
        if (action->menu() != nullptr) {
            if (action->isEnabled()) collectEntries(*action->menu(), name + ": ", entries);
            continue;
        }
        action->setText(name);
        Commands::setGroup(action, MainWindow::tr("Pane"));
        entries.append(action);
    }
}

/// An empty id is a separator.
void fill(QMenu* menu, const Commands& commands, const QStringList& ids) {
    for (const QString& id : ids) {
        if (id.isEmpty()) {
            menu->addSeparator();
        } else {
            menu->addAction(commands.find(id));
        }
    }
}

} // namespace

void MainWindow::makeCommands() {
    using Keys = QKeySequence;
    Commands& c = *commands_;
    const QString file = tr("File");
    const QString edit = tr("Edit");
    const QString view = tr("View");
    const QString pane = tr("Pane");
    const QString compare = tr("Compare");
    const QString compute = tr("Compute");
    const QString help = tr("Help");

    c.add({"file.open",
           file,
           tr("&Open..."),
           tr("Opens a photo or a video, or takes a checkpoint as the backbone or upsampler it is"),
           {Keys::Open}},
          [this] { choosePhoto(); });
    c.add({"file.open-folder",
           file,
           tr("Open &folder..."),
           tr("Shows a folder's photos as thumbnails and opens the first"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_O)}},
          [this] { chooseFolder(); });
    c.add({"file.open-evaluation", file, tr("Open &evaluation..."),
           tr("Shows the results.json of loftscope eval as a table and bars")},
          [this] { chooseEvaluation(); });
    c.add(
        {"file.models",
         file,
         tr("Mod&els..."),
         tr("Published backbones and upsamplers: what lies on this computer, and fetching others"),
         {Keys(Qt::CTRL | Qt::Key_M)}},
        [this] { showModels(); });
    c.add({"file.next",
           file,
           tr("&Next photo"),
           tr("Opens the next photo of the folder"),
           {Keys(Qt::Key_PageDown)}},
          [this] { stepPhoto(1); });
    c.add({"file.previous",
           file,
           tr("&Previous photo"),
           tr("Opens the previous photo of the folder"),
           {Keys(Qt::Key_PageUp)}},
          [this] { stepPhoto(-1); });
    c.add({"clip.from-folder", file, tr("Folder as a &sequence"),
           tr("The photos of the folder as frames of a clip, with one PCA basis for all")},
          [this] { openSequence(QFileInfo(wantedPhoto_).path()); });
    c.add({"clip.next",
           file,
           tr("Next &frame"),
           tr("The next frame of the clip"),
           {Keys(Qt::Key_Period)}},
          [this] { clipBar_->step(1); });
    c.add({"clip.previous",
           file,
           tr("Pre&vious frame"),
           tr("The previous frame of the clip"),
           {Keys(Qt::Key_Comma)}},
          [this] { clipBar_->step(-1); });
    c.add({"clip.one-basis",
           file,
           tr("One &basis over the clip"),
           tr("A colour means the same in every frame of the clip, or each frame has its own"),
           {},
           true},
          [this] { clipBar_->sameColors()->toggle(); });
    c.add({"session.open", file, tr("Open s&ession..."),
           tr("Photo, models, panes, picks and views as they were saved")},
          [this] { sessions_->choose(); });
    c.add(
        {"session.save",
         file,
         tr("&Save session"),
         tr("Keeps photo, models, panes, picks and views in a file to be opened again or rendered"),
         {Keys(Qt::CTRL | Qt::Key_S)}},
        [this] { sessions_->save(); });
    c.add({"session.save-as",
           file,
           tr("Save session &as..."),
           tr("The same under another name"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_S)}},
          [this] { sessions_->saveAs(); });
    c.add({"session.recover", file, tr("&Recover"),
           tr("Shows again what was shown when the program ended unexpectedly")},
          [this] { sessions_->recover(); });
    c.add({"file.export",
           file,
           tr("&Export figure..."),
           tr("The panes as a figure for a paper: PNG, PDF or SVG, with a preview"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_E)}},
          [this] { figures_->openDialog(); });
    c.add({"file.export-now",
           file,
           tr("Quick e&xport"),
           tr("Writes the figure with the choices of the last export, beside the last one or the "
              "photo"),
           {Keys(Qt::CTRL | Qt::Key_E)}},
          [this] { figures_->exportNow(); });
    c.add({"file.export-data", file, tr("Export &data..."),
           tr("The numbers behind the panes: maps, scores, PCA bases, picks with their attention")},
          [this] { figures_->openDataDialog(); });
    c.add({"file.quit",
           file,
           tr("&Quit"),
           tr("Closes the window, whatever is being computed"),
           {Keys(Qt::CTRL | Qt::Key_Q)}},
          [this] { close(); });

    c.add({"edit.undo",
           edit,
           tr("&Undo"),
           tr("Takes back the last change of view or parameters"),
           {Keys::Undo}},
          [this] { model_.undo(); });
    c.add({"edit.redo",
           edit,
           tr("&Redo"),
           tr("Makes the change again that was taken back"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_Z), Keys(Qt::CTRL | Qt::Key_Y)}},
          [this] { model_.redo(); });
    c.add({"edit.paste",
           edit,
           tr("&Paste picture"),
           tr("Opens the picture on the clipboard"),
           {Keys::Paste}},
          [this] { pastePicture(); });
    c.add({"edit.copy-values",
           edit,
           tr("&Copy values"),
           tr("Copies every pane's value at the pick as text"),
           {Keys::Copy}},
          [this] { copyValues(); });
    c.add({"edit.copy-command", edit, tr("Copy as comman&d line"),
           tr("The command that draws the same without a window, for many photos or a cluster")},
          [this] {
              QGuiApplication::clipboard()->setText(sessions_->commandLine());
              const QString note = sessions_->commandNote();
              if (note.isEmpty()) {
                  statusLine_->showMessage(tr("The command is on the clipboard."), 4000);
              } else {
                  errorBar_->showNote(note);
              }
          });
    c.add({"edit.copy-figure",
           edit,
           tr("Copy &figure"),
           tr("Puts the panes as a figure on the clipboard, with the choices of the last export"),
           {Keys(Qt::CTRL | Qt::ALT | Qt::Key_C)}},
          [this] { figures_->copy(); });
    c.add({"edit.copy-picture",
           edit,
           tr("Copy &window as picture"),
           tr("Puts a picture of the window on the clipboard"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_C)}},
          [this] { QGuiApplication::clipboard()->setPixmap(grab()); });
    c.add({"pick.pin",
           edit,
           tr("P&in the pick"),
           tr("Keeps the pick where it is; the next click places another one"),
           {Keys(Qt::Key_P)}},
          [this] { model_.pinPick(); });
    c.add({"pick.clear",
           edit,
           tr("C&lear picks"),
           tr("Takes all picks away"),
           {Keys(Qt::Key_Escape)}},
          [this] { model_.clearPicks(); });
    const auto nudge = [&](const char* id, const QString& text, int dx, int dy) {
        c.add({id, edit, text, tr("Moves the pick by one pixel (arrow keys over the panes)")},
              [this, dx, dy] { model_.nudgePick(dx, dy); });
    };
    nudge("pick.left", tr("Pick one pixel left"), -1, 0);
    nudge("pick.right", tr("Pick one pixel right"), 1, 0);
    nudge("pick.up", tr("Pick one pixel up"), 0, -1);
    nudge("pick.down", tr("Pick one pixel down"), 0, 1);

    c.add({"view.fit", view, tr("&Fit"), tr("Shows the whole photo"), {Keys(Qt::Key_F)}},
          [this] { model_.fit(); });
    c.add({"view.one-to-one",
           view,
           tr("&1:1"),
           tr("One screen pixel for each photo pixel"),
           {Keys(Qt::Key_Z)}},
          [this] { model_.oneToOne(); });
    c.add({"view.zoom-in",
           view,
           tr("Zoom &in"),
           tr("Enlarges around the middle of the pane"),
           {Keys(Qt::CTRL | Qt::Key_Plus), Keys(Qt::CTRL | Qt::Key_Equal)}},
          [this] { canvas_->zoomBy(1.25); });
    c.add({"view.zoom-out",
           view,
           tr("Zoom &out"),
           tr("Shrinks around the middle of the pane"),
           {Keys(Qt::CTRL | Qt::Key_Minus)}},
          [this] { canvas_->zoomBy(0.8); });
    c.add({"view.go-to",
           view,
           tr("&Go to pixel..."),
           tr("Picks a pixel by its coordinates and moves it to the middle"),
           {Keys(Qt::CTRL | Qt::Key_G)}},
          [this] { goTo(); });
    c.add({"view.link",
           view,
           tr("&Link the panes"),
           tr("All panes show the same part of the photo, or each its own"),
           {Keys(Qt::Key_L)},
           true},
          [this] { model_.setLinked(!model_.state().linked); });
    c.add({"view.histogram",
           view,
           tr("&Histogram"),
           tr("The values behind the selected pane's colours, with the range to drag"),
           {Keys(Qt::Key_H)},
           true},
          [this] {
              canvas_->setRangeControlVisible(!canvas_->rangeControlVisible());
              updateActions();
          });
    c.add({"view.full-screen",
           view,
           tr("F&ull screen"),
           tr("Panes and panels on the whole screen"),
           {Keys(Qt::Key_F11)},
           true},
          [this] {
              setWindowState(windowState() ^ Qt::WindowFullScreen);
              commands_->find("view.full-screen")->setChecked(isFullScreen());
          });
    c.add({"view.light",
           view,
           tr("Light &theme"),
           tr("Light or dark surroundings for the maps"),
           {Keys(Qt::CTRL | Qt::Key_T)},
           true},
          [this] { setDark(!dark_); });
    c.add({"view.reset-layout", view, tr("&Reset the layout"),
           tr("Puts all panels where they were at first")},
          [this] { restoreLayout(); });

    c.add({"text.ask",
           tr("Analyse"),
           tr("Look for a &text..."),
           tr("How much every feature resembles a text (CLIP, SigLIP), among the low-res features "
              "and upsampled"),
           {Keys(Qt::Key_T)}},
          [this] {
              if (!workspace_->comparesTexts()) {
                  showFailure(workspace_->features()
                                  ? tr("The backbone has no text tower: take CLIP or SigLIP "
                                       "(Models, Ctrl+M) to look for a text.")
                                  : tr("There are no features yet: open a photo first."));
                  return;
              }
              showPanel("inspector");
              inspector_->text()->setFocus(Qt::ShortcutFocusReason);
              inspector_->text()->selectAll();
          });

    c.add({"pane.maximise",
           pane,
           tr("&Maximise"),
           tr("The selected pane alone, or all panes"),
           {Keys(Qt::Key_M)}},
          [this] { model_.toggleMaximised(model_.state().selected); });
    c.add({"pane.menu",
           pane,
           tr("Pane &menu"),
           tr("What the selected pane shows, and how"),
           {Keys(Qt::Key_Menu), Keys(Qt::SHIFT | Qt::Key_F10)}},
          [this] {
              const Box header = canvas_->headerOf(model_.state().selected);
              showPaneMenu(
                  canvas_->mapToGlobal(QPointF(header.origin.x + 8, header.end().y).toPoint()));
          });
    c.add({"pane.next-components",
           pane,
           tr("&Next components"),
           tr("The next three principal components as red, green and blue"),
           {Keys(Qt::Key_BracketRight)}},
          [this] { model_.stepComponents(model_.state().selected, 1); });
    c.add({"pane.previous-components",
           pane,
           tr("&Previous components"),
           tr("The previous three principal components as red, green and blue"),
           {Keys(Qt::Key_BracketLeft)}},
          [this] { model_.stepComponents(model_.state().selected, -1); });
    c.add({"pane.automatic-range", pane, tr("&Automatic range"),
           tr("The colours follow the percentiles of the values again")},
          [this] { model_.setAutoRange(model_.state().selected); });
    c.add({"pane.remove",
           pane,
           tr("&Remove"),
           tr("Takes the selected pane away"),
           {Keys(Qt::Key_Delete)}},
          [this] { model_.removePane(model_.state().selected); });
    for (int i = 0; i < 9; ++i) {
        c.add({QString("pane.select-%1").arg(i + 1),
               pane,
               tr("Select pane &%1").arg(i + 1),
               tr("Keys and panels then act on it"),
               {Keys(Qt::Key_1 + i)}},
              [this, i] {
                  if (const int id = model_.idAt(i); id != 0) model_.select(id);
              });
    }

    const auto toggle = [this](CompareMode mode) {
        model_.setCompare(model_.state().compare == mode ? CompareMode::Off : mode);
    };
    c.add({"compare.reference",
           compare,
           tr("Use the pane as &A"),
           tr("The selected pane is what others are compared with"),
           {Keys(Qt::Key_A)}},
          [this] { model_.setReference(model_.state().selected); });
    c.add({"compare.wipe",
           compare,
           tr("&Wipe"),
           tr("A on one side of an edge, the selected pane on the other; drag the edge"),
           {Keys(Qt::Key_W)},
           true},
          [toggle] { toggle(CompareMode::Wipe); });
    const auto moveWipe = [this](double by) {
        Wipe wipe = model_.state().wipe;
        wipe.position = std::clamp(wipe.position + by, 0.0, 1.0);
        model_.setWipe(wipe);
    };
    c.add({"compare.wipe-back",
           compare,
           tr("Wipe edge &back"),
           tr("Moves the edge to the left or up"),
           {Keys(Qt::ALT | Qt::Key_Left)}},
          [moveWipe] { moveWipe(-wipeStep); });
    c.add({"compare.wipe-on",
           compare,
           tr("Wipe edge &on"),
           tr("Moves the edge to the right or down"),
           {Keys(Qt::ALT | Qt::Key_Right)}},
          [moveWipe] { moveWipe(wipeStep); });
    c.add({"compare.wipe-turn",
           compare,
           tr("&Turn the wipe"),
           tr("An upright or a level edge"),
           {Keys(Qt::SHIFT | Qt::Key_W)}},
          [this] {
              Wipe wipe = model_.state().wipe;
              wipe.edge =
                  wipe.edge == WipeEdge::Vertical ? WipeEdge::Horizontal : WipeEdge::Vertical;
              model_.setWipe(wipe);
          });
    c.add({"compare.difference",
           compare,
           tr("&Difference"),
           tr("The selected pane minus A, in colours centred at zero"),
           {Keys(Qt::Key_D)},
           true},
          [toggle] { toggle(CompareMode::Difference); });
    // The canvas takes a held space bar itself; this is for the menu and other focus.
    c.add({"compare.flip",
           compare,
           tr("&Flip to A"),
           tr("A in the place of the selected pane (hold Space over the panes)"),
           {Keys(Qt::Key_Space)},
           true},
          [this] { model_.setFlipped(!model_.flipped()); });

    c.add({"compute.cancel",
           compute,
           tr("&Cancel"),
           tr("Stops computing, keeps what is there"),
           {Keys(Qt::CTRL | Qt::Key_Period)}},
          [this] { workspace_->cancel(); });
    c.add({"compute.smaller",
           compute,
           tr("&Smaller input"),
           tr("Half the backbone's input size: quicker and with less memory, but coarser"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_Minus)}},
          [this] { changeInput(0.5); });
    c.add({"compute.larger",
           compute,
           tr("&Larger input"),
           tr("Twice the backbone's input size: more patch tokens, slower"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_Plus)}},
          [this] { changeInput(2); });
    c.add({"compute.cpu", compute, tr("&Use the CPU"), tr("Computes on the CPU from now on")},
          [this] {
              ComputeSettings settings = model_.state().compute;
              settings.device = "cpu";
              model_.setCompute(settings);
          });

    c.add({"help.keys",
           help,
           tr("&Keys"),
           tr("All keys and mouse gestures on one page"),
           {Keys(Qt::Key_F1)}},
          [this] { showKeys(); });
    c.add({"help.palette",
           help,
           tr("&Find a command..."),
           tr("Any command by a few of its letters"),
           {Keys(Qt::CTRL | Qt::SHIFT | Qt::Key_P)}},
          [this] { showPalette(); });
    c.add({"help.log", help, tr("&Log"), tr("Shows what the program did and said")},
          [this] { showPanel("log"); });
}

void MainWindow::makeMenus() {
    const auto add = [this](const QString& title, const QStringList& ids) {
        QMenu* menu = menuBar()->addMenu(title);
        menu->setToolTipsVisible(true);
        fill(menu, *commands_, ids);
        return menu;
    };
    QMenu* file = add(tr("&File"), {"file.open", "file.open-folder", "file.open-evaluation"});
    recentMenu_ = file->addMenu(tr("Open &recent"));
    recentMenu_->setToolTipsVisible(true);
    fillRecentMenu();
    fill(file, *commands_,
         {"",
          "file.next",
          "file.previous",
          "",
          "clip.from-folder",
          "clip.next",
          "clip.previous",
          "clip.one-basis",
          "",
          "file.models",
          "",
          "session.open",
          "session.save",
          "session.save-as",
          "",
          "file.export",
          "file.export-now",
          "file.export-data",
          "",
          "file.quit"});
    add(tr("&Edit"), QStringList{"edit.undo", "edit.redo", "", "edit.paste", "edit.copy-values",
                                 "edit.copy-figure", "edit.copy-picture", "edit.copy-command", "",
                                 "pick.pin", "pick.clear"} +
                         pickCommands());
    QMenu* view = add(tr("&View"), {"view.fit", "view.one-to-one", "view.zoom-in", "view.zoom-out",
                                    "view.go-to", "view.link", "", "view.histogram", ""});
    QMenu* panels = view->addMenu(tr("&Panels"));
    for (QAction* action : commands_->all())
        if (action->objectName().startsWith("panel.")) panels->addAction(action);
    fill(view, *commands_, {"view.reset-layout", "", "view.full-screen", "view.light"});
    QMenu* pane = menuBar()->addMenu(tr("&Pane"));
    connect(pane, &QMenu::aboutToShow, this, [this, pane] {
        pane->clear();
        qDeleteAll(pane->findChildren<QMenu*>(QString(), Qt::FindDirectChildrenOnly));
        fillPaneMenu(*pane, model_, *workspace_, model_.state().selected);
        pane->addSeparator();
        fill(pane, *commands_, {"pane.next-components", "pane.previous-components"});
        QMenu* select = pane->addMenu(tr("&Select"));
        for (int i = 1; i <= 9; ++i)
            select->addAction(commands_->find(QString("pane.select-%1").arg(i)));
    });
    add(tr("&Compare"),
        {"compare.reference", "", "compare.wipe", "compare.wipe-back", "compare.wipe-on",
         "compare.wipe-turn", "", "compare.difference", "compare.flip"});
    add(tr("&Analyse"), analyseCommands());
    add(tr("C&ompute"), {"compute.cancel", "compute.retry", "", "compute.smaller", "compute.larger",
                         "compute.cpu"});
    add(tr("&Help"), {"help.keys", "help.palette", "", "help.log"});

    modelButton_ = new QToolButton;
    modelButton_->setObjectName("modelButton");
    modelButton_->setAutoRaise(true);
    modelButton_->setText(tr("No model yet"));
    modelButton_->setToolTip(tr("The models in use; click for all about them"));
    connect(modelButton_, &QToolButton::clicked, this, [this] { showPanel("model"); });
    menuBar()->setCornerWidget(modelButton_);
}

void MainWindow::showPaneMenu(const QPoint& globalPosition) {
    auto* menu = new QMenu(this);
    menu->setObjectName("paneMenu");
    menu->setAttribute(Qt::WA_DeleteOnClose);
    fillPaneMenu(*menu, model_, *workspace_, model_.state().selected);
    menu->popup(globalPosition);
}

void MainWindow::showPalette() {
    // Everything in the pane's menu as well, however deep.
    delete paletteMenu_;
    paletteMenu_ = new QMenu(this);
    fillPaneMenu(*paletteMenu_, model_, *workspace_, model_.state().selected);
    QList<QAction*> more;
    collectEntries(*paletteMenu_, {}, more);
    palette_->open(more + recentMenu_->actions());
}

} // namespace loftscope
