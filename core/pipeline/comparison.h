// SPDX-License-Identifier: Apache-2.0
// From a figure's plan to the figure: every pane computed, from one scene and several methods.
#pragma once

#include "core/analysis/pca.h"
#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/base/run_context.h"
#include "core/figure/figure_plan.h"
#include "core/figure/figure_spec.h"
#include "core/pipeline/models.h"
#include "core/pipeline/scene.h"

#include <map>
#include <string>
#include <vector>

namespace loftscope {

/// A method that takes part, under the name by which panes ask for it.
struct ComparedMethod {
    std::string key; ///< "bilinear", "loftup"
    LoadedUpsampler upsampler;
};

/// The numbers behind a figure.
struct FigureData {
    struct Map {
        std::string name;  ///< "3-similarity-loftup": place of the pane, kind, method
        at::Tensor values; ///< h x w, or scores as k x h x w; fp32 on the CPU
        std::string unit;
        std::string pane;                 ///< as `textOf` writes it
        std::string basis;                ///< of scores: key in `bases`
        std::string pick;                 ///< "x,y" of the photo, of what is about a pixel
        std::vector<std::string> methods; ///< whose features these are
    };
    std::vector<Map> maps;                 ///< of panes other than the photo
    std::map<std::string, PcaBasis> bases; ///< by `basisKey`
    struct Weights {
        std::size_t pick = 0; ///< place among `picks`
        std::string method;   ///< key of an upsampler; empty: the backbone's self-attention
        at::Tensor weights;   ///< blocks x heads x h x w
    };
    /// Of every pick, by each method of which a pane shows attention.
    std::vector<Weights> attention;
    std::vector<PlannedPick> picks; ///< all that are marked
};

struct ComparisonRequest {
    FigurePlan plan;
    std::int64_t tile = 64;
    /// Bases of panes whose basis is "locked", by method ("lowres" among them), e.g. of a clip; a
    /// method without one has its own.
    std::map<std::string, PcaBasis> lockedBases;
};

/// How many components a basis needs for these panes.
std::int64_t componentsOf(const std::vector<PlannedPane>& panes);

/// The panes of a plan, filled in where it has none: photo, low-res, every method.
std::vector<PlannedPane> panesOf(const FigurePlan& plan,
                                 const std::vector<ComparedMethod>& methods);

/// Computes every pane. Picks of the plan come first, then pixels that panes name, in the order of
/// the panes; all are marked in every pane. Errors: InvalidArgument (a method that does not take
/// part, a pixel outside, a component that there is not), those of computing.
/// `data`, if given, receives the numbers: of scores as many components as the window has.
Result<FigureSpec> compareMethods(const Scene& scene, const std::vector<ComparedMethod>& methods,
                                  const ComparisonRequest& request, const RunContext& context,
                                  FigureData* data = nullptr);

/// Puts another photo's panes below, as a row. `plan` has a row per photo; `name` is the photo's.
void appendRow(FigureSpec& figure, FigureSpec row, const FigurePlan& plan, const std::string& name);

} // namespace loftscope
