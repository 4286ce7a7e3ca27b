// SPDX-License-Identifier: Apache-2.0
// An upsampler that takes part in an evaluation.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/pipeline/models.h"
#include "core/upsample/feature_field.h"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct EvaluatedMethod {
    std::string name; ///< in tables; unique within an evaluation
    /// Nothing for "lowres": the coarse grid as it is.
    std::shared_ptr<const Upsampler> upsampler;
    std::optional<ModelProvenance> provenance;
    std::vector<std::string> warnings;

    /// Its features are averages of tokens with weights that do not depend on them (interpolation,
    /// joint bilateral): a linear map of the features may then be taken of the tokens instead.
    bool averagesTokens() const { return !provenance; }
};

/// `METHOD`, `METHOD=WEIGHTS` or `NAME:METHOD=WEIGHTS`, where METHOD is "lowres" or one of
/// upsamplerMethods() and NAME is what tables call it. Methods with weights compute in
/// `precision`. Errors: those of loadUpsampler, InvalidArgument (a name that occurs twice).
Result<std::vector<EvaluatedMethod>> evaluatedMethods(const std::vector<std::string>& texts,
                                                      c10::Device device,
                                                      Precision precision = Precision::Fp32,
                                                      const RunContext& context = {});

/// The method's field over a picture. Errors: those of Upsampler::bind.
Result<std::unique_ptr<FeatureField>> fieldOf(const EvaluatedMethod& method, const FeatureGrid& low,
                                              const Guidance& guidance);

} // namespace loftscope
