// SPDX-License-Identifier: Apache-2.0
#include "core/train/activation_checkpoint.h"

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace loftscope {

namespace {

using Body = std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>;

/// The body travels through autograd's context as a reference-counted object.
struct BodyHolder final : torch::CustomClassHolder {
    explicit BodyHolder(Body wrapped)
        : body(std::move(wrapped)) {}
    Body body;
};

struct Recompute : torch::autograd::Function<Recompute> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& first,
                              const at::Tensor& second,
                              const c10::intrusive_ptr<BodyHolder>& holder) {
        context->save_for_backward({first, second});
        context->saved_data["body"] = c10::IValue::make_capsule(holder);
        return holder->body(first, second); // gradients are off in here
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        const auto holder =
            c10::static_intrusive_pointer_cast<BodyHolder>(context->saved_data["body"].toCapsule());
        const torch::autograd::variable_list saved = context->get_saved_variables();
        const at::Tensor first = saved[0].detach().set_requires_grad(true);
        const at::Tensor second = saved[1].detach().set_requires_grad(saved[1].requires_grad());
        at::Tensor output;
        {
            const at::AutoGradMode on(true);
            output = holder->body(first, second);
        }
        // Leaf parameters collect their gradients here, as in the outer backward pass.
        output.backward(gradients.front());
        return {first.grad(), second.grad(), at::Tensor()};
    }
};

} // namespace

at::Tensor recomputedInBackward(Body body, const at::Tensor& first, const at::Tensor& second) {
    return Recompute::apply(first, second, c10::make_intrusive<BodyHolder>(std::move(body)));
}

} // namespace loftscope
