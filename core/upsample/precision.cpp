// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

namespace loftscope {

namespace {

constexpr std::array<std::pair<std::string_view, Precision>, 4> precisions{
    {{"fp32", Precision::Fp32},
     {"tf32", Precision::Tf32},
     {"bf16", Precision::Bf16},
     {"fp16", Precision::Fp16}}};

} // namespace

std::vector<std::string> precisionNames() {
    std::vector<std::string> names;
    for (const auto& [name, precision] : precisions)
        names.emplace_back(name);
    return names;
}

Result<Precision> precisionNamed(std::string_view name) {
    for (const auto& [known, precision] : precisions)
        if (known == name) return precision;
    return fail(ErrorCode::InvalidArgument,
                fmt::format("There is no precision '{}': choose one of {}.", name,
                            fmt::join(precisionNames(), ", ")));
}

std::string nameOf(Precision precision) {
    for (const auto& [name, known] : precisions)
        if (known == precision) return std::string(name);
    return "unknown";
}

c10::ScalarType scalarTypeOf(Precision precision) {
    if (precision == Precision::Bf16) return c10::ScalarType::BFloat16;
    return precision == Precision::Fp16 ? c10::ScalarType::Half : c10::ScalarType::Float;
}

bool needsGpu(Precision precision) {
    return precision == Precision::Tf32 || precision == Precision::Fp16;
}

} // namespace loftscope
