// SPDX-License-Identifier: Apache-2.0
#include "core/weights/matrix_product.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>

#include <optional>
#include <string_view>

namespace loftscope {

namespace {

using Product = at::Tensor(const at::Tensor& x, const at::Tensor& weight,
                           const std::optional<at::Tensor>& bias, std::string_view operation,
                           c10::List<std::optional<at::Scalar>> scalars,
                           std::optional<std::string_view> algorithm);

/// An operator that LibTorch registers, if this LibTorch has it in the form that is known here.
template <typename Signature>
std::optional<c10::TypedOperatorHandle<Signature>> registered(const char* name) {
    const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
    if (!found) return std::nullopt;
    try {
        return found->typed<Signature>();
    } catch (const std::exception&) {
        return std::nullopt; // another LibTorch, another signature
    }
}

std::optional<c10::TypedOperatorHandle<Product>> findOneDnnProduct() {
    const auto found = registered<Product>("mkldnn::_linear_pointwise");
    return found && found->hasKernelForDispatchKey(c10::DispatchKey::CPU) ? found : std::nullopt;
}

/// Whether oneDNN multiplies bf16 on this processor: it needs AVX-512 and refuses elsewhere.
bool oneDnnKnowsBf16() {
    const auto supported = registered<bool()>("mkldnn::_is_mkldnn_bf16_supported");
    return supported && supported->call();
}

} // namespace

at::Tensor linearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    static const auto oneDnn = findOneDnnProduct();
    const at::Tensor input = x.to(weight.scalar_type());
    const bool differentiated =
        c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
    // Half precision in fp16 is native on few processors; LibTorch knows which.
    const bool known = weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kBFloat16;
    if (!oneDnn || differentiated || !known || !weight.is_cpu() || input.numel() == 0)
        return at::linear(input, weight, bias);
    static const bool bf16 = oneDnnKnowsBf16();
    if (weight.scalar_type() == at::kBFloat16 && !bf16) {
        // LibTorch's own bf16 products are many times slower than fp32 ones there.
        return linearProduct(input.to(at::kFloat), weight.to(at::kFloat),
                             bias.defined() ? bias.to(at::kFloat) : bias)
            .to(at::kBFloat16);
    }
    return oneDnn->call(input, weight,
                        bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, "none",
                        c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

} // namespace loftscope
