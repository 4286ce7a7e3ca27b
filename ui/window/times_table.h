// SPDX-License-Identifier: Apache-2.0
// What the last requests took, stage by stage, newest first.
#pragma once

#include "core/pipeline/engine.h"

#include <QTreeWidget>

namespace loftscope {

class TimesTable : public QTreeWidget {
    Q_OBJECT
public:
    explicit TimesTable(QWidget* parent = nullptr);

    /// Takes part in RequestEnded. Repetitions of a quick request, such as picks, are one entry.
    void onAnswer(const EngineEvent& event);
};

} // namespace loftscope
