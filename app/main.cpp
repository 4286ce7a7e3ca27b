// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"

int main(int argc, char** argv) {
    using namespace loftscope::app;
    CommandLine line;
    addInspectCommand(line);
    addFeaturesCommand(line);
    addUpsampleCommand(line);
    addAttendCommand(line);
    addSimilarityCommand(line);
    addPcaCommand(line);
    addMetricsCommand(line);
    addRenderCommand(line);
    addOpenCommand(line);
    addBenchCommand(line);
    addTrainCommand(line);
    addEvalCommand(line);
    return line.run(argc, argv);
}
