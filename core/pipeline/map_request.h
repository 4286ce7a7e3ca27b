// SPDX-License-Identifier: Apache-2.0
// What can be asked about the open photo, as a value.
#pragma once

#include "core/base/geometry.h"

#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct MapRequest {
    enum class What {
        Scores,        ///< principal components of the features
        Attention,     ///< weights of `pixel` over the low-res grid, per block and head
        SelfAttention, ///< the backbone's, of the patch at `pixel`, or of CLS without a pixel
        Similarity,    ///< cosine similarity to the feature at `pixel`
        Text,          ///< cosine similarity to `text` (CLIP, SigLIP)
        Norm,          ///< Euclidean length of the features
        Distance       ///< 1 - cosine between the features of `method` and `other`
    };
    What what = What::Scores;
    std::string method; ///< key of an upsampler: "loftup"; empty: the low-res grid
    std::string other;  ///< of Distance
    std::string text;   ///< of Text
    /// Of Scores: "own", "shared", "locked" or "file:PATH".
    std::string basis = "own";
    /// Methods that a shared basis is fitted on, with equal weights.
    std::vector<std::string> sharedBy;
    int pick = 0;               ///< several picks are answered side by side
    std::optional<Pixel> pixel; ///< of the photo
    friend bool operator==(const MapRequest&, const MapRequest&) = default;
};

/// What a newer request replaces: everything but the pixel and the sharers of the basis.
std::string slotOf(const MapRequest& request);

} // namespace loftscope
