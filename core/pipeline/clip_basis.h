// SPDX-License-Identifier: Apache-2.0
// One PCA basis and one range of colours for a whole clip, so that colours mean the same in every
// frame and do not flicker.
#pragma once

#include "core/analysis/pca.h"
#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/figure/figure_plan.h"
#include "core/image/clip.h"
#include "core/pipeline/comparison.h"
#include "core/pipeline/scene.h"

#include <map>
#include <string>
#include <vector>

namespace loftscope {

/// Fits a basis for each method of the plan's feature panes ("lowres" among them) on at most
/// `samples` frames from all over the clip, and gives those panes this basis and fixed ranges
/// between their percentiles over these frames. `request` has everything but the photo.
/// Errors: those of decoding and computing, Cancelled.
Result<void> lockOverClip(const Clip& clip, const SceneRequest& request,
                          const std::vector<ComparedMethod>& methods, ComparisonRequest& comparison,
                          std::int64_t samples, const RunContext& context);

} // namespace loftscope
