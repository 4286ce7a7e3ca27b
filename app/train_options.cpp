// SPDX-License-Identifier: Apache-2.0
#include "app/train_options.h"

#include "core/base/guard.h"
#include "core/base/number.h"
#include "core/base/path_options.h"
#include "core/train/batch_share.h"
#include "core/train/photo_files.h"
#ifndef LOFTSCOPE_COMPUTE_ONLY
#include "core/image/encode.h"
#include "core/image/normalise.h"
#endif

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <map>
#include <string_view>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace loftscope::app {

namespace {

namespace fs = std::filesystem;

/// "90", "90s", "45m", "3h" in seconds; nothing else.
Result<double> secondsFrom(const std::string& text) {
    if (text.empty()) return 0;
    double unit = 1;
    std::string number = text;
    switch (number.back()) {
    case 'h':
        unit = 3600;
        break;
    case 'm':
        unit = 60;
        break;
    case 's':
        break;
    default:
        number += 's';
    }
    number.pop_back();
    try {
        std::size_t read = 0;
        const double value = std::stod(number, &read);
        if (read == number.size() && value > 0) return value * unit;
    } catch (const std::exception&) {
        // Falls through to the one complaint there is.
    }
    return fail(ErrorCode::InvalidArgument,
                fmt::format("'{}' is no duration: use for example 90s, 45m or 3h.", text));
}

#ifndef LOFTSCOPE_COMPUTE_ONLY
std::vector<at::Tensor> previewPictures(const PhotoSource& photos, const Extent& extent) {
    Augmentation plain;
    plain.smallestShare = 1;
    plain.largestStretch = 1;
    plain.flips = false;
    plain.colorJitter = 0;
    plain.masks = false;
    std::vector<at::Tensor> pictures;
    for (std::int64_t i = 0; i < 4; ++i) {
        const auto photo = photos.load(i * photos.size() / 4);
        if (photo)
            pictures.push_back(cutSample(*photo, extent, plain,
                                         CounterRandom(0, RandomPurpose::Augmentation,
                                                       static_cast<std::uint64_t>(i)))
                                   .picture);
    }
    return pictures;
}
#endif

/// PHOTOS:LABELS[:KEY=VALUE,...] as --class-data says.
Result<std::unique_ptr<PhotoSource>> openClassFolder(const std::string& text,
                                                     const std::vector<std::string>& skip) {
    const auto wrong = [&] {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is no set of classes: use PHOTOS:LABELS, two folders, and "
                                "after another colon zero=unlabelled or times=N.",
                                text));
    };
    const PathOptions split = splitPathOptions(text);
    const std::size_t between = split.path.find(':');
    if (between == std::string::npos) return wrong();
    PhotoFolderOptions options;
    options.labels = fs::path(split.path.substr(between + 1));
    options.meaning = LabelMeaning::Classes;
    options.skip = skip;
    for (const std::string_view option : split.options) {
        if (option == "zero=unlabelled") {
            options.meaning = LabelMeaning::ClassesButZero;
        } else if (option.starts_with("times=")) {
            options.times = parsedNumber<std::int64_t>(option.substr(6)).value_or(0);
            if (options.times < 1 || options.times > 1000) return wrong();
        } else {
            return wrong();
        }
    }
    return openPhotoFolder(fs::path(split.path.substr(0, between)), options);
}

} // namespace

void declareData(CLI::App& command, DataOptions& options, bool withLabels) {
    command.add_option("--data", options.data, "Packs (.safetensors) and folders of photos")
        ->required();
    command.add_option("--skip", options.skip, "Leave out photos whose name begins with this")
        ->group("Data");
    if (!withLabels) return;
    command
        .add_option("--labels", options.labels,
                    "Folder of label maps (indexed PNG): NAME.png, NAME_*.png")
        ->group("Data");
    command
        .add_option("--label-meaning", options.labelMeaning,
                    "What their numbers are: segments, segments-but-zero, classes or "
                    "classes-but-zero")
        ->capture_default_str()
        ->check(CLI::IsMember({"segments", "segments-but-zero", "classes", "classes-but-zero"}))
        ->group("Data");
    command
        .add_option("--class-data", options.classData,
                    "PHOTOS:LABELS[:KEY=VALUE,...], two folders, further photos whose label maps "
                    "name classes. zero=unlabelled: 0 is no class; times=N: every photo counts as "
                    "N. Several times for several sets")
        ->group("Data");
}

Result<std::unique_ptr<PhotoSource>> openData(const DataOptions& options) {
    const std::map<std::string, LabelMeaning> meanings{
        {"segments", LabelMeaning::Segments},
        {"segments-but-zero", LabelMeaning::SegmentsButZero},
        {"classes", LabelMeaning::Classes},
        {"classes-but-zero", LabelMeaning::ClassesButZero}};
    std::vector<std::unique_ptr<PhotoSource>> sources;
    for (const std::string& path : options.data) {
        if (fs::is_directory(path)) {
            LOFTSCOPE_TRY(auto folder,
                          openPhotoFolder(path, {options.labels, meanings.at(options.labelMeaning),
                                                 options.skip}));
            sources.push_back(std::move(folder));
        } else {
            LOFTSCOPE_TRY(auto pack, openPhotoPack(path, options.skip));
            sources.push_back(std::move(pack));
        }
    }
    for (const std::string& text : options.classData) {
        LOFTSCOPE_TRY(auto folder, openClassFolder(text, options.skip));
        sources.push_back(std::move(folder));
    }
    auto joined = joinSources(std::move(sources));
    if (joined->size() == 0)
        return fail(ErrorCode::InvalidArgument,
                    "There are no photos to train on: give packs or folders with --data.");
    return joined;
}

void declareSchedule(CLI::App& command, ScheduleOptions& options) {
    const auto positive = CLI::PositiveNumber;
    command
        .add_option("--out", options.out, "Folder of the run: checkpoint, log, weights, previews")
        ->required();
    command.add_option("--decode-threads", options.decodingThreads, "Threads that prepare photos")
        ->capture_default_str()
        ->check(CLI::Range(1, 256))
        ->group("Data");
    command
        .add_option("--steps", options.steps,
                    "Optimiser steps of the whole run; 0 exports the model as it begins")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Schedule");
    command
        .add_option("--time-budget", options.budget,
                    "Stop after this long, to be resumed: 90s, 45m, 3h")
        ->group("Schedule");
    command.add_option("--seed", options.seed, "Of every random choice")
        ->capture_default_str()
        ->group("Schedule");
    command.add_option("--batch", options.batch, "Photos that pass through the network together")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    command
        .add_option("--accumulate", options.accumulation,
                    "Batches per step; several processes share them out")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    command.add_option("--warm-up", options.warmUp, "Steps until the full learning rate")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Schedule");
    command.add_option("--checkpoint-every", options.checkpointEvery, "Steps between checkpoints")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
#ifndef LOFTSCOPE_COMPUTE_ONLY
    command
        .add_option("--preview-every", options.previewEvery,
                    "Steps between preview pictures; 0: none")
        ->capture_default_str()
        ->group("Schedule");
#endif
}

Result<TrainingPlace> trainingPlace(const CommandContext& context,
                                    const ScheduleOptions& schedule) {
    const CommonOptions& options = context.options;
    if (options.precision != "fp32" && options.precision != "bf16") {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("Training in {} is not supported: use --precision bf16 or fp32.",
                                options.precision));
    }
    TrainingPlace place;
    place.arithmetic = options.precision == "bf16" ? at::kBFloat16 : at::kFloat;
    LOFTSCOPE_CHECK(secondsFrom(schedule.budget));
    LOFTSCOPE_TRY(const Launch launch, launchFromEnvironment());
    LOFTSCOPE_CHECK(
        (BatchShare{schedule.batch, schedule.accumulation, launch.rank, launch.size}.check()));
    LOFTSCOPE_TRY(place.device, deviceNamed(options.device));
    if (launch.size > 1 && place.device.is_cuda() && !options.device.starts_with("cuda:")) {
        LOFTSCOPE_TRY(place.device, deviceNamed(fmt::format("cuda:{}", launch.localRank)));
    }
    if (launch.rank == 0) context.warnOfEmulation(place.device);
    LOFTSCOPE_TRY(place.group, ProcessGroup::join(launch, place.device));
    return place;
}

Result<void> runAndReport(Trainer& trainer, const ScheduleOptions& schedule,
                          const std::map<std::string, std::string>& exportMetadata,
                          const PreviewRows& preview, CommandContext& context) {
    LOFTSCOPE_TRY(const double budget, secondsFrom(schedule.budget));
    TrainingRunOptions run;
    run.folder = schedule.out;
    run.steps = schedule.steps;
    run.budgetSeconds = budget;
    run.checkpointEvery = schedule.checkpointEvery;
    run.exportMetadata = exportMetadata;
    run.exportMetadata["trained_with"] = "loftscope " LOFTSCOPE_VERSION;
#ifdef LOFTSCOPE_COMPUTE_ONLY
    static_cast<void>(preview); // this build has no writer of pictures
#else
    std::vector<at::Tensor> pictures;
    if (schedule.previewEvery > 0 && trainer.group().first())
        pictures = previewPictures(*preview.photos, preview.extent);
    if (!pictures.empty()) run.previewEvery = schedule.previewEvery;
    run.preview = [&](std::int64_t step) -> Result<void> {
        return guarded("drawing the preview", [&]() -> Result<void> {
            std::vector<at::Tensor> rows;
            for (const at::Tensor& picture : pictures)
                rows.push_back(preview.draw(picture));
            return writeImage(run.folder / fmt::format("preview_{:06}.png", step),
                              imageFromTensor(at::cat(rows, 1)));
        });
    };
#endif
    RunContext runContext = context.run;
    if (!trainer.group().first()) runContext.onProgress = {};
    LOFTSCOPE_TRY(const TrainingRunReport report, runTraining(trainer, run, runContext));

    const SampleStream::Broken broken = trainer.brokenPhotos();
    if (broken.count > 0)
        context.warn(fmt::format("{} photos could not be read and were skipped; the first: {}",
                                 broken.count, broken.first));
    std::vector<std::string> weights;
    for (const ExportedModel& model : trainer.exports())
        weights.push_back((run.folder / model.file).string());
    context.result = {{"folder", schedule.out},
                      {"first_step", report.firstStep},
                      {"last_step", report.lastStep},
                      {"finished", report.finished},
                      {"seconds", report.seconds},
                      {"total_seconds", report.totalSeconds},
                      {"losses", report.losses},
                      {"broken_photos", broken.count},
                      {"weights", weights}};
    if (!trainer.group().first()) return {};
    context.text = fmt::format("{} Steps {} to {} of {} took {:.0f} s. Loss: {:.4f}. Weights: {}\n",
                               report.finished ? "Done." : "Stopped; the same command resumes.",
                               report.firstStep, report.lastStep, schedule.steps, report.seconds,
                               report.losses.contains("total") ? report.losses.at("total") : 0.0,
                               weights.front());
    return {};
}

void keepFreedMemory() {
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    mallopt(M_TOP_PAD, 1 << 28);
#endif
}

} // namespace loftscope::app
