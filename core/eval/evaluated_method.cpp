// SPDX-License-Identifier: Apache-2.0
#include "core/eval/evaluated_method.h"

#include "core/upsample/interpolation.h"

#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

Result<std::vector<EvaluatedMethod>> evaluatedMethods(const std::vector<std::string>& texts,
                                                      c10::Device device, Precision precision,
                                                      const RunContext& context) {
    std::vector<EvaluatedMethod> methods;
    for (const std::string& text : texts) {
        const std::size_t equals = text.find('=');
        const std::string weights = equals == std::string::npos ? "" : text.substr(equals + 1);
        std::string key = text.substr(0, equals);
        EvaluatedMethod method;
        if (const std::size_t colon = key.find(':'); colon != std::string::npos) {
            method.name = key.substr(0, colon);
            key.erase(0, colon + 1);
        }
        if (key == "lowres") {
            if (!weights.empty())
                return fail(
                    ErrorCode::InvalidArgument,
                    fmt::format("The method lowres has no weights: leave out '{}'.", weights));
            if (method.name.empty()) method.name = "Low-res";
        } else {
            // Methods without weights compute in fp32 anyway, which needs no warning here.
            LOFTSCOPE_TRY(LoadedUpsampler loaded,
                          loadUpsampler(key, weights, device, context,
                                        weights.empty() ? Precision::Fp32 : precision));
            if (method.name.empty()) method.name = titleOf(*loaded.model);
            method.upsampler = std::move(loaded.model);
            method.provenance = std::move(loaded.provenance);
            method.warnings = std::move(loaded.warnings);
        }
        if (std::ranges::find(methods, method.name, &EvaluatedMethod::name) != methods.end())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The method '{}' is given twice: name one of them, e.g. "
                                    "second:{}.",
                                    method.name, text));
        methods.push_back(std::move(method));
    }
    if (methods.empty())
        return fail(ErrorCode::InvalidArgument,
                    "There is nothing to evaluate: give at least one method.");
    return methods;
}

Result<std::unique_ptr<FeatureField>> fieldOf(const EvaluatedMethod& method, const FeatureGrid& low,
                                              const Guidance& guidance) {
    if (!method.upsampler) return makeGridField(low);
    return method.upsampler->bind(low, guidance);
}

} // namespace loftscope
