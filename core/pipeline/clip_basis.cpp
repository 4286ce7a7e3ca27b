// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/clip_basis.h"

#include "core/base/guard.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::int64_t sampledPixels = 20'000; ///< of each frame, for the percentiles

double percentileOf(const at::Tensor& sorted, double percent) {
    const auto last = static_cast<double>(sorted.size(0) - 1);
    return sorted[std::lround(percent / 100 * last)].item<double>();
}

} // namespace

Result<void> lockOverClip(const Clip& clip, const SceneRequest& request,
                          const std::vector<ComparedMethod>& methods, ComparisonRequest& comparison,
                          std::int64_t samples, const RunContext& context) {
    return guarded("fitting one basis over the clip", [&]() -> Result<void> {
        FigurePlan& plan = comparison.plan;
        plan.panes = panesOf(plan, methods);
        const std::int64_t components = componentsOf(plan.panes);
        std::vector<std::string> wanted;
        for (const PlannedPane& pane : plan.panes)
            if (pane.view.kind == PaneView::Kind::Features &&
                std::ranges::find(wanted, pane.view.method) == wanted.end())
                wanted.push_back(pane.view.method);
        const RunContext quiet{context.stop, {}};
        const std::int64_t count = std::min(samples, clip.frames());
        const auto eachField =
            [&](std::string_view stage,
                const std::function<void(const std::string&, const FeatureField&)>& use)
            -> Result<void> {
            for (std::int64_t i = 0; i < count; ++i) {
                context.throwIfStopped();
                context.progress(stage, static_cast<double>(i) / static_cast<double>(count));
                SceneRequest of = request;
                LOFTSCOPE_TRY(of.photo, clip.frame((2 * i + 1) * clip.frames() / (2 * count)));
                LOFTSCOPE_TRY(const Scene scene, makeScene(of, quiet));
                for (const std::string& method : wanted) {
                    std::unique_ptr<FeatureField> field = makeGridField(scene.low);
                    if (method != "lowres") {
                        const auto found = std::ranges::find(methods, method, &ComparedMethod::key);
                        if (found == methods.end())
                            return fail(ErrorCode::InvalidArgument,
                                        fmt::format("A pane needs the method {0}: add --upsampler "
                                                    "{0}.",
                                                    method));
                        LOFTSCOPE_TRY(field, bindField(scene, *found->upsampler.model, quiet));
                    }
                    use(method, *field);
                }
            }
            return {};
        };

        std::map<std::string, Moments> moments;
        LOFTSCOPE_CHECK(eachField(
            "one basis over the clip", [&](const std::string& method, const FeatureField& field) {
                Moments& moment = moments.try_emplace(method, field.channels()).first->second;
                forEachTile(field, wholeOf(field.extent()), comparison.tile, "", quiet,
                            [&](const Rect&, const at::Tensor& block) { moment.add(block); });
            }));
        for (const auto& [method, moment] : moments) {
            PcaBasis basis = basisFromMoments(moment.mean(), moment.secondMoment(),
                                              std::min(components, moment.channels()));
            basis.fittedOn = fmt::format("{} frames of the clip", count);
            comparison.lockedBases.insert_or_assign(method, std::move(basis));
        }

        std::map<std::string, std::vector<at::Tensor>> scores; // k x pixels, of each frame
        LOFTSCOPE_CHECK(eachField(
            "one range over the clip", [&](const std::string& method, const FeatureField& field) {
                auto projected =
                    projectField(comparison.lockedBases.at(method), field, comparison.tile, quiet);
                if (!projected) return;
                const at::Tensor flat = projected->flatten(1);
                const std::int64_t step = std::max<std::int64_t>(flat.size(1) / sampledPixels, 1);
                scores[method].push_back(flat.slice(1, 0, flat.size(1), step).cpu().contiguous());
            }));
        for (PlannedPane& pane : plan.panes) {
            PaneView& view = pane.view;
            if (view.kind != PaneView::Kind::Features) continue;
            view.basis = "locked";
            if (!view.ranges.empty() || view.sigmoid) continue;
            const at::Tensor all = at::cat(scores.at(view.method), 1);
            const at::Tensor variances = comparison.lockedBases.at(view.method).variances;
            const std::vector<int> shown =
                view.component ? std::vector<int>{*view.component}
                               : std::vector<int>(view.components.begin(), view.components.end());
            for (const int component : shown) {
                if (component >= all.size(0)) break;
                const at::Tensor sorted = std::get<0>(all[component].sort());
                const double deviation = std::sqrt(variances[component].item<double>());
                const double factor =
                    view.whiten && !view.component && deviation > 0 ? 1 / deviation : 1;
                view.ranges.push_back({percentileOf(sorted, view.lowPercent) * factor,
                                       percentileOf(sorted, view.highPercent) * factor});
            }
            if (view.ranges.size() != shown.size()) view.ranges.clear();
        }
        return {};
    });
}

} // namespace loftscope
