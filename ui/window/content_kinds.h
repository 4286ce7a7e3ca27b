// SPDX-License-Identifier: Apache-2.0
// What a pane can show. One entry of the table in content_kinds.cpp is all there is to a kind: its
// place in the menu, what has to be computed for it and how the answer is shown.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/answers.h"

#include <QString>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// A method and whether it can be asked for.
struct UsableMethod {
    MethodInfo info;
    bool usable = true; ///< its checkpoint is there
};

/// What kinds look things up in.
struct KindContext {
    const PaneModel& model;
    const Answers& answers;
    const std::optional<FeaturesReady>& features;
    const std::vector<UsableMethod>& methods;

    /// Null if it was never asked for.
    const Answer* answerTo(const MapRequest& request) const;
    /// "LoftUp", "Bilinear", "Low-res".
    QString labelOf(const std::string& method) const;
};

/// An entry of a pane's menu.
struct PaneChoice {
    QString label;
    QString tip;
    bool enabled = true;
    PaneState pane; ///< what the pane becomes; id, view and the like stay its own
};

struct ContentKind {
    std::string_view key;     ///< PaneState::kind
    QString name;             ///< menu heading
    QString tip;              ///< one sentence for a newcomer
    bool isFeatures = false;  ///< PCA scores: components, basis
    bool hasHeads = false;    ///< blocks and heads to choose from
    bool followsPick = false; ///< can be bound to one
    /// For the menu of a pane; 0: of one to be added.
    std::vector<PaneChoice> (*choices)(const KindContext&, int pane);
    std::vector<MapRequest> (*needs)(const PaneState&, const KindContext&);
    PaneContent (*content)(const PaneState&, const KindContext&);
};

const std::vector<ContentKind>& contentKinds();
/// Of a key that is in no table (a file of a newer program) the photo's.
const ContentKind& kindOf(const PaneState& pane);
/// Whether the pane depends on the picked pixel as it is set now.
bool followsPick(const PaneState& pane);

/// A new pane of a kind with the colours that suit it.
PaneState paneShowing(std::string_view kind, const std::string& method = {});
/// `choice` in the place of `pane`, which keeps what is not of its kind alone: view, components,
/// basis, the pick that it follows.
PaneState changedTo(const PaneState& pane, const PaneState& choice);

/// Shows one component of a feature pane as a scalar map.
void showComponentAlone(PaneState& pane, int component);

/// The scores that a feature pane shows.
MapRequest scoresRequest(const PaneState& pane, const KindContext& context);
/// The distance between two feature panes; nothing if they are not both.
std::optional<MapRequest> distanceRequest(const PaneState& a, const PaneState& b,
                                          const KindContext& context);
/// What is shown for the distance between two panes that cannot be subtracted.
PaneContent distanceContent(const PaneState& a, const PaneState& b, const KindContext& context);

} // namespace loftscope
