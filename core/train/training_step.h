// SPDX-License-Identifier: Apache-2.0
// What every optimiser step has in common, whatever is trained.
#pragma once

#include "core/train/batch_share.h"
#include "core/train/optimizer.h"
#include "core/train/trainer.h"

#include <ATen/core/Tensor.h>

#include <functional>

namespace loftscope {

/// Of one batch: with gradients, and its parts by name.
struct BatchLoss {
    at::Tensor total;
    LossReport parts;
};

struct StepOptions {
    BatchShare share;
    double learningRate = 0;
    double clip = 0; ///< largest norm of the gradients; 0: none
};

/// Gradients of this process' batches of the next step, summed over the processes, clipped and
/// applied. `trained`: what the optimiser holds. `loss` is called with each batch's index. The
/// parts of a loss must have the same names in all processes. Errors: those of `loss`, Internal
/// (not finite), Cancelled.
Result<StepReport> takeStep(Optimizer& optimizer, const StateDict& trained,
                            const ProcessGroup& group, const StepOptions& options,
                            const std::function<Result<BatchLoss>(std::int64_t batchIndex)>& loss,
                            const RunContext& context);

/// Tensors of `part` under `prefix` + their key, without history.
void addPrefixed(StateDict& state, const std::string& prefix, const StateDict& part);
/// The tensors of `state` whose keys begin with `prefix`, without it.
StateDict withoutPrefix(const StateDict& state, const std::string& prefix);
/// Copies `from` into the tensors of `into`, key by key; keys that begin with `except` are left
/// out. Errors: Mismatch (something is missing or misshapen; nothing is copied then).
Result<void> copyState(const StateDict& into, const StateDict& from, const std::string& except);

} // namespace loftscope
