// SPDX-License-Identifier: Apache-2.0
// Distillation of several teachers into one small backbone: for every teacher a linear head
// predicts its whitened features at the student's tokens.
#pragma once

#include "core/train/optimizer.h"
#include "core/train/sample_stream.h"
#include "core/train/target_cache.h"
#include "core/train/teacher.h"
#include "core/train/teacher_targets.h"
#include "core/train/trainable_vit.h"
#include "core/train/trainer.h"
#include "core/train/training_step.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// What the teachers are shown.
enum class TeacherView {
    Photo, ///< the whole photo once; crops are cut out of its map
    Crop,  ///< every crop itself, as the student sees it
};

struct BackboneRecipe {
    std::uint64_t seed = 1;
    std::int64_t batch = 8;        ///< photos of one size that pass through the network together
    std::int64_t accumulation = 4; ///< such batches per optimiser step, each of a size of its own
    std::vector<Extent> sizes;     ///< of the input, in pixels: one at random per batch
    at::ScalarType arithmetic = at::kFloat;

    OptimizerOptions optimizer{.beta2 = 0.95, .weightDecay = 0.05, .decayMatricesOnly = true};
    double learningRate = 1.5e-3;
    LearningRateSchedule schedule{.warmUp = 60};
    double clip = 1;
    double emaDecay = 0.999; ///< per step; less in the first steps: at most (1 + n) / (10 + n)

    TeacherView view = TeacherView::Photo;
    std::int64_t photoSide = 256; ///< short side that a whole photo counts as, for teachers
    std::int64_t fitPhotos = 128; ///< that the whitening is fitted on
    Augmentation augmentation{.largestStretch = 1.33, .overSegmentation = {}, .masks = false};

    /// The sizes 160 to 320 and some oblong ones, as multiples of `patch`.
    static BackboneRecipe forPatch(std::int64_t patch);
    /// Errors: InvalidArgument, for numbers that cannot work with patches of `patch`.
    Result<void> check(std::int64_t patch) const;
};

struct DistillationTarget {
    std::shared_ptr<const Teacher> teacher;
    std::string label; ///< in logs; every target its own
    double weight = 1;
    std::int64_t dims = 64;
};

/// Where the maps of whole photos are kept; nowhere if `path` is empty.
struct TargetCacheOptions {
    std::filesystem::path path;
    std::int64_t bytes = 0; ///< at most
};

/// Losses per target: "squared LABEL" (mean squared difference over the target's variance) and
/// "cosine LABEL" (1 - cosine similarity).
class BackboneTrainer final : public Trainer {
public:
    /// `photos` must outlive the trainer. `device` is where the student lives.
    BackboneTrainer(BackboneRecipe recipe, std::vector<DistillationTarget> targets,
                    TrainableVit student, const PhotoSource& photos, int decodingThreads,
                    c10::Device device, ProcessGroup group = {}, TargetCacheOptions cache = {});

    std::string describe() const override;
    std::string title() const override { return "distillation"; }
    std::int64_t photosPerStep() const override { return recipe_.batch * recipe_.accumulation; }
    const ProcessGroup& group() const override { return group_; }
    /// Fits the whitening of all targets.
    Result<void> prepare(const RunContext& context) override;
    Result<StepReport> step(const RunContext& context) override;
    std::int64_t steps() const override { return optimizer_.steps(); }
    SampleStream::Broken brokenPhotos() const override;
    StateDict state() const override;
    Result<void> restore(const StateDict& state) override;
    /// `backbone.safetensors`: the exponential average of the student.
    std::vector<ExportedModel> exports() const override;

    const TrainableVit& student() const { return student_; }
    /// Exponential average of the student.
    const TrainableVit& average() const { return average_; }
    const std::vector<DistillationTarget>& targets() const { return targets_; }
    /// Target `index` of a whole picture (3 x H x W, 0..1) in its own size. Throws as LibTorch
    /// does.
    TargetMap targetOf(const at::Tensor& picture, std::size_t index) const;

private:
    Result<BatchLoss> loss(const std::vector<TrainingSample>& samples);
    /// B x N x k of each target, on the student's device.
    Result<std::vector<at::Tensor>> wanted(const std::vector<TrainingSample>& samples,
                                           const at::Tensor& pictures, const Extent& tokens);
    /// Every target of a whole photo.
    Result<std::vector<TargetMap>> photoTargets(std::int64_t photo);
    TargetMap whitened(const at::Tensor& pictures, const Extent& nominal, std::size_t target) const;
    /// A photo of the source, 1 x 3 x H x W, 0..1, on the device, and the size it counts as.
    Result<std::pair<at::Tensor, Extent>> wholePhoto(std::int64_t photo) const;
    Extent extentOf(std::int64_t batchIndex) const;
    Result<void> openCache();
    StateDict trained() const;
    bool fitted() const;

    BackboneRecipe recipe_;
    std::vector<DistillationTarget> targets_;
    const PhotoSource& photos_;
    int decodingThreads_;
    c10::Device device_;
    ProcessGroup group_;
    BatchShare share_;
    TrainableVit student_;
    TrainableVit average_;
    StateDict heads_;
    std::vector<Whitening> whitenings_;
    Optimizer optimizer_;
    TargetCacheOptions cacheOptions_;
    std::optional<TargetCache> cache_;     ///< opened at the first step
    std::unique_ptr<SampleStream> stream_; ///< made at the first step, at the right position
};

} // namespace loftscope
