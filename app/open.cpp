// SPDX-License-Identifier: Apache-2.0
// loftscope open: the window.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/session/session.h"
#include "core/store/model_places.h"
#include "ui/canvas/canvas_widget.h"
#include "ui/window/main_window.h"
#include "ui/window/window_script.h"

#include <QAction>
#include <QApplication>
#include <QJsonArray>
#include <QLocale>
#include <QTimer>
#include <fmt/format.h>

#include <clocale>
#include <cstdio>
#include <unistd.h>

namespace loftscope::app {

namespace {

namespace fs = std::filesystem;

struct OpenCommandOptions {
    std::string photo;
    std::string backbone;
    std::string upsampler;
    std::int64_t inputSize = 224;
    std::string screenshot;
    std::string script;
    std::string settings;
    bool listActions = false;
    bool sequence = false;
};

/// What shows the same without a window.
std::string renderCommand(const OpenCommandOptions& options, const EngineOptions& engine) {
    std::string command =
        fmt::format("loftscope render {} -b {} -u bilinear",
                    options.photo.empty() ? std::string("PHOTO") : quotedForShell(options.photo),
                    quotedForShell(engine.backbone.string()));
    for (const auto& [method, weights] : engine.weights)
        command += fmt::format(" -u {}", quotedForShell(method + "=" + weights.string()));
    if (options.inputSize != OpenCommandOptions().inputSize)
        command += fmt::format(" --size {}", options.inputSize);
    return command + " -o figure.png";
}

std::string withoutDisplay; ///< the sentence for where there is none

/// Qt aborts where no display can be opened; this ends the program in its place, with a sentence.
void endWithoutDisplay(QtMsgType type, const QMessageLogContext& /*context*/,
                       const QString& /*message*/) {
    if (type != QtFatalMsg) return;
    std::fputs(("loftscope: " + withoutDisplay + "\n").c_str(), stderr);
    std::fflush(stderr);
    _exit(1);
}

Result<WindowOptions> windowOptions(const OpenCommandOptions& options,
                                    const CommandContext& context) {
    WindowOptions window;
    EngineOptions& engine = window.workspace.engine;
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context));
    engine.device = device.str();
    engine.precision = context.options.precision;
    window.workspace.inputSize = options.inputSize;
    window.devices.clear();
    for (const std::string& name : Engine::devices())
        window.devices.append(QString::fromStdString(name));
    window.settingsPath = QString::fromStdString(options.settings);
    engine.backbone = options.backbone;
    if (options.backbone.empty()) engine.backbone = installedModel("loftscope_vit16.safetensors");
    if (engine.backbone.empty())
        return fail(ErrorCode::NotFound,
                    "The default backbone is not beside the program: give one with --backbone.");
    if (!options.upsampler.empty()) {
        if (!options.upsampler.starts_with("loftup="))
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' is not loftup=FILE.", options.upsampler));
        engine.weights["loftup"] = options.upsampler.substr(7);
    } else if (options.backbone.empty()) {
        // The default LoftUp fits the default backbone only.
        if (const auto path = installedModel("loftscope_vit16_loftup.safetensors"); !path.empty())
            engine.weights["loftup"] = path;
    }
    return window;
}

Result<void> runOpen(const OpenCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const WindowOptions window, windowOptions(options, context));
    QJsonArray steps;
    if (!options.script.empty()) {
        LOFTSCOPE_TRY(steps, readScript(QString::fromStdString(options.script)));
    }
    const std::string instead = renderCommand(options, window.workspace.engine);
    withoutDisplay = fmt::format(
        "There is no display to open a window on. This writes the comparison as a picture:\n  {}",
        instead);
    configureOpenGl();
    static int argc = 1;
    static char name[] = "loftscope";
    static char* argv[] = {name, nullptr};
    const QtMessageHandler handlerBefore = qInstallMessageHandler(endWithoutDisplay);
    QApplication application(argc, argv);
    QApplication::setApplicationVersion(LOFTSCOPE_VERSION);
    qInstallMessageHandler(handlerBefore);
    // Qt sets the user's locale, and with it decimal commas for the whole process.
    std::setlocale(LC_NUMERIC, "C");
    QLocale::setDefault(QLocale::c());
    if (const auto reason = canvasUnavailable()) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("{}\nThis writes the comparison as a picture:\n  {}",
                                reason->toStdString(), instead));
    }
    MainWindow shown(window);
    if (options.listActions) {
        for (const QAction* action : shown.commands().all())
            context.text += fmt::format("{:<28}{:<20}{}\n", action->objectName().toStdString(),
                                        action->shortcut().toString().toStdString(),
                                        action->statusTip().toStdString());
        return {};
    }
    shown.show();
    const QString photo = QString::fromStdString(options.photo);
    if (options.sequence) {
        shown.openSequence(photo);
    } else if (!photo.isEmpty()) {
        shown.openFile(photo);
    }

    Result<void> outcome;
    const bool scripted = !options.script.empty() || !options.screenshot.empty();
    QTimer interrupted;
    QObject::connect(&interrupted, &QTimer::timeout, &shown, [&] {
        if (context.run.stop.stop_requested()) shown.close();
    });
    interrupted.start(100);
    if (scripted) {
        QTimer::singleShot(0, &shown, [&] {
            waitIdle(shown);
            outcome = playScript(shown, steps);
            if (outcome && !options.screenshot.empty() && shown.isVisible()) {
                outcome = saveScreenshot(shown, QString::fromStdString(options.screenshot));
                shown.close();
            }
            if (!outcome) shown.close();
        });
    }
    QApplication::exec();
    return outcome;
}

} // namespace

void addOpenCommand(CommandLine& line) {
    auto options = std::make_shared<OpenCommandOptions>();
    CLI::App* command =
        line.add("open", "The window: a photo and its features, linked, to click in",
                 [options](CommandContext& context) { return runOpen(*options, context); });
    command->add_option(
        "photo", options->photo,
        "The photo, a video or a folder of photos; without one, drop it on the window");
    command->add_option("--backbone,-b", options->backbone,
                        "Backbone checkpoint; the one that comes with the program if left out");
    command->add_option("--upsampler,-u", options->upsampler,
                        "loftup=FILE; the one that comes with the program if left out");
    command
        ->add_option("--size,--input-size", options->inputSize,
                     "Short side of the backbone's input in pixels, rounded to its patch")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command->add_option("--screenshot", options->screenshot,
                        "Write a picture of the window when all is computed, and quit");
    command->add_option("--script", options->script,
                        "JSON array of steps to play on the window: see docs/scripting.md");
    command->add_flag("--sequence", options->sequence,
                      "The photo is a folder: its pictures are the frames of a clip");
    command->add_flag("--list-actions", options->listActions,
                      "Print the names of all actions with their keys, and quit");
    command->add_option("--settings", options->settings,
                        "File of the remembered layout instead of your own");
}

} // namespace loftscope::app
