// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"

int main(int argc, char** argv) {
    loftscope::app::CommandLine line;
    loftscope::app::addInspectCommand(line);
    return line.run(argc, argv);
}
