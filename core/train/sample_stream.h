// SPDX-License-Identifier: Apache-2.0
// Training samples: random crops of photos with masks, prepared ahead of the training step by
// several threads. Sample n depends on the seed and n alone, however many threads prepare it and
// wherever the stream began.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/train/counter_random.h"
#include "core/train/mask_damage.h"
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
    /// Of the area of the largest crop of the sample's aspect in the photo, at least.
    double smallestShare = 0.35;
    /// The crop's aspect is the sample's times something between this and its inverse.
    double largestStretch = 1.2;
    bool flips = true;
    double colorJitter = 0.2; ///< brightness, contrast and saturation factors: 1 -+ this
    /// Over-segmentations to choose from, beside the label maps that the photo has.
    OverSegmentation overSegmentation;
    /// One mask map per sample, chosen at random (label maps half the time, where there are any),
    /// or all of them, one after another. Nested maps applied in turn are dominated by the
    /// coarsest, so one at a time is the default.
    bool allMaskMaps = false;
    bool masks = true; ///< otherwise samples have none
    /// More than 1: samples have a `large` picture too, so many times as wide and as high.
    std::int64_t zoom = 1;
    /// Of every map, by a stream; decided by draws of its own, so that runs with and without it see
    /// the same crops.
    MaskDamage maskDamage = {};
};

/// The part of a photo that a sample shows, in shares of the photo's width and height.
struct CropRegion {
    double x = 0;
    double y = 0;
    double width = 1;
    double height = 1;
    bool flip = false; ///< shown left to right
};

struct TrainingSample {
    std::int64_t index = 0;
    std::int64_t photo = 0; ///< which one of the source
    CropRegion region;
    at::Tensor picture; ///< 3 x H x W, fp32, 0..1
    at::Tensor large;   ///< the same in more detail, 3 x kH x kW for a zoom of k; else undefined
    std::vector<at::Tensor> segments; ///< H x W, int64: label maps as in segmentRefine
    at::Tensor classes = {};          ///< H x W, as the photo's; undefined where it names none
    std::int64_t classSet = 0;
};

/// Cuts one sample out of a photo, its masks undamaged; `extent` is its size H x W.
TrainingSample cutSample(const TrainingPhoto& photo, const Extent& extent,
                         const Augmentation& augmentation, CounterRandom random);

struct SampleStreamOptions {
    std::uint64_t seed = 0;
    /// Which samples the stream delivers: the index of the one at a position 0, 1, ...
    std::function<std::int64_t(std::int64_t position)> index;
    int threads = 1;
    std::int64_t ahead = 8;                           ///< samples that may wait
    std::function<Extent(std::int64_t index)> extent; ///< of a sample
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
