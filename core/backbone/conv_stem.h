// SPDX-License-Identifier: Apache-2.0
// Convolutions between the picture and a ViT's patch embedding, after "Early convolutions help
// transformers see better" (arXiv 2106.14881): so a small network learns edges and textures from
// fewer photos than with one large kernel. Keys: `stem.STAGE.down`, `stem.STAGE.blocks.N.norm` and
// `.conv`, `stem.STAGE.norm`.
#pragma once

#include "core/backbone/stem_spec.h"

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <functional>
#include <string>
#include <vector>

namespace loftscope {

/// What the patch embedding gets to see: B x channels of the last stage x H/2^n x W/2^n of
/// `pictures` (B x 3 x H x W, sides multiples of 2^n for n stages), fp32. Every stage is a 4 x 4
/// convolution with stride 2, whose cells lie centred on the pixels they stand for, then residual
/// blocks x + conv3x3(GELU(LayerNorm(x))), then LayerNorm and GELU. `parameter` gives the tensor of
/// a key. `arithmetic`: of the convolutions. Without stages, `pictures` itself. Differentiable.
at::Tensor convStem(const std::vector<StemStage>& stages,
                    const std::function<at::Tensor(const std::string&)>& parameter,
                    const at::Tensor& pictures, at::ScalarType arithmetic);

} // namespace loftscope
