// SPDX-License-Identifier: Apache-2.0
// The sub-commands, one file each.
#pragma once

#include "app/command.h"

namespace loftscope::app {

void addInspectCommand(CommandLine& line);
void addModelsCommand(CommandLine& line);
void addFeaturesCommand(CommandLine& line);
void addUpsampleCommand(CommandLine& line);
void addAttendCommand(CommandLine& line);
void addSimilarityCommand(CommandLine& line);
void addPcaCommand(CommandLine& line);
void addMetricsCommand(CommandLine& line);
void addRenderCommand(CommandLine& line);
void addOpenCommand(CommandLine& line);
void addBenchCommand(CommandLine& line);
void addTrainCommand(CommandLine& line);
void addEvalCommand(CommandLine& line);

} // namespace loftscope::app
