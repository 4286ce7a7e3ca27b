// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/comparison_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace loftscope {

namespace {

/// Keys of the methods in the order of their first mention.
std::vector<std::string> columnsOf(const std::vector<ComparedMethod>& methods) {
    std::vector<std::string> keys;
    for (const ComparedMethod& method : methods) {
        if (std::ranges::find(keys, method.key) == keys.end()) keys.push_back(method.key);
    }
    return keys;
}

/// The methods of that key, those without a warning for this scene's backbone first.
std::vector<ComparedMethod> candidatesOf(const Scene& scene,
                                         const std::vector<ComparedMethod>& methods,
                                         const std::string& key) {
    std::vector<ComparedMethod> candidates;
    std::ranges::copy_if(methods, std::back_inserter(candidates),
                         [&](const ComparedMethod& method) { return method.key == key; });
    std::ranges::stable_partition(candidates, [&](const ComparedMethod& method) {
        Scene tried = scene;
        warnOfFit(tried, method.upsampler);
        return tried.warnings.size() == scene.warnings.size();
    });
    return candidates;
}

FigurePane emptyPane(const Scene& scene, const ComparedMethod& method) {
    constexpr std::uint8_t grey = 236;
    const Extent extent = scene.guidance.extent;
    FigurePane pane;
    pane.picture =
        Image(extent, std::vector<std::uint8_t>(static_cast<std::size_t>(3 * extent.area()), grey));
    pane.title = titleOf(*method.upsampler.model);
    pane.subtitle = fmt::format("none for {} channels was given", scene.low.channels());
    return pane;
}

} // namespace

Result<FigureSpec> compareMatrix(const std::vector<Scene>& scenes,
                                 const std::vector<ComparedMethod>& methods,
                                 const ComparisonRequest& request, const RunContext& context) {
    if (scenes.empty())
        return fail(ErrorCode::InvalidArgument, "No backbone to compare was given.");
    const std::vector<std::string> columns = columnsOf(methods);
    ComparisonRequest part = request;
    FigureSpec figure;
    for (const Scene& scene : scenes) {
        part.plan.panes.clear();
        LOFTSCOPE_TRY(FigureSpec row, compareMethods(scene, {}, part, context));
        for (const std::string& key : columns) {
            const std::vector<ComparedMethod> candidates = candidatesOf(scene, methods, key);
            bool found = false;
            for (const ComparedMethod& method : candidates) {
                Scene warned = scene;
                warnOfFit(warned, method.upsampler);
                part.plan.panes = {panesOf(FigurePlan(), {method}).back()};
                Result<FigureSpec> made = compareMethods(warned, {method}, part, context);
                if (!made && made.error().code == ErrorCode::Mismatch) continue;
                if (!made) return std::unexpected(made.error());
                std::ranges::move(made->panes, std::back_inserter(row.panes));
                row.notes.insert(row.notes.end(), made->notes.begin(), made->notes.end());
                found = true;
                break;
            }
            if (!found) row.panes.push_back(emptyPane(scene, candidates.front()));
        }
        appendRow(figure, std::move(row), request.plan,
                  scene.backbone ? scene.backbone->name() : std::string("features"));
    }
    return figure;
}

} // namespace loftscope
