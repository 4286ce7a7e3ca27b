// SPDX-License-Identifier: Apache-2.0
// Resizing a learned position table to another token grid, as each release does it.
#pragma once

#include "core/backbone/vit_spec.h"
#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// `table`: 1 x (1 + base.height * base.width) x C, the CLS row first. Returns 1 x (1 + grid area)
/// x C; the CLS row is kept. The table is used as it is where the grid is the base grid.
at::Tensor resizedPositionTable(const at::Tensor& table, const Extent& base, const Extent& grid,
                                PositionRule rule);

/// The same for a table without a CLS row: 1 x base area x C to 1 x grid area x C.
at::Tensor resizedPatchPositions(const at::Tensor& table, const Extent& base, const Extent& grid,
                                 PositionRule rule);

} // namespace loftscope
