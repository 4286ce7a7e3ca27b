// SPDX-License-Identifier: Apache-2.0
// What the window shows, as a value that can be kept in a file, opened elsewhere and rendered
// without a window. No tensors, no pixels.
#pragma once

#include "core/analysis/basis_values.h"
#include "core/base/geometry.h"
#include "core/figure/figure_plan.h"
#include "core/figure/pane_view.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// A file that the session needs.
struct SessionFile {
    std::filesystem::path path; ///< absolute in memory; relative to the session in its file
    std::string sha256;         ///< of its content when the session was saved; empty: not known
    std::string name;           ///< of a model, as recognised: "DINOv2 ViT-S/14"
    friend bool operator==(const SessionFile&, const SessionFile&) = default;
};

/// The part of the photo that panes show.
struct SessionView {
    double centerX = 0; ///< photo pixels
    double centerY = 0;
    double zoom = 1;             ///< device pixels per photo pixel
    bool fitted = true;          ///< the whole photo; the three above then say nothing
    std::optional<Rect> visible; ///< photo pixels; cut out where the session is rendered
    friend bool operator==(const SessionView&, const SessionView&) = default;
};

struct SessionPane {
    PaneView view;
    SessionView own; ///< while views are not linked
    friend bool operator==(const SessionPane&, const SessionPane&) = default;
};

struct SessionPick {
    int number = 1;
    double x = 0; ///< photo pixels
    double y = 0;
    std::array<std::uint8_t, 3> color{255, 255, 255};
    bool pinned = false;
    friend bool operator==(const SessionPick&, const SessionPick&) = default;
};

struct Session {
    enum class Compare { Off, Wipe, Difference };

    SessionFile photo;      ///< a picture, or a video or folder as a clip; an empty path: none
    bool isClip = false;    ///< `photo` is a video, or a folder of frames
    std::int64_t frame = 0; ///< of the clip
    SessionFile backbone;
    std::map<std::string, SessionFile> upsamplers; ///< checkpoints by method: "loftup"
    std::int64_t inputSize = 224;                  ///< short side of the backbone's input, pixels
    std::int64_t outputSize = 0; ///< short side of upsampled maps, pixels; 0: the input's size
    std::string device = "cpu";
    std::string precision = "fp32";
    /// What the basis "locked" is, by method ("lowres" for the grid); a method without one has its
    /// own.
    std::map<std::string, BasisValues> lockedBases;

    std::vector<SessionPane> panes;
    int selected = 1;           ///< place of a pane, counted from 1
    int reference = 1;          ///< the same
    int maximised = 0;          ///< the same; 0: none
    int columns = 0;            ///< 0: chosen
    bool linked = true;         ///< one view for all panes
    bool colorsTogether = true; ///< choices about PCA colours are for all feature panes
    SessionView view;           ///< while views are linked
    Compare compare = Compare::Off;
    bool wipeHorizontal = false; ///< A above, B below, instead of A left, B right
    double wipePosition = 0.5;   ///< fraction of the pane
    std::vector<SessionPick> picks;
    int activePick = 0; ///< number of a pick; 0: none

    FigurePlan figure; ///< as last exported; its panes and picks empty: those above
    friend bool operator==(const Session&, const Session&) = default;
};

/// The figure that shows what the session shows: its plan with panes, picks, columns and the part
/// of the photo filled in where it leaves them open. Panes that wait for a pick or a text are left
/// out, as in the window's figures, and so are those behind a maximised one.
FigurePlan figureOf(const Session& session);

/// The methods that the session's panes need, in the order of the panes, without "lowres".
std::vector<std::string> methodsOf(const std::vector<PlannedPane>& panes);

/// `loftscope render ...` that draws what the session shows, ready for a shell: paths as they are
/// in memory, quoted where needed. `out`: the figure. `lockedFrom`: a session file that has the
/// locked bases, where panes ask for them.
std::string renderCommand(const Session& session, const std::filesystem::path& out = "figure.png",
                          const std::filesystem::path& lockedFrom = {});

/// True if a pane's basis is the locked one.
bool asksForLockedBasis(const Session& session);

/// A word of a command line, quoted for a shell where it needs that.
std::string quotedForShell(const std::string& word);

} // namespace loftscope
