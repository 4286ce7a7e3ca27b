// SPDX-License-Identifier: Apache-2.0
#include "core/train/sample_stream.h"

#include "core/base/guard.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <thread>

namespace loftscope {

namespace {

/// Triangle filter of one axis: for every output position the first input position and the weights
/// of the following.
struct Taps {
    std::vector<std::int64_t> begin;
    std::vector<std::vector<float>> weights;
};

/// Resamples `length` input positions from `origin` on to `side` outputs; smooths when shrinking.
Taps triangleTaps(double origin, double length, std::int64_t limit, std::int64_t side) {
    const double scale = length / static_cast<double>(side);
    const double support = std::max(1.0, scale);
    Taps taps;
    for (std::int64_t i = 0; i < side; ++i) {
        const double centre = origin + (static_cast<double>(i) + 0.5) * scale;
        const auto low = std::max<std::int64_t>(
            0, static_cast<std::int64_t>(std::floor(centre - support + 0.5)));
        const auto high =
            std::min(limit, static_cast<std::int64_t>(std::floor(centre + support + 0.5)));
        std::vector<float> weights;
        float total = 0;
        for (std::int64_t at = low; at < high; ++at) {
            const double distance = std::abs(static_cast<double>(at) + 0.5 - centre) / support;
            weights.push_back(static_cast<float>(std::max(0.0, 1 - distance)));
            total += weights.back();
        }
        for (float& weight : weights)
            weight /= total;
        taps.begin.push_back(low);
        taps.weights.push_back(std::move(weights));
    }
    return taps;
}

struct Region {
    double x;
    double y;
    double width;
    double height;
    bool flip;
};

/// A photo's bytes to the H x W x 3 floats of `extent`, in 0..255. Own loops: LibTorch's resize
/// would start a pool of threads in every worker.
std::vector<float> resampled(const at::Tensor& pixels, const Region& region, const Extent& extent) {
    const std::int64_t width = pixels.size(1);
    const auto* in = pixels.const_data_ptr<std::uint8_t>();
    const Taps rows = triangleTaps(region.y, region.height, pixels.size(0), extent.height);
    const Taps columns = triangleTaps(region.x, region.width, width, extent.width);
    std::vector<float> out(static_cast<std::size_t>(extent.area() * 3));
    std::vector<float> line(static_cast<std::size_t>(width * 3));
    for (std::int64_t y = 0; y < extent.height; ++y) {
        std::fill(line.begin(), line.end(), 0.0F);
        const auto& vertical = rows.weights[static_cast<std::size_t>(y)];
        for (std::size_t k = 0; k < vertical.size(); ++k) {
            const std::uint8_t* source =
                in + (rows.begin[static_cast<std::size_t>(y)] + static_cast<std::int64_t>(k)) *
                         width * 3;
            for (std::int64_t i = 0; i < width * 3; ++i)
                line[static_cast<std::size_t>(i)] += vertical[k] * static_cast<float>(source[i]);
        }
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const auto& horizontal = columns.weights[static_cast<std::size_t>(x)];
            const std::int64_t begin = columns.begin[static_cast<std::size_t>(x)];
            std::array<float, 3> sum{};
            for (std::size_t k = 0; k < horizontal.size(); ++k) {
                for (std::size_t c = 0; c < 3; ++c)
                    sum[c] += horizontal[k] * line[(static_cast<std::size_t>(begin) + k) * 3 + c];
            }
            const std::int64_t target = region.flip ? extent.width - 1 - x : x;
            std::copy(sum.begin(), sum.end(), out.begin() + (y * extent.width + target) * 3);
        }
    }
    return out;
}

at::Tensor resampledLabels(const at::Tensor& labels, const Region& region, const Extent& extent) {
    const at::Tensor source = labels.contiguous();
    const auto* in = source.const_data_ptr<std::int64_t>();
    at::Tensor result = at::empty({extent.height, extent.width}, at::kLong);
    auto* out = result.mutable_data_ptr<std::int64_t>();
    const auto nearest = [](double origin, double length, std::int64_t i, std::int64_t side,
                            std::int64_t limit) {
        const double centre =
            origin + (static_cast<double>(i) + 0.5) * length / static_cast<double>(side);
        return std::clamp<std::int64_t>(static_cast<std::int64_t>(centre), 0, limit - 1);
    };
    const auto [height, width] = extent;
    for (std::int64_t y = 0; y < height; ++y) {
        const std::int64_t row = nearest(region.y, region.height, y, height, labels.size(0));
        for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t column = nearest(region.x, region.width, x, width, labels.size(1));
            out[y * width + (region.flip ? width - 1 - x : x)] = in[row * labels.size(1) + column];
        }
    }
    return result;
}

struct ColorChange {
    float brightness = 1;
    float contrast = 1;
    float saturation = 1;
    float mean = 0; ///< that contrast leaves as it is
};

ColorChange sampleColorChange(const std::vector<float>& pixels, double amount,
                              CounterRandom& random) {
    ColorChange change;
    change.brightness = static_cast<float>(random.uniform(1 - amount, 1 + amount));
    change.contrast = static_cast<float>(random.uniform(1 - amount, 1 + amount));
    change.saturation = static_cast<float>(random.uniform(1 - amount, 1 + amount));
    change.mean =
        std::accumulate(pixels.begin(), pixels.end(), 0.0F) / static_cast<float>(pixels.size());
    return change;
}

/// In place, clamped to 0..255.
void changeColors(std::vector<float>& pixels, const ColorChange& change) {
    const auto [brightness, contrast, saturation, mean] = change;
    for (std::size_t i = 0; i + 2 < pixels.size(); i += 3) {
        const float gray = 0.299F * pixels[i] + 0.587F * pixels[i + 1] + 0.114F * pixels[i + 2];
        for (std::size_t c = 0; c < 3; ++c) {
            const float saturated = gray + (pixels[i + c] - gray) * saturation;
            pixels[i + c] =
                std::clamp(((saturated - mean) * contrast + mean) * brightness, 0.0F, 255.0F);
        }
    }
}

/// H x W x 3 floats in 0..255 as 3 x H x W in 0..1.
at::Tensor pictureOf(const std::vector<float>& pixels, const Extent& extent) {
    at::Tensor picture = at::empty({3, extent.height, extent.width});
    auto* out = picture.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < extent.area(); ++i) {
        for (std::int64_t c = 0; c < 3; ++c)
            out[c * extent.area() + i] = pixels[static_cast<std::size_t>(i * 3 + c)] / 255.0F;
    }
    return picture;
}

/// Photos in an order that changes every time through.
std::int64_t photoOf(std::uint64_t seed, std::int64_t sample, std::int64_t photos) {
    // A permutation without a table: walk a 4-round Feistel network until it lands inside.
    const std::int64_t round = sample / photos;
    int bits = 2;
    while ((std::int64_t{1} << bits) < photos)
        bits += 2;
    const std::uint64_t half = (std::uint64_t{1} << static_cast<unsigned>(bits / 2)) - 1;
    auto value = static_cast<std::uint64_t>(sample % photos);
    do {
        std::uint64_t left = value >> static_cast<unsigned>(bits / 2);
        std::uint64_t right = value & half;
        for (std::uint64_t i = 0; i < 4; ++i) {
            CounterRandom random(seed ^ (i << 56U), RandomPurpose::Shuffle,
                                 (static_cast<std::uint64_t>(round) << 32U) ^ right);
            const std::uint64_t mixed = left ^ (random.next() & half);
            left = right;
            right = mixed;
        }
        value = (left << static_cast<unsigned>(bits / 2)) | right;
    } while (value >= static_cast<std::uint64_t>(photos));
    return static_cast<std::int64_t>(value);
}

} // namespace

TrainingSample cutSample(const TrainingPhoto& photo, const Extent& extent,
                         const Augmentation& augmentation, CounterRandom random) {
    const auto height = static_cast<double>(photo.pixels.size(0));
    const auto width = static_cast<double>(photo.pixels.size(1));
    const double share = random.uniform(augmentation.smallestShare, 1.0);
    const double stretch = std::exp(random.uniform(-1, 1) * std::log(augmentation.largestStretch));
    const double aspect = static_cast<double>(extent.width) / static_cast<double>(extent.height);
    const double largest = std::min(width, height * aspect); // width of the largest crop
    const double cropWidth = std::min(width, std::sqrt(share) * largest * std::sqrt(stretch));
    const double cropHeight =
        std::min(height, std::sqrt(share) * (largest / aspect) / std::sqrt(stretch));
    Region region{};
    region.width = cropWidth;
    region.height = cropHeight;
    region.x = random.uniform() * (width - cropWidth);
    region.y = random.uniform() * (height - cropHeight);
    region.flip = augmentation.flips && random.chance(0.5);

    std::vector<float> pixels = resampled(photo.pixels, region, extent);
    // Masks come from the colours of the photo, not from jittered ones.
    const std::size_t labelMaps = photo.labels.size();
    const std::size_t scales = augmentation.overSegmentation.scales.size();
    std::vector<std::size_t> chosen(augmentation.masks ? labelMaps + scales : 0);
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
    if (!augmentation.allMaskMaps && !chosen.empty()) {
        const bool fromLabels = labelMaps > 0 && (scales == 0 || random.chance(0.5));
        const std::size_t choice =
            fromLabels
                ? static_cast<std::size_t>(random.below(static_cast<std::int64_t>(labelMaps)))
                : labelMaps +
                      static_cast<std::size_t>(random.below(static_cast<std::int64_t>(scales)));
        chosen = {choice};
    }
    TrainingSample sample;
    sample.region = {region.x / width, region.y / height, region.width / width,
                     region.height / height, region.flip};
    OverSegmentation overSegmentation = augmentation.overSegmentation;
    overSegmentation.scales.clear();
    for (const std::size_t map : chosen) {
        if (map < labelMaps) {
            sample.segments.push_back(resampledLabels(photo.labels[map], region, extent));
        } else {
            overSegmentation.scales.push_back(
                augmentation.overSegmentation.scales[map - labelMaps]);
        }
    }
    if (photo.classes.defined()) {
        sample.classes = resampledLabels(photo.classes, region, extent);
        sample.classSet = photo.classSet;
    }
    if (!overSegmentation.scales.empty()) {
        at::Tensor bytes = at::empty({extent.height, extent.width, 3}, at::kByte);
        std::transform(
            pixels.begin(), pixels.end(), bytes.mutable_data_ptr<std::uint8_t>(), [](float value) {
                return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0F, 255.0F)));
            });
        for (at::Tensor& map : overSegment(bytes, overSegmentation))
            sample.segments.push_back(std::move(map));
    }

    std::optional<ColorChange> colors;
    if (augmentation.colorJitter > 0) {
        colors = sampleColorChange(pixels, augmentation.colorJitter, random);
        changeColors(pixels, *colors);
    }
    sample.picture = pictureOf(pixels, extent);
    if (augmentation.zoom > 1) {
        const Extent larger{augmentation.zoom * extent.height, augmentation.zoom * extent.width};
        std::vector<float> detailed = resampled(photo.pixels, region, larger);
        if (colors) changeColors(detailed, *colors);
        sample.large = pictureOf(detailed, larger);
    }
    return sample;
}

struct SampleStream::State {
    State(const PhotoSource& photos, SampleStreamOptions wanted)
        : source(photos)
        , options(std::move(wanted)) {}

    const PhotoSource& source;
    SampleStreamOptions options;
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::map<std::int64_t, Result<TrainingSample>> ready; ///< by position in the stream
    std::int64_t nextTicket = 0;
    std::int64_t delivered = 0;
    bool stopping = false;
    std::set<std::int64_t> brokenPhotos;
    std::string firstBroken;
    std::vector<std::thread> workers;

    Result<TrainingSample> make(std::int64_t index) {
        const CounterRandom random(options.seed, RandomPurpose::Augmentation,
                                   static_cast<std::uint64_t>(index));
        CounterRandom replacement(options.seed, RandomPurpose::Shuffle,
                                  ~static_cast<std::uint64_t>(index));
        std::int64_t photo = photoOf(options.seed, index, source.size());
        for (int attempt = 0; attempt < 20; ++attempt) {
            auto loaded = guarded("reading a training photo", [&] { return source.load(photo); });
            if (loaded) {
                TrainingSample sample =
                    cutSample(*loaded, options.extent(index), options.augmentation, random);
                CounterRandom damage(options.seed, RandomPurpose::MaskDamage,
                                     static_cast<std::uint64_t>(index));
                for (at::Tensor& map : sample.segments) {
                    map = damagedMasks(map, options.augmentation.maskDamage, damage);
                    damage.next(); // the next map is damaged elsewhere
                }
                sample.index = index;
                sample.photo = photo;
                return sample;
            }
            const std::lock_guard lock(mutex);
            if (brokenPhotos.insert(photo).second && firstBroken.empty()) {
                firstBroken = fmt::format("{}: {}", source.name(photo), loaded.error().message);
            }
            photo = replacement.below(source.size());
        }
        return fail(ErrorCode::Malformed,
                    fmt::format("Nearly all training photos are broken ({}): check the data.",
                                firstBroken));
    }

    void work() {
        for (;;) {
            std::int64_t ticket = 0;
            {
                std::unique_lock lock(mutex);
                changed.wait(lock,
                             [&] { return stopping || nextTicket < delivered + options.ahead; });
                if (stopping) return;
                ticket = nextTicket++;
            }
            auto sample =
                guarded("preparing a training sample", [&] { return make(options.index(ticket)); });
            {
                const std::lock_guard lock(mutex);
                ready.emplace(ticket, std::move(sample));
            }
            changed.notify_all();
        }
    }
};

SampleStream::SampleStream(const PhotoSource& source, SampleStreamOptions options)
    : state_(std::make_unique<State>(source, std::move(options))) {
    for (int i = 0; i < std::max(1, state_->options.threads); ++i)
        state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

SampleStream::~SampleStream() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->changed.notify_all();
    for (std::thread& worker : state_->workers)
        worker.join();
}

Result<TrainingSample> SampleStream::next() {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->ready.contains(state_->delivered); });
    auto node = state_->ready.extract(state_->delivered);
    ++state_->delivered;
    lock.unlock();
    state_->changed.notify_all();
    return std::move(node.mapped());
}

SampleStream::Broken SampleStream::broken() const {
    const std::lock_guard lock(state_->mutex);
    return {static_cast<std::int64_t>(state_->brokenPhotos.size()), state_->firstBroken};
}

} // namespace loftscope
