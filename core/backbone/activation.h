// SPDX-License-Identifier: Apache-2.0
// What an MLP does between its two matrices.
#pragma once

#include <string_view>

namespace loftscope {

enum class Activation {
    Gelu,      ///< exact: x Phi(x)
    GeluTanh,  ///< its approximation by tanh
    QuickGelu, ///< x sigmoid(1.702 x), of OpenAI's CLIP
};

/// "GELU", "GELU (tanh)", "QuickGELU"
std::string_view nameOf(Activation activation);

} // namespace loftscope
