// SPDX-License-Identifier: Apache-2.0
// Everything a user can do, once: menus, keys, the palette, the sheet of keys and scripts are all
// made from this list.
#pragma once

#include <QKeySequence>
#include <QList>
#include <QObject>
#include <QString>

#include <functional>

class QAction;
class QWidget;

namespace loftscope {

struct CommandSpec {
    QString id;                    ///< "view.fit": names the command in scripts; never changes
    QString group;                 ///< "View": its menu, its heading in the sheet of keys
    QString text;                  ///< as in the menu, with & before the mnemonic
    QString help;                  ///< one sentence for somebody who sees it for the first time
    QList<QKeySequence> keys = {}; ///< the first is the one that is shown
    bool checkable = false;
};

class Commands : public QObject {
    Q_OBJECT
public:
    /// Keys work in `window`, with or without a menu bar.
    explicit Commands(QWidget* window);

    /// The action's object name is the id; its tooltip the help with the keys.
    QAction* add(const CommandSpec& spec, const std::function<void()>& act);
    /// An action that somebody else made, such as a dock's toggle.
    QAction* adopt(QAction* action, const CommandSpec& spec);

    QAction* find(const QString& id) const;
    /// In the order in which they were added.
    const QList<QAction*>& all() const { return all_; }
    /// In the order in which they first appeared.
    QStringList groups() const;
    static QString groupOf(const QAction* action);
    static void setGroup(QAction* action, const QString& group);
    /// Without mnemonics and dots, as it is now: "Undo: Pick pixel".
    static QString plainText(const QAction* action);
    /// As it was added: "Undo".
    static QString plainName(const QAction* action);

private:
    QWidget* window_;
    QList<QAction*> all_;
};

} // namespace loftscope
