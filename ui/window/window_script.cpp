// SPDX-License-Identifier: Apache-2.0
#include "ui/window/window_script.h"

#include "ui/window/frame_times.h"
#include "ui/window/main_window.h"
#include "ui/window/sent_events.h"

#include <QAction>
#include <QApplication>
#include <QDockWidget>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QKeyEvent>
#include <QPainter>
#include <QPixmap>
#include <QSaveFile>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace loftscope {

namespace {

constexpr int dragSteps = 8;

std::unexpected<Error> wrong(const std::string& what) {
    return fail(ErrorCode::InvalidArgument, what);
}

/// Who has the keyboard: what is open over the window, or the panes.
QWidget& keyboardTarget(MainWindow& window) {
    if (QWidget* popup = QApplication::activePopupWidget()) {
        QWidget* inside = popup->focusWidget();
        return inside != nullptr ? *inside : *popup;
    }
    QWidget* focused = window.focusWidget();
    return focused != nullptr ? *focused : window.canvas();
}

void sendKey(MainWindow& window, const QKeySequence& keys) {
    QWidget& widget = keyboardTarget(window);
    const QKeyCombination key = keys[0];
    QKeyEvent override(QEvent::ShortcutOverride, key.key(), key.keyboardModifiers());
    override.ignore();
    QApplication::sendEvent(&widget, &override);
    if (!override.isAccepted() && QApplication::activePopupWidget() == nullptr) {
        for (QAction* action : window.actions()) {
            if (!action->shortcuts().contains(keys) || !action->isEnabled()) continue;
            action->trigger();
            return;
        }
    }
    QKeyEvent press(QEvent::KeyPress, key.key(), key.keyboardModifiers());
    QApplication::sendEvent(&widget, &press);
    QKeyEvent release(QEvent::KeyRelease, key.key(), key.keyboardModifiers());
    QApplication::sendEvent(&widget, &release);
}

enum class FieldType { Number, Text, Pair, Flag };

const char* describe(FieldType type) {
    switch (type) {
    case FieldType::Number:
        return "a number";
    case FieldType::Text:
        return "a text";
    case FieldType::Pair:
        return "[a, b], two numbers";
    case FieldType::Flag:
        return "true or false";
    }
    return "";
}

bool hasType(const QJsonValue& value, FieldType type) {
    switch (type) {
    case FieldType::Number:
        return value.isDouble();
    case FieldType::Text:
        return value.isString() && !value.toString().isEmpty();
    case FieldType::Pair: {
        const QJsonArray pair = value.toArray();
        return pair.size() == 2 && pair[0].isDouble() && pair[1].isDouble();
    }
    case FieldType::Flag:
        return value.isBool();
    }
    return false;
}

struct Field {
    const char* name;
    FieldType type;
    bool required = true;
};

using Play = Result<void> (*)(MainWindow&, const QJsonObject&);

struct StepKind {
    const char* name;
    std::vector<Field> fields;
    Play play;
};

QPointF pairOf(const QJsonObject& step, const char* key) {
    const QJsonArray pair = step[key].toArray();
    return {pair[0].toDouble(), pair[1].toDouble()};
}

/// Where photo pixel `key` of the step's pane is on the canvas.
Result<QPointF> pointOf(MainWindow& window, const QJsonObject& step, const char* key) {
    const int pane = window.model().idAt(step["pane"].toInt() - 1);
    if (pane == 0)
        return wrong(fmt::format("there is no pane {}, only 1 to {}", step["pane"].toInt(),
                                 window.model().state().panes.size()));
    if (!window.model().photo()) return wrong("no photo is open");
    if (window.canvas().pictureOf(pane).empty()) return wrong("the pane is not on screen");
    const QPointF at = pairOf(step, key);
    const glm::dvec2 point =
        window.canvas().transformOf(pane).widgetFromPixel(glm::dvec2{at.x() + 0.5, at.y() + 0.5});
    return QPointF(point.x, point.y);
}

Result<Qt::MouseButton> buttonOf(const QJsonObject& step) {
    const QString name = step["button"].toString("left");
    if (name == "left") return Qt::LeftButton;
    if (name == "right") return Qt::RightButton;
    if (name == "middle") return Qt::MiddleButton;
    return wrong(fmt::format("'button' is left, right or middle, not '{}'", name.toStdString()));
}

Result<Qt::KeyboardModifiers> modifiersOf(const QJsonObject& step) {
    Qt::KeyboardModifiers modifiers;
    for (const QString& name : step["modifiers"].toString().split('+', Qt::SkipEmptyParts)) {
        if (name == "Shift") {
            modifiers |= Qt::ShiftModifier;
        } else if (name == "Ctrl") {
            modifiers |= Qt::ControlModifier;
        } else if (name == "Alt") {
            modifiers |= Qt::AltModifier;
        } else {
            return wrong(fmt::format("'modifiers' joins Shift, Ctrl and Alt with +, but has '{}'",
                                     name.toStdString()));
        }
    }
    return modifiers;
}

Result<void> dragBetween(MainWindow& window, const QJsonObject& step, const char* fromKey,
                         const char* toKey) {
    LOFTSCOPE_TRY(const QPointF from, pointOf(window, step, fromKey));
    LOFTSCOPE_TRY(const QPointF to, pointOf(window, step, toKey));
    LOFTSCOPE_TRY(const Qt::MouseButton button, buttonOf(step));
    LOFTSCOPE_TRY(const Qt::KeyboardModifiers modifiers, modifiersOf(step));
    CanvasWidget& canvas = window.canvas();
    sendMouse(canvas, QEvent::MouseMove, from, Qt::NoButton, Qt::NoButton, modifiers);
    sendMouse(canvas, QEvent::MouseButtonPress, from, button, button, modifiers);
    for (int i = 1; i <= dragSteps && from != to; ++i) {
        sendMouse(canvas, QEvent::MouseMove, from + (to - from) * i / dragSteps, Qt::NoButton,
                  button, modifiers);
        QApplication::processEvents();
    }
    sendMouse(canvas, QEvent::MouseButtonRelease, to, button, Qt::NoButton, modifiers);
    return {};
}

Result<void> playClick(MainWindow& window, const QJsonObject& step) {
    return dragBetween(window, step, "at", "at");
}

Result<void> playDrag(MainWindow& window, const QJsonObject& step) {
    return dragBetween(window, step, "from", "to");
}

Result<void> playHover(MainWindow& window, const QJsonObject& step) {
    LOFTSCOPE_TRY(const QPointF at, pointOf(window, step, "at"));
    sendMouse(window.canvas(), QEvent::MouseMove, at, Qt::NoButton, Qt::NoButton, {});
    return {};
}

Result<void> playWheel(MainWindow& window, const QJsonObject& step) {
    LOFTSCOPE_TRY(const QPointF at, pointOf(window, step, "at"));
    LOFTSCOPE_TRY(const Qt::KeyboardModifiers modifiers, modifiersOf(step));
    sendWheel(window.canvas(), at, static_cast<int>(step["notches"].toDouble() * 120), modifiers);
    return {};
}

Result<void> playKey(MainWindow& window, const QJsonObject& step) {
    const QKeySequence keys(step["key"].toString());
    if (keys.isEmpty() || keys[0].key() == Qt::Key_unknown)
        return wrong(fmt::format("'{}' names no key", step["key"].toString().toStdString()));
    sendKey(window, keys);
    return {};
}

Result<void> playType(MainWindow& window, const QJsonObject& step) {
    for (const QChar letter : step["text"].toString()) {
        QWidget& widget = keyboardTarget(window);
        QKeyEvent press(QEvent::KeyPress, 0, Qt::NoModifier, letter);
        QApplication::sendEvent(&widget, &press);
        QKeyEvent release(QEvent::KeyRelease, 0, Qt::NoModifier, letter);
        QApplication::sendEvent(&widget, &release);
    }
    return {};
}

Result<void> playAction(MainWindow& window, const QJsonObject& step) {
    const QString name = step["name"].toString();
    QAction* action = window.commands().find(name);
    if (action == nullptr)
        return wrong(fmt::format("there is no action '{}': docs/scripting.md says how to list them",
                                 name.toStdString()));
    if (!action->isEnabled())
        return wrong(fmt::format("the action '{}' is not possible now", name.toStdString()));
    action->trigger();
    return {};
}

Result<void> playOpen(MainWindow& window, const QJsonObject& step) {
    window.openFile(step["file"].toString());
    return {};
}

Result<void> playPanel(MainWindow& window, const QJsonObject& step) {
    const QString name = step["name"].toString();
    QDockWidget* panel = window.panel(name);
    if (panel == nullptr) return wrong(fmt::format("there is no panel '{}'", name.toStdString()));
    if (step["visible"].toBool(true)) {
        window.showPanel(name);
    } else {
        panel->hide();
    }
    return {};
}

Result<void> playTheme(MainWindow& window, const QJsonObject& step) {
    const QString name = step["name"].toString();
    if (name != "dark" && name != "light")
        return wrong(fmt::format("'name' is dark or light, not '{}'", name.toStdString()));
    window.setDark(name == "dark");
    return {};
}

Result<void> playResize(MainWindow& window, const QJsonObject& step) {
    const QPoint wanted = pairOf(step, "size").toPoint();
    const QSize size(wanted.x(), wanted.y());
    if (size.isEmpty()) return wrong("'size' is [width, height] in pixels, both above 0");
    window.resize(size);
    runEvents(50);
    return {};
}

Result<void> playWaitIdle(MainWindow& window, const QJsonObject& step) {
    const double seconds = step["seconds"].toDouble(600);
    if (!waitIdle(window, static_cast<int>(seconds * 1000)))
        return wrong(fmt::format("still computing after {} s", seconds));
    return {};
}

Result<void> playWait(MainWindow& /*window*/, const QJsonObject& step) {
    runEvents(static_cast<int>(step["seconds"].toDouble() * 1000));
    return {};
}

Result<void> playScreenshot(MainWindow& window, const QJsonObject& step) {
    const QString of = step["of"].toString("window");
    const QString path = step["file"].toString();
    if (of == "window") return saveScreenshot(window, path);
    QWidget* part = window.panel(of);
    if (of == "panes") part = &window.canvas();
    if (part == nullptr)
        return wrong(fmt::format("'of' is window, panes or a panel, not '{}'", of.toStdString()));
    if (!part->isVisible())
        return wrong(fmt::format("the panel '{}' is not shown", of.toStdString()));
    runEvents(30);
    if (!part->grab().save(path))
        return fail(ErrorCode::WriteFailed,
                    fmt::format("the screenshot '{}' could not be written: check folder and ending",
                                path.toStdString()));
    return {};
}

Result<void> playFrames(MainWindow& window, const QJsonObject& step) {
    const int pane = window.model().idAt(step["pane"].toInt() - 1);
    if (pane == 0 || window.canvas().pictureOf(pane).empty())
        return wrong(fmt::format("pane {} is not on screen", step["pane"].toInt()));
    const int count = step["count"].toInt(90);
    if (count < 3) return wrong("'count' is at least 3 frames");
    const FrameTimes times = measureFrames(window, pane, count);
    if (times.wallMs.empty()) return wrong("the window is covered, so that nothing was painted");
    const QJsonDocument result(describeFrames(window, times));
    QSaveFile file(step["file"].toString());
    const QByteArray text = result.toJson();
    if (!file.open(QIODevice::WriteOnly) || file.write(text) != text.size() || !file.commit())
        return fail(ErrorCode::WriteFailed,
                    fmt::format("the frame times '{}' could not be written: {}",
                                step["file"].toString().toStdString(),
                                file.errorString().toStdString()));
    return {};
}

Result<void> playQuit(MainWindow& window, const QJsonObject& /*step*/) {
    window.close();
    return {};
}

const std::vector<StepKind>& stepKinds() {
    using enum FieldType;
    static const std::vector<StepKind> kinds{
        {"click",
         {{"pane", Number}, {"at", Pair}, {"button", Text, false}, {"modifiers", Text, false}},
         playClick},
        {"drag",
         {{"pane", Number},
          {"from", Pair},
          {"to", Pair},
          {"button", Text, false},
          {"modifiers", Text, false}},
         playDrag},
        {"hover", {{"pane", Number}, {"at", Pair}}, playHover},
        {"wheel",
         {{"pane", Number}, {"at", Pair}, {"notches", Number}, {"modifiers", Text, false}},
         playWheel},
        {"key", {{"key", Text}}, playKey},
        {"type", {{"text", Text}}, playType},
        {"action", {{"name", Text}}, playAction},
        {"open", {{"file", Text}}, playOpen},
        {"panel", {{"name", Text}, {"visible", Flag, false}}, playPanel},
        {"theme", {{"name", Text}}, playTheme},
        {"resize", {{"size", Pair}}, playResize},
        {"wait-idle", {{"seconds", Number, false}}, playWaitIdle},
        {"wait", {{"seconds", Number}}, playWait},
        {"screenshot", {{"file", Text}, {"of", Text, false}}, playScreenshot},
        {"frames", {{"pane", Number}, {"file", Text}, {"count", Number, false}}, playFrames},
        {"quit", {}, playQuit},
    };
    return kinds;
}

Result<const StepKind*> kindOf(const QJsonValue& value) {
    if (!value.isObject()) return wrong("it is not an object such as {\"do\": \"wait-idle\"}");
    const QJsonObject step = value.toObject();
    const std::string name = step["do"].toString().toStdString();
    const auto& kinds = stepKinds();
    const auto kind = std::ranges::find(kinds, name, &StepKind::name);
    if (kind == kinds.end())
        return wrong(fmt::format("'do' is '{}', but must be one of {}", name,
                                 scriptSteps().join(", ").toStdString()));
    for (const Field& field : kind->fields) {
        const QJsonValue given = step[field.name];
        if (given.isUndefined()) {
            if (field.required) return wrong(fmt::format("{} needs '{}'", name, field.name));
        } else if (!hasType(given, field.type)) {
            return wrong(
                fmt::format("'{}' of {} must be {}", field.name, name, describe(field.type)));
        }
    }
    for (const QString& key : step.keys()) {
        const bool known =
            key == "do" || std::ranges::any_of(
                               kind->fields, [&](const Field& field) { return key == field.name; });
        if (known) continue;
        QStringList names;
        for (const Field& field : kind->fields)
            names.append(field.name);
        return wrong(fmt::format("{} has no '{}', only {}", name, key.toStdString(),
                                 names.isEmpty() ? "'do'" : names.join(", ").toStdString()));
    }
    return &*kind;
}

std::unexpected<Error> inStep(qsizetype number, const Error& error) {
    return fail(error.code, fmt::format("Step {} of the script: {}.", number, error.message));
}

} // namespace

QStringList scriptSteps() {
    QStringList names;
    for (const StepKind& kind : stepKinds())
        names.append(kind.name);
    return names;
}

Result<QJsonArray> readScript(const QString& path) {
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return fail(
            ErrorCode::NotFound,
            fmt::format("The script '{}' cannot be read: check the path.", path.toStdString()));
    QJsonParseError error;
    const QByteArray text = file.readAll();
    const QJsonDocument document = QJsonDocument::fromJson(text, &error);
    if (error.error != QJsonParseError::NoError)
        return fail(ErrorCode::Malformed,
                    fmt::format("The script '{}' is not JSON: {} in line {}.", path.toStdString(),
                                error.errorString().toStdString(),
                                text.left(error.offset).count('\n') + 1));
    if (!document.isArray())
        return fail(ErrorCode::Malformed,
                    fmt::format("The script '{}' must be a JSON array of steps: [{{\"do\": ...}}, "
                                "...].",
                                path.toStdString()));
    LOFTSCOPE_CHECK(checkScript(document.array()));
    return document.array();
}

Result<void> checkScript(const QJsonArray& steps) {
    for (qsizetype i = 0; i < steps.size(); ++i)
        if (const auto kind = kindOf(steps[i]); !kind) return inStep(i + 1, kind.error());
    return {};
}

Result<void> playScript(MainWindow& window, const QJsonArray& steps) {
    LOFTSCOPE_CHECK(checkScript(steps));
    for (qsizetype i = 0; i < steps.size(); ++i) {
        const StepKind* kind = *kindOf(steps[i]);
        const Result<void> done = kind->play(window, steps[i].toObject());
        if (!done) return inStep(i + 1, done.error());
        if (!window.isVisible()) return {};
    }
    return {};
}

bool waitIdle(MainWindow& window, int timeoutMs) {
    QElapsedTimer clock;
    clock.start();
    do {
        runEvents(10);
        if (clock.elapsed() > timeoutMs) return false;
    } while (!window.idle());
    // What has arrived last is painted, too.
    window.canvas().repaint();
    runEvents(30);
    return true;
}

Result<void> saveScreenshot(MainWindow& window, const QString& path) {
    runEvents(30);
    QPixmap picture = window.grab();
    QPainter painter(&picture);
    for (const QWidget* other : QApplication::topLevelWidgets()) {
        if (other == &window || !other->isVisible() || other->windowType() == Qt::ToolTip) continue;
        const QPoint at = other->pos() - window.mapToGlobal(QPoint(0, 0));
        painter.drawPixmap(at, const_cast<QWidget*>(other)->grab());
    }
    painter.end();
    if (path.isEmpty() || !picture.save(path))
        return fail(ErrorCode::WriteFailed,
                    fmt::format("the screenshot '{}' could not be written: check folder and ending",
                                path.toStdString()));
    return {};
}

} // namespace loftscope
