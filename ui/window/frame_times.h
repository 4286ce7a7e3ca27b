// SPDX-License-Identifier: Apache-2.0
// How long the panes take to paint while a user zooms and pans.
#pragma once

#include "core/base/error.h"

#include <QString>

#include <vector>

class QJsonObject;

namespace loftscope {

class MainWindow;

struct FrameTimes {
    std::vector<double> wallMs;      ///< of each frame: from the event until it is on screen
    std::vector<double> processorMs; ///< meanwhile, in time of all the program's threads
};

/// Paints up to `count` frames (fewer where the window system left some out), one after each wheel
/// or drag event on the pane with this id: zoom in at its middle, pan, zoom out again. The view
/// ends where it began, but for rounding.
FrameTimes measureFrames(MainWindow& window, int pane, int count);

/// `times` must not be empty. Medians, 95th percentiles and largest values, with the renderer, the
/// panes and the size of the canvas in device pixels that they belong to.
QJsonObject describeFrames(MainWindow& window, const FrameTimes& times);

} // namespace loftscope
