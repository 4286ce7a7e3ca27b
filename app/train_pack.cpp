// SPDX-License-Identifier: Apache-2.0
// loftscope train pack: photos decoded into one file, for machines that have LibTorch alone.
#include "app/train_options.h"
#include "core/train/photo_pack.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

namespace loftscope::app {

namespace {

struct PackOptions {
    DataOptions data;
    std::string out;
    std::int64_t shortSide = 0;
};

Result<void> pack(const PackOptions& options, CommandContext& context) {
    if (std::filesystem::path(options.out).extension() != ".safetensors") {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' must end with .safetensors.", options.out));
    }
    LOFTSCOPE_TRY(const auto photos, openData(options.data));
    LOFTSCOPE_TRY(const PackReport report,
                  writeDecodedPack(*photos, options.out, options.shortSide, context.run));
    if (report.broken > 0)
        context.warn(fmt::format("{} photos could not be read and were left out; the first: {}",
                                 report.broken, report.firstBroken));
    context.result = {{"pack", options.out},
                      {"photos", report.photos},
                      {"bytes", report.bytes},
                      {"broken_photos", report.broken}};
    context.text = fmt::format("{}: {} photos, {:.1f} MB.\n", options.out, report.photos,
                               static_cast<double>(report.bytes) / 1e6);
    return {};
}

} // namespace

CommandBody addTrainPack(CLI::App& train) {
    auto options = std::make_shared<PackOptions>();
    CLI::App* command = train.add_subcommand(
        "pack", "Decodes photos and their masks into one file that needs no decoder");
    declareData(*command, options->data, true);
    command->add_option("--out", options->out, "The pack, NAME.safetensors")->required();
    command
        ->add_option("--short-side", options->shortSide,
                     "Shrink photos whose short side is longer than this; 0: none")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    return [options](CommandContext& context) { return pack(*options, context); };
}

} // namespace loftscope::app
