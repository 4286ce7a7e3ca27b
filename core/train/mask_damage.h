// SPDX-License-Identifier: Apache-2.0
// Masks made worse on purpose, to learn how much the quality of masks matters.
#pragma once

#include "core/base/error.h"
#include "core/train/counter_random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace loftscope {

struct MaskDamage {
    /// Share of the masks that are taken away, 0..1.
    double missing = 0;
    /// Share of the picture that is covered by rectangles at random places, each a mask of its own,
    /// 0..0.95.
    double invented = 0;
    /// Pixels that masks shrink from every border between two of them, 0..64.
    std::int64_t eroded = 0;

    bool any() const { return missing > 0 || invented > 0 || eroded > 0; }
    /// "missing=0.5,false=0.1,eroded=4": the kinds that are on; empty without any.
    std::string describe() const;
};

/// Each text is KIND=STRENGTH with the kinds and ranges above (`invented` is called "false").
/// Errors: InvalidArgument.
Result<MaskDamage> maskDamageOf(const std::vector<std::string>& texts);

/// `labels`: H x W, int64, as in segmentRefine: pixels of equal label form a mask, negative ones
/// belong to none. Missing masks first, then false ones, then erosion.
at::Tensor damagedMasks(const at::Tensor& labels, const MaskDamage& damage, CounterRandom random);

} // namespace loftscope
