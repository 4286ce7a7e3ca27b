// SPDX-License-Identifier: Apache-2.0
// The numbers behind the panes, ready to be written on another thread.
#pragma once

#include "core/pipeline/data_files.h"
#include "ui/panes/pane_model.h"

#include <QString>

#include <cstddef>
#include <memory>
#include <vector>

namespace loftscope {

class Workspace;

/// What the panes show, as values that any thread may read: maps that are whole change no more and
/// are shared.
struct DataDraft {
    DataSet set;
    /// Maps of `set` that are one pane minus another, still to be subtracted.
    struct Difference {
        std::size_t map = 0; ///< place in `set`
        std::shared_ptr<const MapBuffer> minuend;
        int minuendChannel = 0;
        float minuendSign = 1; ///< -1 for a component with its sign turned
        std::shared_ptr<const MapBuffer> subtrahend;
        int subtrahendChannel = 0;
        float subtrahendSign = 1;
    };
    std::vector<Difference> differences;
    int unfinished = 0; ///< panes that are left out because their map is not whole yet
};

/// Cheap. Every pick's attention is in it that a pane has shown.
DataDraft dataDraftOf(const PaneModel& model, const Workspace& workspace);

/// Computes the differences. On any thread.
DataSet finished(DataDraft draft);

} // namespace loftscope
