// SPDX-License-Identifier: Apache-2.0
#include "app/command.h"

#include "core/base/guard.h"
#include "core/kernel/processor.h"
#include "core/upsample/precision.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unistd.h>

namespace loftscope::app {

namespace {

/// Turns Ctrl-C and a polite kill into a stop request: the command ends by itself and removes what
/// it has half written. A second one ends the program at once. Signals are blocked in all threads
/// and taken by one that waits for them, so that nothing has to run inside a signal handler.
class InterruptWatch {
public:
    explicit InterruptWatch(std::stop_source source) {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGUSR2); // our own: the command is over
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        watcher_ = std::thread([this, source]() mutable {
            bool asked = false;
            for (;;) {
                int signal = 0;
                if (sigwait(&signals_, &signal) != 0 || signal == SIGUSR2) return;
                if (asked) _exit(1);
                asked = true;
                source.request_stop();
            }
        });
    }
    ~InterruptWatch() {
        pthread_kill(watcher_.native_handle(), SIGUSR2);
        watcher_.join();
    }
    InterruptWatch(const InterruptWatch&) = delete;
    InterruptWatch& operator=(const InterruptWatch&) = delete;

private:
    sigset_t signals_{};
    std::thread watcher_;
};

/// One line on a terminal that is overwritten: "upsampling with LoftUp  37 %".
class ProgressLine {
public:
    explicit ProgressLine(bool enabled)
        : enabled_(enabled && isatty(STDERR_FILENO) != 0) {}
    void show(std::string_view stage, double fraction) {
        if (!enabled_) return;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(50) && fraction < 1.0) return;
        last_ = now;
        std::fprintf(stderr, "\r\033[K%.*s  %3.0f %%", static_cast<int>(stage.size()), stage.data(),
                     fraction * 100.0);
        std::fflush(stderr);
        visible_ = true;
    }
    void clear() {
        if (visible_) std::fprintf(stderr, "\r\033[K");
        visible_ = false;
    }

private:
    bool enabled_;
    bool visible_ = false;
    std::chrono::steady_clock::time_point last_;
};

} // namespace

void CommandContext::warn(const std::string& sentence) const {
    std::fprintf(stderr, "%sloftscope: note: %s\n", isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "",
                 sentence.c_str());
}

void CommandContext::warnOfEmulation(const c10::Device& device) const {
    if (options.precision == "bf16" && device.is_cpu() && emulatesBf16()) {
        warn("This processor has no bf16 instructions (AVX512-BF16): bf16 is slower than fp32 "
             "here, and less exact.");
    }
}

CommandLine::CommandLine()
    : parser_("LoftScope: a microscope for the features of vision foundation models.",
              "loftscope") {
    parser_.require_subcommand(1);
    parser_.set_version_flag("--version", "loftscope " LOFTSCOPE_VERSION
                                          " (LibTorch " LOFTSCOPE_LIBTORCH_VERSION ")");
    parser_.failure_message(CLI::FailureMessage::simple);
    parser_.footer("Exit codes: 0 done, 1 failed, 2 wrong usage. `loftscope COMMAND --help` "
                   "explains a command.");
}

CLI::App* CommandLine::add(const std::string& name, const std::string& description,
                           CommandBody body) {
    CLI::App* command = parser_.add_subcommand(name, description);
    command->add_option("--device", options_.device, "Where to compute: auto, cpu, cuda or cuda:N")
        ->capture_default_str()
        ->group("Common")
        ->check([](const std::string& value) {
            const bool known = value == "auto" || value == "cpu" || value == "cuda" ||
                               (value.starts_with("cuda:") && value.size() > 5 &&
                                value.find_first_not_of("0123456789", 5) == std::string::npos);
            return known ? std::string()
                         : "unknown device '" + value + "': use auto, cpu, cuda or cuda:N";
        });
    command->add_option("--threads", options_.threads, "Threads to compute with; 0 uses every core")
        ->capture_default_str()
        ->group("Common")
        ->check(CLI::Range(0, 1024));
    command
        ->add_option(
            "--precision", options_.precision,
            "Arithmetic of upsamplers and of training: fp32 (exact), bf16, or on a GPU tf32, fp16")
        ->capture_default_str()
        ->group("Common")
        ->check(CLI::IsMember(precisionNames()));
    command->add_flag("--json", options_.json, "Print the result as JSON")->group("Common");
    command->add_flag("--quiet,-q", options_.quiet, "Show no progress")->group("Common");
    command->callback([this, body = std::move(body)] { chosen_ = body; });
    return command;
}

int CommandLine::run(int argc, char** argv) {
    try {
        parser_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return parser_.exit(error) == 0 ? 0 : 2;
    }

    // A file that outgrows a size limit is an error with a sentence, not the end of the program.
    std::signal(SIGXFSZ, SIG_IGN);
    std::stop_source stop;
    const InterruptWatch watch(stop);
    if (options_.threads > 0) at::set_num_threads(options_.threads);

    ProgressLine line(!options_.quiet);
    CommandContext context;
    context.options = options_;
    context.run.stop = stop.get_token();
    context.run.onProgress = [&line](std::string_view stage, double fraction) {
        line.show(stage, fraction);
    };

    const Result<void> outcome = guarded("running the command", [&] { return chosen_(context); });
    line.clear();
    if (!outcome) {
        if (options_.json) {
            std::fprintf(
                stdout, "%s\n",
                nlohmann::ordered_json{{"error", outcome.error().message}}.dump(2).c_str());
        }
        std::fprintf(stderr, "loftscope: %s\n", outcome.error().message.c_str());
        return outcome.error().code == ErrorCode::InvalidArgument ? 2 : 1;
    }
    const std::string output =
        options_.json
            ? context.result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"
            : context.text;
    if (std::fwrite(output.data(), 1, output.size(), stdout) != output.size() ||
        std::fflush(stdout) != 0) {
        std::fprintf(stderr, "loftscope: the result could not be written to standard output.\n");
        return 1;
    }
    return context.partlyFailed ? 1 : 0;
}

} // namespace loftscope::app
