// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"

#include <cstdlib>

int main(int argc, char** argv) {
    using namespace loftscope::app;
    // FFmpeg's own lines are for its developers; our errors say what the user needs.
    setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
    CommandLine line;
    addInspectCommand(line);
    addModelsCommand(line);
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
