// SPDX-License-Identifier: Apache-2.0
#include "ui/window/data_export.h"

#include "core/figure/pane_view.h"
#include "core/pipeline/map_array_file.h"
#include "ui/panes/session_state.h"

#include <algorithm>
#include <span>
#include <vector>

namespace loftscope {

namespace {

void addModel(std::map<std::string, std::string>& about, const std::string& role,
              const std::map<std::string, ModelDescription>& models, const std::string& method) {
    const auto found = models.find(method);
    if (found == models.end()) return;
    about[role] = found->second.name;
    about[role + "_file"] = found->second.path.filename().string();
    about[role + "_sha256"] = found->second.sha256;
}

} // namespace

Result<int> exportData(const PaneModel& model, const std::string& photo,
                       const std::map<std::string, ModelDescription>& models,
                       const std::filesystem::path& folder) {
    const std::vector<PaneState>& panes = model.state().panes;
    std::vector<int> places;
    for (const PaneState& pane : panes)
        places.push_back(pane.id);
    int written = 0;
    for (std::size_t i = 0; i < panes.size(); ++i) {
        const PaneState& pane = panes[i];
        const PaneContent& content = model.content(pane.id);
        if (content.map == nullptr || !content.map->complete()) continue;
        const MapBuffer& map = *content.map;
        const std::string view = textOf(viewOf(pane, places));
        std::map<std::string, std::string> about{
            {"photo", photo}, {"pane", view}, {"unit", content.unit.toStdString()}};
        if (const auto pick = model.pickOf(pane))
            about["pick"] = std::to_string(static_cast<std::int64_t>(pick->at.x)) + "," +
                            std::to_string(static_cast<std::int64_t>(pick->at.y));
        addModel(about, "backbone", models, {});
        if (!pane.method.empty()) addModel(about, "upsampler", models, pane.method);
        std::string name = std::to_string(i + 1) + "-" + view.substr(0, view.find_first_of("@;"));
        std::ranges::replace(name, ':', '-');
        // Channels lie one behind the other.
        const std::span<const float> first = map.channel(0);
        LOFTSCOPE_CHECK(writeMapArray(
            folder / (name + ".npy"), map.channels(), map.extent(),
            {first.data(), first.size() * static_cast<std::size_t>(map.channels())}, about));
        ++written;
    }
    return written;
}

} // namespace loftscope
