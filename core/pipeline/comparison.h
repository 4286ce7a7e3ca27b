// SPDX-License-Identifier: Apache-2.0
// The comparison figure: which panes, made from one scene and several methods.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/base/run_context.h"
#include "core/figure/figure_spec.h"
#include "core/pipeline/models.h"
#include "core/pipeline/scene.h"

#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// A method that takes part, under the name by which panes ask for it.
struct ComparedMethod {
    std::string key; ///< "bilinear", "loftup"
    LoadedUpsampler upsampler;
};

/// What a pane shows.
struct PaneRequest {
    enum class Kind { Image, LowRes, Method, Attention, Similarity };
    Kind kind = Kind::Image;
    std::string method; ///< key; for attention and similarity empty means the last method
                        ///< (similarity also takes "lowres")
    Pixel pixel;        ///< of attention and similarity, in pixels of the guidance picture as given
};

/// "image", "lowres", a method's key, "attention@x,y", "attention:METHOD@x,y", "similarity@x,y",
/// "similarity:METHOD@x,y". Errors: InvalidArgument.
Result<PaneRequest> parsePane(const std::string& text);

enum class BasisChoice {
    Own,    ///< each method its own PCA basis: LoftUp does not stay in the backbone's feature space
    LowRes, ///< the low-res features' basis for all
};

struct ComparisonRequest {
    std::vector<PaneRequest> panes;
    BasisChoice basis = BasisChoice::Own;
    std::int64_t tile = 64;
    std::vector<Rect> insets; ///< parts to enlarge in every pane, in pixels of the guidance picture
                              ///< as given; at most 3
};

/// Computes every pane. Picks are numbered in the order of the panes and marked in all of them.
/// Errors: InvalidArgument (a method that is not there, a pixel outside), those of computing.
Result<FigureSpec> compareMethods(const Scene& scene, const std::vector<ComparedMethod>& methods,
                                  const ComparisonRequest& request, const RunContext& context);

} // namespace loftscope
