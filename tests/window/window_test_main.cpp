// SPDX-License-Identifier: Apache-2.0
// Runs the tests of the window, where there is a display with OpenGL.
#include "tests/window/window_fixture.h"

#include <iostream>

namespace loftscope {

QStringList& qtWarnings() {
    static QStringList warnings;
    return warnings;
}

namespace {

QtMessageHandler handlerBefore = nullptr;

void keepWarnings(QtMsgType type, const QMessageLogContext& context, const QString& message) {
    if (type != QtDebugMsg && type != QtInfoMsg) qtWarnings().append(message);
    handlerBefore(type, context, message);
}

} // namespace
} // namespace loftscope

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    loftscope::configureOpenGl();
    const QApplication app(argc, argv);
    loftscope::handlerBefore = qInstallMessageHandler(loftscope::keepWarnings);
    if (const auto reason = loftscope::canvasUnavailable()) {
        std::cerr << reason->toStdString() << "\n";
        return 1;
    }
    return RUN_ALL_TESTS();
}
