// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/gui_application.h"

#include <QGuiApplication>

#include <clocale>
#include <cstdio>

namespace loftscope {

namespace {

/// Qt's warnings about the session (no runtime folder, another locale) say nothing to who asked for
/// a figure.
void reportFatalOnly(QtMsgType type, const QMessageLogContext& /*context*/,
                     const QString& message) {
    if (type == QtFatalMsg || type == QtCriticalMsg)
        std::fprintf(stderr, "%s\n", message.toLocal8Bit().constData());
}

} // namespace

Result<void> ensureGuiApplication() {
    if (qobject_cast<QGuiApplication*>(QCoreApplication::instance()) != nullptr) return {};
    if (QCoreApplication::instance() != nullptr)
        return fail(ErrorCode::Internal,
                    "Figures need a QGuiApplication, but the program runs a QCoreApplication: this "
                    "is a fault of the program, so report it.");
    qInstallMessageHandler(reportFatalOnly);
    // By argument, not by QT_QPA_PLATFORM: whatever that says, a display that cannot be opened
    // would end the program, and nothing is shown here anyway.
    static int argc = 3;
    static char name[] = "loftscope";
    static char option[] = "-platform";
    static char platform[] = "offscreen";
    static char* argv[] = {name, option, platform, nullptr};
    // Lives as long as the process: at its end, the order of destruction would matter.
    static const auto* const application = new QGuiApplication(argc, argv);
    static_cast<void>(application);
    // Qt sets the user's locale, and with it decimal commas for the whole process.
    std::setlocale(LC_NUMERIC, "C");
    return {};
}

} // namespace loftscope
