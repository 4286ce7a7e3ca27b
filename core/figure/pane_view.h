// SPDX-License-Identifier: Apache-2.0
// What one pane shows and how its values become colours, as a value and as text: the same words on
// the command line (--panes), in figure files and in sessions.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/image/color_map.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Before the path of a file, where a pane names the PCA basis to use (PaneView::basis).
inline constexpr std::string_view basisFilePrefix = "file:";

struct PaneView {
    enum class Kind {
        Image,
        Features,      ///< principal components of features
        Attention,     ///< of a pixel over the low-res grid
        SelfAttention, ///< of the backbone, of a patch or of CLS
        Similarity,    ///< cosine, to the feature of a pixel
        Text,          ///< cosine of the features to a text (CLIP, SigLIP)
        Norm,          ///< length of the features
        Difference     ///< of two methods' features (1 - cosine), or of two panes' scalar maps
    };
    static constexpr int mean = -1;  ///< over all blocks or heads
    static constexpr int last = 999; ///< a block beyond those of any model

    struct Span {
        double low = 0;
        double high = 1;
        friend bool operator==(const Span&, const Span&) = default;
    };
    /// Blackens what is not foreground by one component's score.
    struct Mask {
        int component = 0;
        double threshold = 0;
        bool keepAbove = true;
        friend bool operator==(const Mask&, const Mask&) = default;
    };

    Kind kind = Kind::Image;
    /// Key of an upsampler; "lowres": the backbone's own grid; empty (not of features): the last
    /// method that takes part.
    std::string method;
    std::string other;          ///< Difference of two methods: the second
    int minuend = 0;            ///< Difference of two panes: their places, counted from 1
    int subtrahend = 0;         ///< see above; 0: of two methods
    std::optional<Pixel> pixel; ///< of the photo as given; without: the pick below
    int pick = 0;               ///< number of a pick, counted from 1; 0: the active one
    bool ofClassToken = false;  ///< SelfAttention of CLS
    std::string text;           ///< of Text; empty: the figure's
    int block = last;           ///< of attention, counted from 0
    int head = mean;            ///< of attention, counted from 0

    std::array<int, 3> components{0, 1, 2}; ///< as red, green, blue, counted from 0
    std::optional<int> component;           ///< this one alone as a scalar map
    std::vector<int> flipped;               ///< components with their sign turned, ascending
    bool whiten = false;                    ///< scores divided by their standard deviation
    bool sigmoid = false;                   ///< scores through a sigmoid instead of a range
    std::optional<Mask> mask;
    std::string basis = "own"; ///< "own", "lowres", "shared", "locked" or "file:PATH"

    double lowPercent = 1; ///< automatic range: between two percentiles
    double highPercent = 99;
    std::vector<Span> ranges; ///< fixed: three for components, else one; empty: automatic
    ColorMap map = ColorMap::Viridis;
    bool reversed = false;
    bool opacityByValue = false; ///< over the photo, low values are transparent
    double opacity = 1;          ///< of the map over the photo
    bool smooth = false;         ///< smooth where it is magnified
    friend bool operator==(const PaneView&, const PaneView&) = default;
};

/// A view of this kind in the colours that suit it.
PaneView paneOf(PaneView::Kind kind, std::string method = {});

/// True of kinds that ask about a pixel, unless it is self-attention of CLS.
bool asksAboutPixel(const PaneView& pane);

/// WHAT[:METHOD][@x,y][;OPTION[=VALUE]]... as docs/figures.md lists them, e.g. "image", "lowres",
/// "loftup;components=3+4+5", "attention:loftup@120,80;head=1", "similarity@#2",
/// "text:loftup;query=a dog". Options that are as `paneOf` has them are left out. Reading it back
/// gives the same value.
std::string textOf(const PaneView& pane);
/// The inverse. Errors: InvalidArgument, naming the pane and what is wrong with it.
Result<PaneView> parsePane(std::string_view text);

/// Panes with commas between them; a comma inside a pixel belongs to the pixel.
Result<std::vector<PaneView>> parsePanes(std::string_view list);

} // namespace loftscope
