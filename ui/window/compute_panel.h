// SPDX-License-Identifier: Apache-2.0
// With what the features are computed, and what that took.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/times_table.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QSpinBox;

namespace loftscope {

class ComputePanel : public QWidget {
    Q_OBJECT
public:
    /// `devices`: those that exist, by name. `model` must outlive the panel.
    ComputePanel(PaneModel* model, const QStringList& devices, QWidget* parent = nullptr);

    void onAnswer(const EngineEvent& event);
    QSpinBox* inputSize() const { return input_; }
    QSpinBox* outputSize() const { return output_; }
    QComboBox* precision() const { return precision_; }
    TimesTable* times() const { return times_; }

private:
    void apply();
    void follow();
    void showResult();

    PaneModel* model_;
    std::optional<FeaturesReady> features_;
    QSpinBox* input_;
    QSpinBox* output_;
    QComboBox* device_;
    QComboBox* precision_;
    QLabel* result_;
    TimesTable* times_;
};

} // namespace loftscope
