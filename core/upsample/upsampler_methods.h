// SPDX-License-Identifier: Apache-2.0
// The registry of upsampling methods. A new one is one entry in upsampler_methods.cpp.
#pragma once

#include "core/upsample/feature_field.h"
#include "core/weights/model_identity.h"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace loftscope {

/// An upsampler that was recognised in a checkpoint and can be built.
struct UpsamplerCandidate {
    ModelIdentity identity;
    /// Errors: Mismatch naming what is missing or misshapen; Unsupported.
    std::function<Result<std::unique_ptr<Upsampler>>(c10::Device, c10::ScalarType arithmetic)>
        build;
    bool anyArithmetic = false; ///< false: it computes in fp32 whatever `arithmetic`
};

/// How a method is asked for by name, and how it comes to be: exactly one of `make` and `recognise`
/// is there.
struct UpsamplerMethod {
    std::string_view name;
    std::string_view title; ///< as a heading: "LoftUp"
    std::string_view description;
    std::unique_ptr<Upsampler> (*make)() = nullptr; ///< methods without weights
    Recognition<UpsamplerCandidate> (*recognise)(const StateDict& state) =
        nullptr; ///< methods with weights
    /// What comes out are averages of tokens, so that what is known of tokens (their likeness to a
    /// text) holds for it. Of others a warning is due.
    bool averagesTokens = true;

    bool needsWeights() const { return recognise != nullptr; }
};

/// Every method there is, in the order in which they are listed to users.
const std::vector<UpsamplerMethod>& upsamplerMethods();

} // namespace loftscope
