// SPDX-License-Identifier: Apache-2.0
// A backbone, photos and a recipe small enough to train with in a test.
#pragma once

#include "core/backbone/backbone.h"
#include "core/train/photo_source.h"
#include "core/train/upsampler_trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

namespace loftscope {

inline constexpr std::int64_t toyPatch = 8;

/// Eight channels: mean colour of a patch, its square and two differences.
class PatchColors final : public Backbone {
public:
    std::string name() const override { return "patch colours"; }
    std::int64_t patch() const override { return toyPatch; }
    std::int64_t channels() const override { return 8; }
    std::int64_t depth() const override { return 1; }
    std::int64_t heads() const override { return 1; }
    Normalisation normalisation() const override { return {}; }
    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps&,
                               const RunContext&) const override {
        const at::Tensor mean = at::avg_pool2d(picture, {toyPatch, toyPatch});
        BackboneOutput output;
        output.tokens.values =
            at::cat({mean, mean.square(), mean.slice(1, 1) - mean.slice(1, 0, 2)}, 1)[0];
        return output;
    }
};

/// A bright disc on a dark ground, with its mask, which is a class too in every
/// second photo.
class Discs final : public PhotoSource {
public:
    explicit Discs(std::int64_t count)
        : count_(count) {}
    std::int64_t size() const override { return count_; }
    std::string name(std::int64_t index) const override { return std::to_string(index); }
    std::int64_t classSets() const override { return 1; }
    Result<TrainingPhoto> load(std::int64_t index) const override {
        TrainingPhoto photo{at::empty({64, 64, 3}, at::kByte), {at::empty({64, 64}, at::kLong)}};
        if (index % 2 == 0) photo.classes = photo.labels[0];
        auto* pixels = photo.pixels.mutable_data_ptr<std::uint8_t>();
        auto* labels = photo.labels[0].mutable_data_ptr<std::int64_t>();
        for (std::int64_t i = 0; i < 64 * 64; ++i) {
            const std::int64_t dx = i % 64 - 20 - index * 3;
            const std::int64_t dy = i / 64 - 30;
            labels[i] = dx * dx + dy * dy < 200 ? 1 : 0;
            pixels[i * 3] = static_cast<std::uint8_t>(labels[i] == 1 ? 220 : 30 + i % 7);
            pixels[i * 3 + 1] = static_cast<std::uint8_t>(labels[i] == 1 ? 180 + i % 5 : 60);
            pixels[i * 3 + 2] = static_cast<std::uint8_t>(40 + index);
        }
        return photo;
    }

private:
    std::int64_t count_;
};

/// Takes steps; their losses on average.
inline LossReport meanOf(Trainer& trainer, int steps) {
    LossReport mean;
    for (int i = 0; i < steps; ++i) {
        const auto report = trainer.step({});
        if (!report) {
            ADD_FAILURE() << report.error().message;
            return mean;
        }
        for (const auto& [name, value] : report->losses)
            mean[name] += value / steps;
    }
    return mean;
}

inline UpsamplerRecipe toyRecipe(int stage) {
    UpsamplerRecipe recipe = UpsamplerRecipe::published(stage, toyPatch);
    recipe.seed = 5;
    recipe.accumulation = 2;
    recipe.sizes = {32};
    recipe.hrSize = 64;
    recipe.jitters = 2;
    recipe.projection = 4;
    recipe.learningRate = 3e-3;
    recipe.firstClipSteps = 0;
    recipe.emaEvery = 2;
    recipe.jitter.maxPad = 4;
    recipe.augmentation.overSegmentation.scales = {};
    return recipe;
}

inline TrainableLoftUp toyStudent() {
    return TrainableLoftUp::create(publishedLoftUp(8),
                                   CounterRandom(5, RandomPurpose::Initialisation, 0));
}

} // namespace loftscope
