// SPDX-License-Identifier: Apache-2.0
// The numbers behind the panes as files.
#pragma once

#include "core/base/error.h"
#include "core/pipeline/model_description.h"
#include "ui/panes/pane_model.h"

#include <filesystem>
#include <map>
#include <string>

namespace loftscope {

/// Writes the map of every pane that has one to `folder` as .npy, with how it was made in
/// NAME.npy.json beside: scores as components x H x W, others as H x W. Names are those of
/// `render --data` ("3-similarity-loftup.npy"); panes whose map is not whole yet are left out.
/// Returns how many were written. Errors: WriteFailed.
Result<int> exportData(const PaneModel& model, const std::string& photo,
                       const std::map<std::string, ModelDescription>& models,
                       const std::filesystem::path& folder);

} // namespace loftscope
