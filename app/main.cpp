// SPDX-License-Identifier: Apache-2.0
#include "app/commands.h"

#include <cstdlib>
#include <malloc.h>

int main(int argc, char** argv) {
    using namespace loftscope::app;
#ifdef __GLIBC__
    // Else every thread gets an arena, 64 MB of addresses each, and what it frees is its own: a map
    // of eight megapixels did not end in 1.2 GB of addresses though it needs half of that.
    mallopt(M_ARENA_MAX, 2);
#endif
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
