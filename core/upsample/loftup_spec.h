// SPDX-License-Identifier: Apache-2.0
// The numbers that describe a LoftUp upsampler.
#pragma once

#include "core/base/geometry.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace loftscope {

/// How the low-resolution tokens are told where they are.
enum class LrPositions {
    Sine,      ///< sines of the coordinates with learned phases: every released LoftUp
    Learnable, ///< a learned table, `lr_pe` of 1 x P x h x w
};

/// "sine", "learnable"
std::string_view nameOf(LrPositions positions);

struct LoftUpSpec {
    std::string name;          ///< as shown to the user: "LoftUp for 384 channels"
    std::int64_t channels = 0; ///< C, of the backbone's features
    std::int64_t dim = 0;      ///< D = C + channels of the position code (20 in every release)
    std::int64_t heads = 4;
    std::int64_t depth = 0;         ///< cross-attention blocks
    std::int64_t hidden = 0;        ///< channels inside a block's feed-forward part (C)
    std::int64_t frequencies = 0;   ///< of the pixels' coordinate and colour code: 20
    std::int64_t lrFrequencies = 0; ///< of the tokens' coordinate code: 5; 0 if learnable
    LrPositions lrPositions = LrPositions::Sine;
    Extent lrGrid; ///< of a learned position table; empty otherwise
    /// The pixels' coordinates count as nothing: an experiment of this project's trainer, marked by
    /// the key `hidden_coordinates`.
    bool hiddenCoordinates = false;
    bool hasChannelNorm = true;    ///< false: the file lacks it; say so to the user
    std::string upsamplerPrefix;   ///< of the upsampler's keys in the file, e.g. "upsampler."
    std::string channelNormPrefix; ///< e.g. "channelnorm.norm." or Lightning's "model.1.norm."
};

} // namespace loftscope
