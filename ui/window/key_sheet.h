// SPDX-License-Identifier: Apache-2.0
// Every key and mouse gesture on one page, made from the commands themselves.
#pragma once

#include <QDialog>

namespace loftscope {

class Commands;

class KeySheet : public QDialog {
    Q_OBJECT
public:
    KeySheet(const Commands& commands, QWidget* parent);
};

} // namespace loftscope
