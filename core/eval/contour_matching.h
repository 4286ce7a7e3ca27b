// SPDX-License-Identifier: Apache-2.0
// Comparing found contours with those that people drew, as the Berkeley benchmark does (Martin,
// Fowlkes and Malik 2004): pixels of both are paired one to one within a distance.
//
// The benchmark minimises a cost in which an unpaired pixel is dearer than any pair, so that it
// pairs as many pixels as possible (on a sparsified graph). Here the largest number of pairs is
// found exactly (Hopcroft and Karp 1973); distances within the tolerance do not matter.
#pragma once

#include "core/base/geometry.h"
#include "core/eval/video_metrics.h"

#include <cstdint>
#include <span>
#include <vector>

namespace loftscope {

/// One-pixel lines of a mask of lines, which keep its connections (Zhang and Suen 1984).
ObjectMask thinned(const ObjectMask& mask);

/// Lines between the segments of a label map, thinned.
ObjectMask contoursOfSegments(const Extent& extent, std::span<const std::uint8_t> labels);

/// Pairs contour pixels with drawn ones. Contour pixels may come in several instalments (strongest
/// first): the pairing stays the largest there is, and who was paired stays so.
class ContourMatching {
public:
    /// `drawn`: the contours of one person. Pixels at most `tolerance` pixels apart can be paired.
    ContourMatching(const ObjectMask& drawn, double tolerance);

    void add(std::span<const Pixel> found);

    std::int64_t drawn() const { return static_cast<std::int64_t>(partnerOfDrawn_.size()); }
    std::int64_t pairs() const { return pairs_; }
    /// Whether the i-th contour pixel that was added has a partner.
    bool paired(std::size_t i) const { return partnerOfFound_[i] >= 0; }

private:
    bool layer();
    bool augment(std::int32_t found);

    Extent extent_;
    std::vector<std::int32_t> drawnAt_; ///< number of the drawn pixel at a place, or -1
    std::vector<Pixel> reach_;          ///< offsets within the tolerance, nearest first
    std::vector<Pixel> found_;
    std::vector<std::int32_t> partnerOfFound_;
    std::vector<std::int32_t> partnerOfDrawn_;
    std::vector<std::int32_t> depth_; ///< of found pixels in alternating paths
    std::vector<std::size_t> next_;   ///< offset of `reach_` to go on with
    std::int64_t pairs_ = 0;
};

/// What precision and recall are made of, at one threshold.
struct ContourCounts {
    std::int64_t foundPaired = 0; ///< with a pixel of anybody's
    std::int64_t found = 0;
    std::int64_t drawnPaired = 0; ///< summed over people
    std::int64_t drawn = 0;

    double precision() const;
    double recall() const;
    double f() const;
    ContourCounts& operator+=(const ContourCounts& other);
};

struct ContourScores {
    double ods = 0; ///< best F with one threshold for the set
    double odsPrecision = 0;
    double odsRecall = 0;
    std::size_t odsThreshold = 0; ///< which one
    double ois = 0;               ///< F with each picture's own best threshold
    double averagePrecision = 0;  ///< area under precision over recall, at 101 recalls
};

/// `counts[picture][threshold]`, every picture with the same number of thresholds; `weights`: how
/// often each picture counts.
ContourScores contourScores(const std::vector<std::vector<ContourCounts>>& counts,
                            std::span<const std::int64_t> weights);

} // namespace loftscope
