// SPDX-License-Identifier: Apache-2.0
// A field that remembers its tiles within a memory budget, for consumers that walk over it more
// than once.
#pragma once

#include "core/upsample/feature_field.h"

#include <cstddef>
#include <memory>

namespace loftscope {

/// Keeps evaluated rectangles of `field` until `budgetBytes` are used up; later ones are computed
/// each time. Only a rectangle that is asked for again exactly is found, as when the same tiles are
/// walked twice.
std::unique_ptr<FeatureField> makeCachedField(std::unique_ptr<FeatureField> field,
                                              std::size_t budgetBytes);

} // namespace loftscope
