// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/radio.h"

#include "core/backbone/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

namespace {

constexpr double radioLayerNormEps = 1e-6;

const VitNames& names() {
    static const VitNames radio{"blocks.",
                                {{"register_tokens", {{"patch_generator.cls_token.token"}}},
                                 {"pos_embed", {{"patch_generator.pos_embed"}}},
                                 {"patch_embed.proj", {{"patch_generator.embedder"}}}}};
    return radio;
}

struct RadioSpec {
    std::string name;
    std::string prefix; ///< "base_model.", or "radio_model.model." in Hugging Face's files
    std::int64_t patch = 0;
    std::int64_t depth = 0;
    std::int64_t heads = 0;
    std::int64_t prefixTokens = 0; ///< one summary per teacher, and registers
    VitBlockShape block;
    std::int64_t tableSide = 0;
    Normalisation normalisation;
    bool norm = false; ///< a last norm, which the releases up to 2.5 do without
};

VitRules rulesForRadio(const VitNaming& naming, const RadioSpec& spec) {
    VitRules rules(naming);
    const std::int64_t c = spec.block.width;
    rules.add("register_tokens", {spec.prefixTokens, c});
    rules.add("pos_embed", {1, spec.tableSide * spec.tableSide, c});
    rules.add("patch_embed.proj.weight", {c, 3 * spec.patch * spec.patch});
    rules.addBlocks(spec.depth, spec.block);
    if (spec.norm) rules.addNorm("norm", c);
    return rules;
}

class Radio final : public TransformerBackbone {
public:
    Radio(const RadioSpec& spec, const WeightScope& root, std::vector<TransformerBlock> blocks,
          c10::Device device)
        : TransformerBackbone({.name = spec.name,
                               .patch = spec.patch,
                               .width = spec.block.width,
                               .channels = spec.block.width,
                               .heads = spec.heads,
                               .prefixTokens = spec.prefixTokens,
                               .normalisation = spec.normalisation},
                              std::move(blocks), device) {
        const std::int64_t c = spec.block.width;
        prefix_ = root("register_tokens", {spec.prefixTokens, c}).to(device);
        table_ = root("pos_embed", {1, spec.tableSide * spec.tableSide, c})
                     .view({1, spec.tableSide, spec.tableSide, c})
                     .permute({0, 3, 1, 2})
                     .contiguous()
                     .to(device);
        // A linear layer over channel, row and column of a patch is a convolution's weight.
        patchWeight_ = root["patch_embed"]["proj"]("weight", {c, 3 * spec.patch * spec.patch})
                           .view({c, 3, spec.patch, spec.patch})
                           .to(device);
        if (spec.norm) norm_ = readLayerNorm(root["norm"], c, radioLayerNormEps, device);
    }

private:
    /// The table, resized to the square that the grid's longer side spans, and of that the upper
    /// left corner: patches keep their aspect, as in the crops of training.
    at::Tensor places(const Extent& grid) const {
        at::Tensor table = table_;
        if (grid != Extent{table.size(2), table.size(3)}) {
            const std::int64_t longest = std::max(grid.height, grid.width);
            table = at::upsample_bilinear2d(table, {longest, longest}, false)
                        .slice(2, 0, grid.height)
                        .slice(3, 0, grid.width);
        }
        return table.flatten(2)[0].t();
    }

    at::Tensor embed(const at::Tensor& picture, const Extent& grid) const override {
        return at::cat({prefix_, patchRows(picture, patchWeight_, {}) + places(grid)}, 0);
    }

    at::Tensor finish(const at::Tensor& tokens) const override {
        return norm_.weight.defined() ? norm_(tokens) : tokens;
    }

    at::Tensor prefix_; ///< prefix tokens x C
    at::Tensor table_;  ///< 1 x C x side x side
    at::Tensor patchWeight_;
    LayerNorm norm_;
};

Result<std::unique_ptr<Backbone>> buildRadio(const StateDict& state, const RadioSpec& spec,
                                             c10::Device device) {
    const VitNaming naming(state, names(), spec.prefix);
    return buildTransformer(state, rulesForRadio(naming, spec).rules(), spec.name, spec.depth,
                            spec.block, radioLayerNormEps, device,
                            [&](const WeightScope& root, std::vector<TransformerBlock> blocks) {
                                return std::make_unique<Radio>(spec, root, std::move(blocks),
                                                               device);
                            });
}

/// The three numbers of `input_conditioner.NAME`; nothing where they are not there.
std::optional<std::array<float, 3>> conditioner(const StateDict& state, const std::string& name) {
    const std::string ending = "input_conditioner." + name;
    const auto prefix = prefixBefore(state, ending);
    if (!prefix) return std::nullopt;
    const at::Tensor stored = state.find(*prefix + ending)->second;
    if (stored.numel() != 3) return std::nullopt;
    const at::Tensor values = stored.to(at::kCPU, at::kFloat).flatten().contiguous();
    const float* const data = values.const_data_ptr<float>();
    return std::array{data[0], data[1], data[2]};
}

} // namespace

Recognition<BackboneCandidate> recogniseRadio(const StateDict& state,
                                              const BackboneChoices& /*choices*/) {
    auto prefix = prefixBefore(state, "patch_generator.embedder.weight");
    if (!prefix) return std::nullopt;
    RadioSpec spec;
    spec.prefix = *std::move(prefix);
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported, fmt::format("This looks like RADIO, but {}.", reason));
    };
    const auto hasKeyWith = [&](std::string_view piece) {
        return std::ranges::any_of(state,
                                   [&](const auto& entry) { return entry.first.contains(piece); });
    };
    // What some releases add is refused rather than passed over.
    if (state.contains(spec.prefix + "patch_generator.embedder.bias"))
        return unusable("it is built on DINOv2's giant, which is not supported");
    if (hasKeyWith("parametrizations."))
        return unusable("its layers are stored as products that training normalises: save it with "
                        "the products multiplied out");
    if (hasKeyWith("feature_normalizer.tx"))
        return unusable("it rotates its features at the end, which is not supported");
    if (hasKeyWith(".mlp.norm.")) return unusable("its MLPs have norms, which is not supported");
    const VitNaming naming(state, names(), spec.prefix);
    const auto projection = naming.shape("patch_embed.proj.weight");
    const auto side = projection.size() == 2 && projection[1] % 3 == 0
                          ? squareRoot(projection[1] / 3)
                          : std::nullopt;
    if (!side) return unusable("its patch embedding is not for square RGB patches");
    spec.patch = *side;
    const std::int64_t width = projection[0];
    const auto table = naming.shape("pos_embed");
    const auto tableSide = squareRoot(table.size() == 3 ? table[1] : 0);
    if (!tableSide) return unusable("its position table is not a square grid");
    spec.tableSide = *tableSide;
    const auto tokens = naming.shape("register_tokens");
    if (tokens.size() != 2) return unusable("it has no summary tokens");
    spec.prefixTokens = tokens[0];
    spec.depth = naming.depth();
    if (spec.depth == 0) return unusable("it has no blocks");
    // The huge and the SO400M size have 16 heads; others have 64 channels each.
    spec.heads = width == 1280 || width == 1152 ? 16 : width / 64;
    if (spec.heads < 1 || width % spec.heads != 0)
        return unusable(fmt::format("its width {} does not divide into heads", width));
    const auto block = blockShape(naming, width);
    if (!block || block->swiglu) return unusable("its first block has no MLP that is known here");
    spec.block = *block;
    spec.norm = naming.has("norm.weight");
    const auto mean = conditioner(state, "norm_mean");
    const auto deviation = conditioner(state, "norm_std");
    spec.normalisation = mean && deviation ? Normalisation{*mean, *deviation} : clipNormalisation;
    spec.name = fmt::format("RADIO ViT-{}/{}", vitSizeName(width, spec.depth), spec.patch);

    BackboneCandidate candidate;
    ModelIdentity& identity = candidate.identity;
    identity.family = "radio";
    identity.name = spec.name;
    identity.lineage = "RADIO";
    identity.facts = {{"patch", spec.patch},
                      {"width", width},
                      {"depth", spec.depth},
                      {"heads", spec.heads},
                      {"summary_tokens", spec.prefixTokens},
                      {"layer_scale", spec.block.layerScale},
                      {"last_norm", spec.norm},
                      {"mlp_hidden", spec.block.hidden},
                      {"position_grid", Extent{spec.tableSide, spec.tableSide}},
                      {"key_prefix", spec.prefix}};
    identity.account = accountOf(state, rulesForRadio(naming, spec).rules());
    // Heads for the teachers' features and the conditioner lie beside the backbone.
    std::erase_if(identity.account.surplus, [&](const std::string& key) {
        return !key.starts_with(spec.prefix) || key.contains("input_conditioner.");
    });
    if (!mean || !deviation)
        identity.warnings.emplace_back("This RADIO comes without its input conditioner; pictures "
                                       "are normalised as for CLIP, which is its default.");
    candidate.build = [state, spec](c10::Device device) { return buildRadio(state, spec, device); };
    return candidate;
}

} // namespace loftscope
