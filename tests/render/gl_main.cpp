// SPDX-License-Identifier: Apache-2.0
// Tests that draw: run under a display server (xvfb-run).
#include "ui/canvas/canvas_widget.h"

#include <QApplication>
#include <gtest/gtest.h>

#include <iostream>

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    loftscope::configureOpenGl();
    const QApplication app(argc, argv);
    if (const auto reason = loftscope::canvasUnavailable()) {
        std::cerr << reason->toStdString() << "\n";
        return 1;
    }
    return RUN_ALL_TESTS();
}
