// SPDX-License-Identifier: Apache-2.0
// DINOv2 (arXiv 2304.07193), with and without registers (arXiv 2309.16588), and plain ViTs of the
// same build. Members carry the names of the official checkpoint's keys; other layouts are renamed
// before they come here.
#pragma once

#include "core/backbone/backbone_families.h"
#include "core/backbone/vit_spec.h"
#include "core/weights/state_dict.h"

#include <c10/core/Device.h>

#include <memory>

namespace loftscope {

/// Builds the backbone from canonical (DINOv2 hub) key names. Errors: Mismatch naming what is
/// missing or misshapen.
Result<std::unique_ptr<Backbone>> makeDinov2(const StateDict& state, const VitSpec& spec,
                                             c10::Device device = c10::kCPU);

/// Recognises it in any of its layouts.
Recognition<BackboneCandidate> recogniseVitModel(const StateDict& state,
                                                 const BackboneChoices& choices);

} // namespace loftscope
