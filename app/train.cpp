// SPDX-License-Identifier: Apache-2.0
// loftscope train: one sub-command per kind of model.
#include "app/commands.h"
#include "app/train_options.h"

namespace loftscope::app {

void addTrainCommand(CommandLine& line) {
    struct Kind {
        CLI::App* command = nullptr;
        CommandBody body;
    };
    auto kinds = std::make_shared<std::vector<Kind>>();
    CLI::App* train = line.add("train", "Trains models of one's own",
                               [kinds](CommandContext& context) -> Result<void> {
                                   for (const Kind& kind : *kinds) {
                                       if (kind.command->parsed()) return kind.body(context);
                                   }
                                   return {};
                               });
    train->require_subcommand(1);
    const auto add = [&](CommandBody (*addKind)(CLI::App&)) {
        CommandBody body = addKind(*train);
        CLI::App* command = train->get_subcommands({}).back();
        command->fallthrough();
        kinds->push_back({command, std::move(body)});
    };
    add(addTrainUpsampler);
    add(addTrainBackbone);
#ifndef LOFTSCOPE_COMPUTE_ONLY
    add(addTrainPack);
#endif
}

} // namespace loftscope::app
