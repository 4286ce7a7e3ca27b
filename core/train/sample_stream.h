// SPDX-License-Identifier: Apache-2.0
// Training samples: random crops of photos with masks, prepared ahead of the training step by
// several threads. Sample n depends on the seed and n alone, however many threads prepare it and
// wherever the stream began.
#pragma once

#include "core/base/error.h"
#include "core/train/counter_random.h"
#include "core/train/over_segmentation.h"
#include "core/train/photo_source.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

struct Augmentation {
    double smallestShare = 0.35; ///< of the area of the largest square in the photo, at least
    double largestStretch =
        1.2; ///< aspect of the crop, between this and its inverse; it becomes a square
    bool flips = true;
    double colorJitter = 0.2; ///< brightness, contrast and saturation factors: 1 -+ this
    /// Over-segmentations to choose from, beside the label maps that the photo has.
    OverSegmentation overSegmentation;
    /// One mask map per sample, chosen at random (label maps half the time, where there are any),
    /// or all of them, one after another. Nested maps applied in turn are dominated by the
    /// coarsest, so one at a time is the default.
    bool allMaskMaps = false;
};

struct TrainingSample {
    std::int64_t index = 0;
    at::Tensor picture;               ///< 3 x S x S, fp32, 0..1
    std::vector<at::Tensor> segments; ///< S x S, int64: label maps as in segmentRefine
};

/// Cuts one sample out of a photo; `side` S in pixels.
TrainingSample cutSample(const TrainingPhoto& photo, std::int64_t side,
                         const Augmentation& augmentation, CounterRandom random);

struct SampleStreamOptions {
    std::uint64_t seed = 0;
    /// Which samples the stream delivers: the index of the one at a position 0, 1, ...
    std::function<std::int64_t(std::int64_t position)> index;
    int threads = 1;
    std::int64_t ahead = 8;                               ///< samples that may wait
    std::function<std::int64_t(std::int64_t index)> side; ///< S of a sample
    Augmentation augmentation;
};

class SampleStream {
public:
    /// `source` must outlive the stream.
    SampleStream(const PhotoSource& source, SampleStreamOptions options);
    ~SampleStream();
    SampleStream(const SampleStream&) = delete;
    SampleStream& operator=(const SampleStream&) = delete;

    /// The next sample, in order. A photo that cannot be read is replaced by another one; errors:
    /// Malformed (nearly everything is broken).
    Result<TrainingSample> next();

    struct Broken {
        std::int64_t count = 0; ///< different photos that could not be read so far
        std::string first;      ///< what was wrong with the first
    };
    Broken broken() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace loftscope
