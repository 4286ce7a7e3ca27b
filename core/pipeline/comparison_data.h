// SPDX-License-Identifier: Apache-2.0
// The numbers behind a figure, ready to be written.
#pragma once

#include "core/pipeline/comparison.h"
#include "core/pipeline/data_files.h"

namespace loftscope {

/// What `compareMethods` noted, with the models that took part. `about` is left empty.
DataSet dataSetOf(const Scene& scene, const std::vector<ComparedMethod>& methods,
                  const FigureData& data);

} // namespace loftscope
