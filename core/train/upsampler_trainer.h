// SPDX-License-Identifier: Apache-2.0
// LoftUp's two training stages (paper, section 3) for any backbone, and one before them.
//
// Stage 0 (this project's): the tokens of a photo stand in random order, and the target is their
// bilinear interpolation. Colours tell nothing then; all there is to learn is that a pixel takes
// the tokens around it, which real tokens, alike as neighbours are, teach slowly.
// Stage 1: high-resolution features must agree with the backbone's own features of slightly changed
// views once they are down-sampled (multi-view reconstruction), and with bicubic features whose
// masks were pulled together. Stage 2: an exponential average of the student is the teacher. It
// sees high-resolution crops of the photo, its features are refined by masks, and the student's
// affinities must agree with the teacher's.
#pragma once

#include "core/backbone/backbone.h"
#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/train/attention_downsampler.h"
#include "core/train/class_heads.h"
#include "core/train/moved_view.h"
#include "core/train/optimizer.h"
#include "core/train/sample_stream.h"
#include "core/train/trainable_loftup.h"
#include "core/train/trainer.h"
#include "core/train/training_step.h"
#include "core/train/view_jitter.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct UpsamplerRecipe {
    int stage = 1;
    std::uint64_t seed = 1;
    std::int64_t batch = 1;        ///< photos that pass through the network together
    std::int64_t accumulation = 8; ///< such batches per optimiser step
    std::vector<std::int64_t> sizes = {
        224}; ///< sides of the input, in pixels: one at random per batch
    LoftUpPass pass = {.training = true};
    /// Side of the window of each photo that high-resolution features are computed for, a multiple
    /// of the patch; 0: all of it. Keys and values are always the whole photo's tokens, so that
    /// small windows of large inputs train the attention over as many tokens as it will meet, at
    /// the price of a small input. Stage 2: the window lies in what the teacher's one crop shows,
    /// and the teacher too computes that place alone.
    std::int64_t window = 0;

    /// Stage 1: the mask-refined target is made of what the backbone sees in the photo shown so
    /// many times as wide and as high: as many times finer tokens, from more detail where the photo
    /// has it. 1: of the tokens that LoftUp gets, as published.
    std::int64_t targetZoom = 1;
    /// Stage 1: the same with tokens so many times as fine of the photo in the size that LoftUp
    /// gets it, from views moved by fractions of a patch (shifted_tokens.h). Their scale is that of
    /// the tokens, so that what sets them apart is place alone.
    std::int64_t targetShifts = 1;
    /// LoftUp's map and the photo that guides it have the input's sides divided by one of these, at
    /// random per batch; all divide the patch. 1: as published. With 2 a window of as many
    /// pixels shows four times as much of the photo, and LoftUp learns more than one ratio of
    /// pixels to tokens.
    std::vector<std::int64_t> mapShrinks = {1};
    /// BatchNorm keeps the running statistics that it began with, in training as at inference;
    /// small windows of few photos have statistics of their own.
    bool frozenNorms = false;

    OptimizerOptions optimizer;
    double learningRate = 1e-4;
    LearningRateSchedule schedule;
    double firstClip = 1e-4; ///< largest gradient norm in the first `firstClipSteps` steps
    std::int64_t firstClipSteps = 10;
    double clip = 0; ///< the same afterwards; 0: none

    std::int64_t projection = 64; ///< channels that features are compared in
    std::int64_t jitters = 4;     ///< views per batch
    ViewJitterRange jitter;
    double reconstructionWeight = 1; ///< of each view
    double tvWeight = 0.001;
    double maskWeight = 1;  ///< stage 1: of the mask-refined bicubic target
    double maskAlpha = 0.8; ///< stage 1

    std::int64_t hrSize = 896; ///< stage 2: side of the photo that the teacher's crops are cut from
    std::int64_t crops = 2;
    double hrWeight = 20;
    double hrMaskAlpha = 0.8;

    /// Stages 1 and 2, not published: of matchingLoss. Pixels of a moved view of each photo look
    /// for their masks around the same place of the photo. 0: left out.
    double matchWeight = 0;
    std::int64_t matchRadius = 12;  ///< in pixels of LoftUp's map
    std::int64_t matchSide = 32;    ///< of the square of pixels that look, the same
    double matchTemperature = 0.02; ///< at 0.1 nothing is gained (docs/experiments.md)
    MovedViewRange movedView;
    double movingMasks = 0; ///< share of the views in which a mask moves on its own

    /// Stages 1 and 2, not published: of classLoss, for photos whose maps name classes. A linear
    /// head per set of classes reads them off every pixel's feature; heads are thrown away. 0: left
    /// out.
    double classWeight = 0;

    double emaDecay = 0.99;
    std::int64_t emaEvery = 10; ///< optimiser steps

    Augmentation augmentation;
    /// Otherwise the pixels' coordinates are hidden from LoftUp (TrainableLoftUp::hideCoordinates).
    bool coordinates = true;

    /// The published settings (where paper and code disagree, the code's: its author says so), for
    /// patches of `patch`.
    static UpsamplerRecipe published(int stage, std::int64_t patch);
    /// Errors: InvalidArgument, for numbers that cannot work with patches of `patch`.
    Result<void> check(std::int64_t patch) const;
    /// Everything that the numbers of a run depend on, as one line.
    std::string describe() const;
};

/// Losses: "place" and the target's "variance" (stage 0); "reconstruction", "tv", "mask" (stage 1),
/// "affinity" (stage 2), "match" and "class" (both, where they have a weight).
class UpsamplerTrainer final : public Trainer {
public:
    /// `backbone` and `photos` must outlive the trainer. `device` is where the student lives.
    UpsamplerTrainer(UpsamplerRecipe recipe, const Backbone& backbone, TrainableLoftUp student,
                     const PhotoSource& photos, int decodingThreads, c10::Device device,
                     ProcessGroup group = {});

    std::string describe() const override { return recipe_.describe(); }
    std::string title() const override;
    std::int64_t photosPerStep() const override { return recipe_.batch * recipe_.accumulation; }
    const ProcessGroup& group() const override { return group_; }
    Result<void> prepare(const RunContext&) override { return {}; }
    Result<StepReport> step(const RunContext& context) override;
    std::int64_t steps() const override { return optimizer_.steps(); }
    SampleStream::Broken brokenPhotos() const override;
    /// Student, teacher, down-sampler, class heads, optimiser. Shares memory.
    StateDict state() const override;
    Result<void> restore(const StateDict& state) override;
    /// `loftup.safetensors`; in stage 2 also the teacher, `loftup_ema.safetensors`.
    std::vector<ExportedModel> exports() const override;

    const UpsamplerRecipe& recipe() const { return recipe_; }
    const TrainableLoftUp& student() const { return student_; }
    /// Stage 2: the exponential average of the student; else nothing.
    const TrainableLoftUp* teacher() const { return teacher_ ? &*teacher_ : nullptr; }
    const Backbone& backbone() const { return backbone_; }

private:
    using MaskMaps = std::vector<std::vector<at::Tensor>>; ///< H x W each, as TrainingSample's
    BatchLoss stageZero(const std::vector<TrainingSample>& samples, std::int64_t batchIndex);
    BatchLoss stageOne(const std::vector<TrainingSample>& samples, std::int64_t batchIndex);
    BatchLoss stageTwo(const std::vector<TrainingSample>& samples, std::int64_t batchIndex);
    /// Multi-view reconstruction and total variation, common to both stages. `input`: what the
    /// backbone sees, normalised; `features`: of the pixels of `window` of the map, whose sides are
    /// the input's divided by `shrink`; `projected`: the same after `projection`.
    BatchLoss reconstruction(const at::Tensor& input, std::int64_t shrink, const Rect& window,
                             const at::Tensor& features, const at::Tensor& projected,
                             const at::Tensor& projection, std::int64_t batchIndex);
    /// Adds what it costs to find the masks again (recipe_.matchWeight). `pictures`: what the
    /// backbone sees, 0..1; `masks`: per sample its mask maps, of the same size; `features`: of
    /// `window` of LoftUp's map, whose sides are the pictures' divided by `shrink`.
    void addMatching(BatchLoss& loss, const std::vector<TrainingSample>& samples,
                     const at::Tensor& pictures, const MaskMaps& masks, std::int64_t shrink,
                     const Rect& window, const at::Tensor& features, std::int64_t batchIndex);
    /// Adds what it costs to read the samples' classes off the features (recipe_.classWeight).
    /// `features`: of `window` of LoftUp's map, whose sides are `size`, the input's, divided by
    /// `shrink`.
    void addClasses(BatchLoss& loss, const std::vector<TrainingSample>& samples, std::int64_t size,
                    std::int64_t shrink, const Rect& window, const at::Tensor& features);
    /// Squares of LoftUp's map of `extent`, drawn at random: where stages 0 and 1 may compute
    /// high-resolution features.
    std::vector<Rect> windowsOf(const Extent& extent, std::int64_t batchIndex,
                                std::int64_t draws) const;
    std::int64_t shrinkOf(std::int64_t batchIndex) const;
    at::Tensor projectionOf(std::int64_t batchIndex) const;
    /// The backbone's features of B x 3 x H x W normalised pictures, channel-normalised; no
    /// gradients.
    at::Tensor lowResolution(const at::Tensor& guidance);
    at::Tensor normalised(const at::Tensor& pictures) const;
    /// B x 3 x kH x kW: the samples' photos in the detail of the target, normalised.
    at::Tensor largePictures(const std::vector<TrainingSample>& samples) const;
    std::int64_t sizeOf(std::int64_t batchIndex) const;
    StateDict trained() const;

    UpsamplerRecipe recipe_;
    const Backbone& backbone_;
    const PhotoSource& photos_;
    int decodingThreads_;
    c10::Device device_;
    ProcessGroup group_;
    BatchShare share_;
    TrainableLoftUp student_;
    std::optional<TrainableLoftUp> teacher_; ///< stage 2
    AttentionDownsampler downsampler_;
    ClassHeads heads_; ///< none without recipe_.classWeight
    Optimizer optimizer_;
    std::unique_ptr<SampleStream> stream_; ///< made at the first step, at the right position
    RunContext context_;
};

/// A model's state in the types that published files of this project have: fp16, but fp32 for
/// Fourier phases and running statistics, whose rounding would show.
StateDict exportedState(const TrainableLoftUp& model);

} // namespace loftscope
