// SPDX-License-Identifier: Apache-2.0
#include "ui/window/commands.h"

#include <QAction>
#include <QWidget>

namespace loftscope {

namespace {

constexpr const char* groupProperty = "commandGroup";
constexpr const char* nameProperty = "commandName";

QString withoutMarks(QString text) {
    text.remove('&');
    if (text.endsWith("...")) text.chop(3);
    return text;
}

} // namespace

Commands::Commands(QWidget* window)
    : QObject(window)
    , window_(window) {}

QAction* Commands::add(const CommandSpec& spec, const std::function<void()>& act) {
    auto* action = new QAction(spec.text, window_);
    action->setCheckable(spec.checkable);
    connect(action, &QAction::triggered, this, act);
    return adopt(action, spec);
}

QAction* Commands::adopt(QAction* action, const CommandSpec& spec) {
    Q_ASSERT(find(spec.id) == nullptr);
    action->setObjectName(spec.id);
    action->setText(spec.text);
    action->setShortcuts(spec.keys);
    setGroup(action, spec.group);
    action->setProperty(nameProperty, withoutMarks(spec.text));
    const QString keys = action->shortcut().toString(QKeySequence::NativeText);
    action->setToolTip(keys.isEmpty() ? spec.help : QString("%1 (%2)").arg(spec.help, keys));
    action->setStatusTip(spec.help);
    window_->addAction(action);
    all_.append(action);
    return action;
}

QAction* Commands::find(const QString& id) const {
    for (QAction* action : all_)
        if (action->objectName() == id) return action;
    return nullptr;
}

QStringList Commands::groups() const {
    QStringList names;
    for (const QAction* action : all_)
        if (!names.contains(groupOf(action))) names.append(groupOf(action));
    return names;
}

QString Commands::groupOf(const QAction* action) {
    return action->property(groupProperty).toString();
}

void Commands::setGroup(QAction* action, const QString& group) {
    action->setProperty(groupProperty, group);
}

QString Commands::plainText(const QAction* action) {
    return withoutMarks(action->text());
}

QString Commands::plainName(const QAction* action) {
    return action->property(nameProperty).toString();
}

} // namespace loftscope
