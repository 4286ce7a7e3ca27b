// SPDX-License-Identifier: Apache-2.0
// What every sub-command shares: common options, cancellation by Ctrl-C, progress, results on
// stdout, exit codes.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"

#include <CLI/CLI.hpp>
#include <c10/core/Device.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>

namespace loftscope::app {

/// Options that every command has.
struct CommonOptions {
    std::string device = "auto";    ///< auto | cpu | cuda[:n]
    int threads = 0;                ///< 0: as many as there are cores
    std::string precision = "fp32"; ///< fp32 | tf32 | bf16 | fp16
    bool json = false;              ///< the result as JSON on stdout
    bool quiet = false;             ///< no progress
};

/// Handed to a running command.
struct CommandContext {
    CommonOptions options;
    RunContext run;
    /// Filled by the command; printed on stdout as JSON with --json.
    nlohmann::ordered_json result;
    /// The same for people; printed on stdout without --json. Ends with a newline or is empty.
    std::string text;
    /// There is a result, but a part of what was asked for failed: exit code 1.
    bool partlyFailed = false;

    /// A sentence on stderr that does not stop the command.
    void warn(const std::string& sentence) const;
    /// One of these where `device` has the precision only by way of another.
    void warnOfEmulation(const c10::Device& device) const;
};

using CommandBody = std::function<Result<void>(CommandContext&)>;

/// The command line: sub-commands register themselves, `run` parses and runs the chosen one.
class CommandLine {
public:
    CommandLine();
    /// Adds a sub-command with the common options; the caller adds its own options to the returned
    /// parser.
    CLI::App* add(const std::string& name, const std::string& description, CommandBody body);
    /// Exit code: 0 done, 1 failed or interrupted, 2 wrong usage.
    int run(int argc, char** argv);

private:
    CLI::App parser_;
    CommonOptions options_;
    CommandBody chosen_;
};

} // namespace loftscope::app
