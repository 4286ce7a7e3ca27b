// SPDX-License-Identifier: Apache-2.0
// The panes without their pixels: what is chosen (undoable), what has been computed for it, and
// what follows from both: the layer to draw, the value under a point, the range of the colours.
#pragma once

#include "ui/panes/pane_state.h"
#include "ui/render/layer.h"

#include <QObject>
#include <QString>
#include <QStringList>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace loftscope {

/// What has been computed for a pane. Not part of undo: it follows from the state.
struct PaneContent {
    /// How the map becomes a picture. Scores are drawn as Scalar where one component is chosen;
    /// Difference takes the maps of the two panes that the state names.
    LayerKind form = LayerKind::Empty;
    std::shared_ptr<MapBuffer> map;            ///< PCA scores or a scalar map
    std::shared_ptr<const MapBuffer> fallback; ///< shown where `map` has not arrived
    Box region;                     ///< part of the photo that `map` covers; empty: all of it
    std::vector<ValueRange> ranges; ///< automatic range per channel while the map itself does not
                                    ///< tell; may be empty
    std::vector<float> deviations;  ///< standard deviation per component (for whitening)
    QString title;                  ///< header: "LoftUp"
    QString details;                ///< header: "PCA 1-3, 224 x 336, own basis, fp32"
    QString unit;                   ///< of a scalar map: "cosine similarity"
    QString message;                ///< in the middle of a pane that has nothing to show yet
    bool stale = false;             ///< computed for an earlier choice; drawn dimmed
    double progress = -1;           ///< 0..1 while it is being computed; below 0: idle
};

/// The value that a pane shows at a photo point.
struct PaneValue {
    std::vector<float> values; ///< R, G, B as 0..255; shown components; or one number
    Rgb color{};               ///< as displayed
    Pixel pixel;               ///< of the pane's own map
    bool preview = false;      ///< taken from the fallback
};

struct Hover {
    int pane = 0;
    glm::dvec2 at{0, 0}; ///< photo pixels, inside the photo
    friend bool operator==(const Hover&, const Hover&) = default;
};

class PaneModel : public QObject {
    Q_OBJECT
public:
    explicit PaneModel(QObject* parent = nullptr);

    const WorkspaceState& state() const { return state_; }
    /// Replaces everything, as one step of undo. Panes beyond the twelfth are dropped; ids that
    /// name no pane are corrected.
    void setState(WorkspaceState state, const QString& what);

    bool canUndo() const { return !undo_.empty(); }
    bool canRedo() const { return !redo_.empty(); }
    QString undoText() const { return canUndo() ? undo_.back().what : QString(); }
    QString redoText() const { return canRedo() ? redo_.back().what : QString(); }
    void undo();
    void redo();
    /// Ends a drag: the next change of the same thing is a new step of undo.
    void endGesture() { gesture_.clear(); }

    /// A new photo: picks and contents go, views are fitted, undo starts anew.
    void setPhoto(std::shared_ptr<const ImagePyramid> photo);
    /// The next frame of a clip: views, picks, contents and undo stay. One of another size is a new
    /// photo.
    void setFrame(std::shared_ptr<const ImagePyramid> photo);
    const std::shared_ptr<const ImagePyramid>& photo() const { return photo_; }
    Extent photoExtent() const { return photo_ ? photo_->extent() : Extent{}; }

    /// Appends a pane and returns its id; 0 if there are twelve already. The id in `pane` is
    /// ignored.
    int addPane(PaneState pane);
    /// The last pane stays.
    void removePane(int id);
    /// Puts a copy behind the pane and returns its id; 0 if there are twelve already.
    int duplicatePane(int id);
    void swapPanes(int first, int second);
    /// Replaces the pane of the same id. `gesture` not empty: merged with the previous change of
    /// that name into one step of undo.
    void setPane(const PaneState& pane, const QString& what, const QString& gesture = {});
    /// Changes all panes for which `affected` is true, as one step.
    void changePanes(const std::function<bool(const PaneState&)>& affected,
                     const std::function<void(PaneState&)>& mutate, const QString& what,
                     const QString& gesture = {});
    /// Changes how a pane shows its PCA scores: of all feature panes while their colours go
    /// together, else of this one.
    void changeColors(int id, const std::function<void(PaneState&)>& mutate, const QString& what,
                      const QString& gesture = {});
    void setColorsTogether(bool together);
    const PaneState* pane(int id) const;
    const PaneState& selectedPane() const;
    /// 0 if there is no such place.
    int idAt(int index) const;
    void select(int id);
    void setReference(int id);
    void toggleMaximised(int id);
    void setColumns(int columns);
    /// Next (+1) or previous (-1) three components (or one, for a single component).
    void stepComponents(int id, int direction);

    View viewOf(int id) const;
    /// Of the pane, or of all while linked.
    void setView(int id, const View& view);
    /// Unlinked panes start from the common view; linking takes the selected pane's.
    void setLinked(bool linked);
    void fit();
    void oneToOne();
    void goTo(glm::dvec2 pixel);

    void setCompute(const ComputeSettings& settings);

    void setCompare(CompareMode mode);
    void setWipe(const Wipe& wipe);
    /// While true, the selected pane shows the reference (a held key; not part of undo).
    void setFlipped(bool flipped);
    bool flipped() const { return flipped_; }

    /// Moves the active pick, or adds one if there is none or it is pinned.
    void placePick(glm::dvec2 pixel);
    /// Adds a pick; the one before stays where it is, pinned.
    void addPick(glm::dvec2 pixel);
    void removePick(int index);
    void movePick(int index, glm::dvec2 pixel);
    void setActivePick(int index);
    void pinPick();
    void nudgePick(int dx, int dy);
    void clearPicks();
    /// Another active pick: the next (+1) or the previous (-1).
    void stepPick(int direction);
    std::optional<Pick> activePick() const;
    /// The pick that a pane follows: the one it is bound to, else the active one.
    std::optional<Pick> pickOf(const PaneState& pane) const;

    void setHover(const std::optional<Hover>& hover);
    const std::optional<Hover>& hover() const { return hover_; }

    void setContent(int id, PaneContent content);
    const PaneContent& content(int id) const;
    /// Takes a tile of the pane's map; false if it does not fit.
    bool putTile(int id, const Rect& rect, std::span<const float> values);
    /// Dims the panes for which `affected` is true, until their next content.
    void markStale(const std::function<bool(const PaneState&)>& affected);
    /// A map that panes share has grown: draw again.
    void announceTiles() { Q_EMIT changed(); }
    void setProgress(int id, double fraction);

    /// The map that CompareMode::Difference shows where scalars cannot be subtracted: the distance
    /// of features, or why there is none.
    void setComparison(PaneContent content);
    const PaneContent& comparison() const { return comparison_; }

    /// -1 if the pane shows a single component with its sign turned: the values that it shows,
    /// subtracts and exports differences of have this sign.
    float signOf(const PaneState& pane) const;
    /// What the pane draws by itself, with automatic ranges filled in.
    Layer layerOf(int id) const;
    /// Minuend minus subtrahend, point by point; Empty if they are not both scalar maps.
    Layer differenceOf(int minuend, int subtrahend, const PaneState& style) const;
    /// What CompareMode::Difference draws in the selected pane; Empty if there is nothing.
    Layer comparisonLayer() const;
    std::optional<PaneValue> valueAt(int id, glm::dvec2 pixel) const;
    /// The same for a layer that no pane owns (a comparison).
    std::optional<PaneValue> valueIn(const Layer& layer, glm::dvec2 pixel) const;
    /// The numbers of a value, as long as each other within a pane; with `fewerDigits` behind the
    /// point where room is short.
    QStringList valueTexts(int id, const PaneValue& value, int fewerDigits = 0) const;
    /// "0.812", "R 12  G 34  B 56": the value as the readout shows it.
    QString describe(int id, const PaneValue& value) const;
    /// 3 for false colours, 1 for a scalar map, 0 for a photo.
    int rangeCount(int id) const;
    ValueRange rangeOf(int id, int index) const;
    /// Fixes the range (it no longer follows the percentiles).
    void setRange(int id, int index, const ValueRange& range);
    void setAutoRange(int id);
    /// Of the values behind range `index`.
    std::optional<Histogram> histogramAt(int id, int index) const;

Q_SIGNALS:
    void changed(); ///< anything that is visible; follows each of the others
    void layoutChanged();
    void paneChanged(int id);
    void selectionChanged(int id);
    void viewChanged();
    void compareChanged();
    void computeChanged();
    void picksChanged();
    void hoverChanged();
    void contentChanged(int id);
    void photoChanged();
    void historyChanged();

private:
    struct Step {
        WorkspaceState before;
        QString what;
    };
    struct CachedStatistics {
        std::weak_ptr<const MapBuffer> owner;
        std::size_t revision = 0;
        std::array<double, 2> percents{};
        ForegroundMask mask;
        ValueRange range;
        std::optional<Histogram> histogram;
    };

    /// Applies `mutate` to a copy and announces what differs. An empty `what` is not recorded.
    void change(const QString& what, const QString& gesture,
                const std::function<void(WorkspaceState&)>& mutate);
    void adopt(WorkspaceState state);
    static void correct(WorkspaceState& state);
    PaneState* paneIn(WorkspaceState& state, int id) const;
    Box regionOf(const PaneContent& content) const;
    int channelOf(const PaneState& pane, int index) const;
    bool showsColors(const PaneState& pane) const;
    float whiteningOf(const PaneState& pane, int channel) const;
    ValueRange automaticRange(const PaneState& pane, int channel) const;
    CachedStatistics& statistics(const std::shared_ptr<const MapBuffer>& map, int channel) const;

    WorkspaceState state_;
    std::vector<Step> undo_;
    std::vector<Step> redo_;
    QString gesture_;
    int nextId_ = 1;
    std::shared_ptr<const ImagePyramid> photo_;
    std::map<int, PaneContent> contents_;
    PaneContent comparison_;
    std::optional<Hover> hover_;
    bool flipped_ = false;
    mutable std::map<std::pair<const MapBuffer*, int>, CachedStatistics> statistics_;
};

} // namespace loftscope
