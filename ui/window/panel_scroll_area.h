// SPDX-License-Identifier: Apache-2.0
// What a panel of any height lives in.
#pragma once

#include <QScrollArea>

namespace loftscope {

/// Scrolls up and down. The room of the scroll bar is always kept, the bar seen where it is needed:
/// contents whose height follows from their width would otherwise make it come and go for ever.
class PanelScrollArea : public QScrollArea {
public:
    explicit PanelScrollArea(QWidget* content);
};

} // namespace loftscope
