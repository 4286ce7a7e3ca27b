// SPDX-License-Identifier: Apache-2.0
// Pictures to watch a training run by.
#pragma once

#include "core/backbone/backbone.h"
#include "core/train/backbone_trainer.h"
#include "core/train/trainable_loftup.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace loftscope {

/// One row of panes: photo | low-resolution features | bilinear | LoftUp, 3 x H x (4 W), fp32,
/// 0..1. Features are shown by their first three principal components; low resolution and bilinear
/// share a basis, LoftUp has its own (it leaves the backbone's feature space). `picture`: 3 x H x
/// W, 0..1, sides multiples of the patch. Throws as LibTorch does.
at::Tensor previewRow(const Backbone& backbone, const TrainableLoftUp& model,
                      const at::Tensor& picture, c10::Device device);

/// One row of panes: photo | the average student's tokens, as they are and bilinear | every target,
/// as it is. 3 x H x (panes W), fp32, 0..1. Throws as LibTorch does.
at::Tensor previewRow(const BackboneTrainer& trainer, const at::Tensor& picture,
                      c10::Device device);

} // namespace loftscope
