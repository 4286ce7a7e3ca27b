// SPDX-License-Identifier: Apache-2.0
// The figure of several backbones and methods: a row per backbone, a column per method.
#pragma once

#include "core/pipeline/comparison.h"

namespace loftscope {

/// Panes row by row: the picture as the backbone sees it, its low-res features, every method. Of
/// methods with the same key (LoftUps of several backbones) a row has the first that fits, one
/// that was trained for its backbone before others; where none fits there is an empty pane that
/// says so. Of the plan everything counts but its panes. Errors: as compareMethods; InvalidArgument
/// (no scene).
Result<FigureSpec> compareMatrix(const std::vector<Scene>& scenes,
                                 const std::vector<ComparedMethod>& methods,
                                 const ComparisonRequest& request, const RunContext& context);

} // namespace loftscope
