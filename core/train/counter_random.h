// SPDX-License-Identifier: Apache-2.0
// Random numbers that are a function of (seed, purpose, index) alone: whatever the number of
// threads, processes or restarts, draw n of purpose p is the same. Training needs no generator
// state in its checkpoints because of it.
#pragma once

#include <cstdint>
#include <vector>

namespace loftscope {

/// What a stream of random numbers is for; every purpose has its own.
enum class RandomPurpose : std::uint64_t {
    Initialisation = 1,
    Shuffle,
    Augmentation,
    View,
    Projection,
    Dropout,
    Crop,
    InputSize,
    Window,
    ProbeBatch,
    ProbePixels,
    Bootstrap,
    MaskDamage,
    TokenOrder,
    ColorFit,
    MapShrink,
    MovedView,
    MatchPlace,
};

/// SplitMix64 (Steele, Lea and Flood 2014), started from a hash of its coordinates.
class CounterRandom {
public:
    CounterRandom(std::uint64_t seed, RandomPurpose purpose, std::uint64_t index)
        : state_(mix(mix(mix(seed) ^ static_cast<std::uint64_t>(purpose)) ^ index)) {}

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        return mix(state_);
    }
    /// In [0, 1), 53 bits.
    double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    /// In [0, count); `count` must be positive. The bias of the remainder is below 2^-40 for counts
    /// below 2^24.
    std::int64_t below(std::int64_t count) {
        return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(count));
    }
    /// One of `choices`, which must not be empty.
    template <class T>
    const T& oneOf(const std::vector<T>& choices) {
        return choices[static_cast<std::size_t>(below(static_cast<std::int64_t>(choices.size())))];
    }
    bool chance(double probability) { return uniform() < probability; }

private:
    static std::uint64_t mix(std::uint64_t value) {
        value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
        value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
        return value ^ (value >> 31U);
    }
    std::uint64_t state_;
};

} // namespace loftscope
