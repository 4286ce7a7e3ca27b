// SPDX-License-Identifier: Apache-2.0
// loftscope-train: the training commands for machines with LibTorch alone. `loftscope-train
// upsampler ...` is what `loftscope train upsampler ...` is.
#include "app/commands.h"

#include <string>
#include <vector>

int main(int argc, char** argv) {
    using namespace loftscope::app;
    CommandLine line;
    addTrainCommand(line);
    std::string train = "train";
    std::vector<char*> words{argv[0], train.data()};
    words.insert(words.end(), argv + 1, argv + argc);
    return line.run(static_cast<int>(words.size()), words.data());
}
