// SPDX-License-Identifier: Apache-2.0
// The smallest backbone there can be: what CONTRIBUTING.md tells a newcomer to write. Its feature
// is a linear map of each patch's mean colour.
#pragma once

#include "core/backbone/backbone_families.h"
#include "core/base/guard.h"
#include "core/weights/state_dict.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/matmul.h>

namespace loftscope::test {

class ToyBackbone final : public Backbone {
public:
    explicit ToyBackbone(at::Tensor weight)
        : weight_(std::move(weight)) {}

    std::string name() const override { return "Toy"; }
    std::int64_t patch() const override { return 8; }
    std::int64_t channels() const override { return weight_.size(0); }

    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps& taps,
                               const RunContext& context) const override {
        LOFTSCOPE_CHECK(checkPicture(*this, picture));
        LOFTSCOPE_CHECK(refuseTaps(*this, taps));
        return guarded("running the toy", [&] {
            context.throwIfStopped();
            const at::Tensor means = at::avg_pool2d(picture, patch())[0]; // 3 x h x w
            BackboneOutput output;
            output.tokens.values = at::matmul(weight_, means.flatten(1))
                                       .view({channels(), means.size(1), means.size(2)});
            return output;
        });
    }

private:
    at::Tensor weight_; ///< channels x 3
};

inline Recognition<BackboneCandidate> recogniseToy(const StateDict& state,
                                                   const BackboneChoices& /*choices*/) {
    if (!state.contains("toy.weight")) return std::nullopt;
    BackboneCandidate candidate;
    candidate.identity = {.family = "toy", .name = "Toy"};
    const WeightScope weights(state);
    const at::Tensor weight = weights["toy"]("weight", {-1, 3});
    candidate.identity.account = weights.account();
    candidate.build = [weight](c10::Device device) -> Result<std::unique_ptr<Backbone>> {
        return std::make_unique<ToyBackbone>(weight.to(device));
    };
    return candidate;
}

} // namespace loftscope::test
