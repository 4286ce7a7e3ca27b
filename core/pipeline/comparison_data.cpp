// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/comparison_data.h"

#include <tuple>
#include <utility>

namespace loftscope {

namespace {

DataModel modelOf(const ModelProvenance& model) {
    return {model.name, model.path.filename().string(), model.sha256};
}

/// Numbers that live as long as somebody holds them.
std::pair<std::shared_ptr<const void>, std::span<const float>> kept(const at::Tensor& tensor) {
    const auto values =
        std::make_shared<const at::Tensor>(tensor.cpu().to(at::kFloat).contiguous());
    return {values, {values->const_data_ptr<float>(), static_cast<std::size_t>(values->numel())}};
}

} // namespace

DataSet dataSetOf(const Scene& scene, const std::vector<ComparedMethod>& methods,
                  const FigureData& data) {
    DataSet set;
    for (const ModelProvenance& model : scene.models)
        if (model.role == "backbone") set.models[""] = modelOf(model);
    for (const ComparedMethod& method : methods)
        if (method.upsampler.provenance)
            set.models[method.key] = modelOf(*method.upsampler.provenance);
    for (const FigureData::Map& map : data.maps) {
        DataMap made;
        made.name = map.name;
        made.pane = map.pane;
        made.unit = map.unit;
        made.basis = map.basis;
        made.pick = map.pick;
        made.methods = map.methods;
        made.scores = map.values.dim() == 3;
        made.extent = {map.values.size(-2), map.values.size(-1)};
        std::tie(made.owner, made.values) = kept(map.values);
        set.maps.push_back(std::move(made));
    }
    for (const auto& [key, basis] : data.bases)
        set.bases.emplace(key, valuesOf(basis));
    set.picks = data.picks;
    for (const FigureData::Weights& each : data.attention) {
        DataWeights weights;
        weights.pick = each.pick;
        weights.method = each.method;
        weights.blocks = static_cast<int>(each.weights.size(0));
        weights.heads = static_cast<int>(each.weights.size(1));
        weights.tokens = {each.weights.size(2), each.weights.size(3)};
        std::span<const float> all;
        std::tie(weights.owner, all) = kept(each.weights);
        const auto pixels = static_cast<std::size_t>(weights.tokens.area());
        for (std::size_t begin = 0; begin < all.size(); begin += pixels)
            weights.maps.push_back(all.subspan(begin, pixels));
        set.attention.push_back(std::move(weights));
    }
    return set;
}

} // namespace loftscope
