// SPDX-License-Identifier: Apache-2.0
#include "ui/window/data_export.h"

#include "ui/panes/session_state.h"
#include "ui/window/workspace.h"

#include <QCoreApplication>

#include <algorithm>
#include <span>
#include <utility>

namespace loftscope {

namespace {

using What = MapRequest::What;

bool isThere(const Answer& answer) {
    return answer.state == Answer::State::Done && answer.described == answer.asked;
}

/// All channels, which lie one behind the other.
std::span<const float> valuesOf(const MapBuffer& map) {
    return {map.channel(0).data(), static_cast<std::size_t>(map.channels() * map.extent().area())};
}

class Collector {
public:
    Collector(const PaneModel& model, const Workspace& workspace)
        : model_(model)
        , workspace_(workspace) {
        for (const PaneState& pane : model.state().panes)
            places_.push_back(pane.id);
    }

    DataDraft collect() {
        const std::vector<PaneState>& panes = model_.state().panes;
        for (std::size_t i = 0; i < panes.size(); ++i)
            add(i + 1, panes[i]);
        for (const Pick& pick : model_.state().picks)
            draft_.set.picks.push_back({pixelOf(pick), std::to_string(pick.number), pick.color});
        for (const auto& [slot, answer] : workspace_.context().answers)
            addWeights(answer);
        for (const auto& [method, model] : workspace_.models())
            draft_.set.models[method] = {model.name, model.path.filename().string(), model.sha256};
        addOrigin();
        return std::move(draft_);
    }

private:
    Pixel pixelOf(const Pick& pick) const { return pixelContaining(pick.at, model_.photoExtent()); }

    /// The answer that the pane shows; null until it is there.
    const Answer* answerOf(const PaneState& pane) const {
        const auto needs = kindOf(pane).needs(pane, workspace_.context());
        if (needs.empty()) return nullptr;
        const Answer* const answer = workspace_.context().answerTo(needs.front());
        return answer != nullptr && isThere(*answer) && answer->asked == needs.front() ? answer
                                                                                       : nullptr;
    }

    /// Null until it is whole.
    std::shared_ptr<const MapBuffer> mapOf(const PaneState& pane) const {
        const Answer* const answer = answerOf(pane);
        if (answer == nullptr) return nullptr;
        std::shared_ptr<const MapBuffer> map = answer->map;
        if (answer->attention)
            map = answer->attentionMaps[answer->attention->indexOf(pane.block, pane.head)];
        return map && map->complete() ? map : nullptr;
    }

    void add(std::size_t place, const PaneState& pane) {
        const ContentKind& kind = kindOf(pane);
        if (kind.key == "photo") return;
        const auto needs = kind.needs(pane, workspace_.context());
        DataMap made;
        made.pane = textOf(viewOf(pane, places_));
        made.name = dataName(place, made.pane);
        made.unit = model_.content(pane.id).unit.toStdString();
        if (followsPick(pane)) {
            const auto pick = model_.pickOf(pane);
            if (!pick) return; // it waits for one
            const Pixel at = pixelOf(*pick);
            made.pick = std::to_string(at.x) + "," + std::to_string(at.y);
        }
        if (needs.empty()) {
            if (kind.key == "difference") addDifference(std::move(made), pane);
            return;
        }
        const auto map = mapOf(pane);
        if (!map) {
            ++draft_.unfinished;
            return;
        }
        for (const std::string& method : {needs.front().method, needs.front().other})
            if (!method.empty()) made.methods.push_back(method);
        if (kind.isFeatures) {
            made.scores = true;
            made.unit = "score";
            made.basis = basisKey(pane.basis, pane.method);
            if (const SharedBasis basis = answerOf(pane)->basis)
                draft_.set.bases[made.basis] = *basis;
        }
        made.extent = map->extent();
        made.values = valuesOf(*map);
        made.owner = map;
        draft_.set.maps.push_back(std::move(made));
    }

    void addDifference(DataMap made, const PaneState& pane) {
        const PaneState* const a = model_.pane(pane.minuend);
        const PaneState* const b = model_.pane(pane.subtrahend);
        if (a == nullptr || b == nullptr) return;
        const auto first = mapOf(*a);
        const auto second = mapOf(*b);
        if (!first || !second) {
            ++draft_.unfinished;
            return;
        }
        made.unit = model_.content(a->id).unit.toStdString();
        const auto channelOf = [](const PaneState& of, const MapBuffer& map) {
            return of.singleComponent ? std::clamp(of.scalar.channel, 0, map.channels() - 1) : 0;
        };
        draft_.differences.push_back({draft_.set.maps.size(), first, channelOf(*a, *first),
                                      model_.signOf(*a), second, channelOf(*b, *second),
                                      model_.signOf(*b)});
        draft_.set.maps.push_back(std::move(made));
    }

    void addWeights(const Answer& answer) {
        const MapRequest& asked = answer.asked;
        const bool isSelf = asked.what == What::SelfAttention;
        if (!(isSelf || asked.what == What::Attention) || !asked.pixel || !isThere(answer) ||
            !answer.attention)
            return;
        const bool isShown = std::ranges::any_of(model_.state().panes, [&](const PaneState& pane) {
            return isSelf ? pane.kind == "self-attention" && !pane.ofClassToken
                          : pane.kind == "attention" && pane.method == asked.method;
        });
        const auto& picks = model_.state().picks;
        const auto pick = std::ranges::find(picks, asked.pick, &Pick::number);
        if (!isShown || pick == picks.end() || pixelOf(*pick) != *asked.pixel) return;
        DataWeights weights;
        weights.pick = static_cast<std::size_t>(pick - picks.begin());
        if (!isSelf) weights.method = asked.method;
        const AttentionReady& ready = *answer.attention;
        weights.blocks = ready.blocks;
        weights.heads = ready.heads;
        for (int block = 0; block < ready.blocks; ++block) {
            for (int head = 0; head < ready.heads; ++head) {
                const FloatMap& map = *ready.maps[ready.indexOf(block, head)];
                weights.tokens = map.extent;
                weights.maps.emplace_back(map.values);
            }
        }
        weights.owner = answer.attention;
        draft_.set.attention.push_back(std::move(weights));
    }

    void addOrigin() {
        auto& about = draft_.set.about;
        about["program"] =
            ("loftscope " + QCoreApplication::applicationVersion()).trimmed().toStdString();
        about["photo"] = workspace_.photoName().toStdString();
        about["precision"] = model_.state().compute.precision;
        if (const auto& features = workspace_.features())
            about["input"] = std::to_string(features->input.width) + " x " +
                             std::to_string(features->input.height);
        const std::string notes = workspace_.photoNotes().join(' ').toStdString();
        if (!notes.empty()) about["notes"] = notes;
    }

    const PaneModel& model_;
    const Workspace& workspace_;
    std::vector<int> places_;
    DataDraft draft_;
};

/// Each map in the pixels of the finer one.
std::vector<float> subtracted(const DataDraft::Difference& difference, const Extent& extent) {
    const auto sample = [&](const MapBuffer& map, int channel, std::int64_t x, std::int64_t y) {
        const Extent size = map.extent();
        return map.at(channel, {x * size.width / extent.width, y * size.height / extent.height});
    };
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(extent.area()));
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x)
            values.push_back(difference.minuendSign *
                                 sample(*difference.minuend, difference.minuendChannel, x, y) -
                             difference.subtrahendSign * sample(*difference.subtrahend,
                                                                difference.subtrahendChannel, x,
                                                                y));
    return values;
}

} // namespace

DataDraft dataDraftOf(const PaneModel& model, const Workspace& workspace) {
    return Collector(model, workspace).collect();
}

DataSet finished(DataDraft draft) {
    for (const DataDraft::Difference& difference : draft.differences) {
        const Extent a = difference.minuend->extent();
        const Extent b = difference.subtrahend->extent();
        DataMap& map = draft.set.maps[difference.map];
        map.extent = {std::max(a.height, b.height), std::max(a.width, b.width)};
        const auto values =
            std::make_shared<const std::vector<float>>(subtracted(difference, map.extent));
        map.values = *values;
        map.owner = values;
    }
    return std::move(draft.set);
}

} // namespace loftscope
