// SPDX-License-Identifier: Apache-2.0
// The panes of the window as a figure: what is on screen is what is printed.
#pragma once

#include "core/figure/figure_spec.h"
#include "core/pipeline/model_description.h"
#include "ui/panes/pane_model.h"

#include <QString>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

enum class FigurePart {
    WholePhoto,
    VisiblePart, ///< what the panes show of the photo
    Inset        ///< the whole photo, and what the panes show of it enlarged in a corner
};

struct FigureChoices {
    bool selectedAlone = false; ///< the selected pane instead of all
    FigurePart part = FigurePart::WholePhoto;
    int columns = 0; ///< 0: as the painter thinks best
    QString title = {};
    bool details = true; ///< sizes, basis, precision under each pane's title
    bool colorBars = true;
    bool picks = true;
    bool notes = true;     ///< models with digests, what PCA colours mean, picked pixels
    double pixelScale = 3; ///< pixels of the file per pixel of the figure at 1x
    double widthMm = 0;    ///< when printed, at 300 dots per inch; 0: as wide as the panes need
    friend bool operator==(const FigureChoices&, const FigureChoices&) = default;
};

/// What the notes say about where the maps come from.
struct FigureOrigin {
    QString photo; ///< its name
    /// By method; the backbone's is empty.
    std::map<std::string, ModelDescription> models;
};

/// Part of the photo that a pane shows on screen, in photo pixels; of a pane that is not on screen
/// the selected one's.
using VisibleParts = std::function<Box(int pane)>;

/// One pane of a figure before its pixels are coloured.
struct PaneDraft {
    Layer layer;
    Box part;                       ///< of the photo
    std::optional<Layer> reference; ///< of a wipe: the side before the edge
    Wipe wipe;
    FigurePane rest; ///< everything but the picture
};

/// A figure as values that any thread may read: what the window still fills is copied.
struct FigureDraft {
    std::vector<PaneDraft> panes;
    FigureSpec rest; ///< everything but the panes
};

/// Cheap. Panes that have nothing to show yet are left out. Wipe and difference are drawn as the
/// window draws them.
FigureDraft draftOf(const PaneModel& model, const FigureOrigin& origin, const VisibleParts& visible,
                    const FigureChoices& choices);

/// Colours the pixels, at most `longest` on a side of a pane. On any thread.
FigureSpec figureOf(const FigureDraft& draft, std::int64_t longest = 4096);

/// Share of the pixels of the least finished map, 0..1, that have not been computed yet.
double missingShare(const PaneModel& model);

} // namespace loftscope
