// SPDX-License-Identifier: Apache-2.0
// Asking for a file without stopping the window: what is being computed goes on arriving.
#pragma once

#include <QString>

#include <functional>

class QWidget;

namespace loftscope {

enum class ChooseFor { Open, Save, Folder };

struct FileQuestion {
    ChooseFor purpose = ChooseFor::Open;
    QString name = {}; ///< object name of the dialog
    QString title = {};
    QString folder = {};   ///< to begin in; empty: where the last question ended
    QString proposal = {}; ///< file name to save under
    QString filter = {};   ///< "Photos (*.png *.jpg);;All files (*)"
    QString ending = {};   ///< appended to a name without one, to save: "png"
};

/// Shows the dialog over `parent`; `chosen` is called with the path unless the user gives up.
/// Saving asks before it overwrites.
void chooseFile(QWidget* parent, const FileQuestion& question,
                const std::function<void(const QString& path)>& chosen);

} // namespace loftscope
