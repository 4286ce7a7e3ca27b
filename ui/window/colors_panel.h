// SPDX-License-Identifier: Apache-2.0
// The panel of the selected pane's colours: PCA basis, components, scaling, range, mask; or colour
// map and range of a scalar map. Every choice is a uniform of the shader: nothing is recomputed but
// a basis.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/workspace.h"

#include <QTimer>
#include <QWidget>

#include <array>
#include <functional>

class QButtonGroup;
class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QFormLayout;
class QLabel;
class QPushButton;
class QSlider;
class QToolButton;
class QVBoxLayout;

namespace loftscope {

class HistogramView;
class VarianceBars;

class ColorsPanel : public QWidget {
    Q_OBJECT
public:
    /// Both must outlive the widget.
    ColorsPanel(PaneModel* model, Workspace* workspace, QWidget* parent = nullptr);

    /// Asks for a file; `setBasis` and `saveBasis` without asking are the workspace's.
    void chooseBasisFile();
    void chooseSaveFile();
    /// What the user reads about the basis: for tests.
    QString basisText() const;
    bool warns() const;

private:
    void makeBasisRows(QVBoxLayout* rows);
    void makeComponentRows(QVBoxLayout* rows);
    void makeScalarRows(QFormLayout* form);
    void makeRangeRows(QVBoxLayout* rows);
    void makeMaskRows(QVBoxLayout* rows);
    void makeOverlayRows(QFormLayout* form);
    /// Shows the state soon, once for many changes.
    void refreshSoon();
    void refresh();
    void refreshBasis(const PaneState& pane);
    void refreshComponents(const PaneState& pane);
    void refreshRange(const PaneState& pane);
    void refreshMask(const PaneState& pane);
    void refreshOverlay(const PaneState& pane);
    /// A change of the selected pane's colours, and of the others' that go with it.
    void edit(const QString& what, const std::function<void(PaneState&)>& mutate,
              const QString& gesture = {});
    void setThreshold(float threshold);
    float deviationOf(const PaneState& pane, int component) const;
    const PaneState& pane() const { return model_->selectedPane(); }

    PaneModel* model_;
    Workspace* workspace_;
    QTimer soon_;
    bool filling_ = false; ///< the widgets are being set, not used

    QLabel* title_ = nullptr;
    QLabel* nothing_ = nullptr;
    QWidget* features_ = nullptr; ///< rows of feature panes
    QWidget* scalar_ = nullptr;   ///< rows of scalar maps
    QWidget* range_ = nullptr;    ///< rows of both
    QWidget* maskRows_ = nullptr;
    QWidget* overlay_ = nullptr;

    QCheckBox* together_ = nullptr;
    QComboBox* basis_ = nullptr;
    QToolButton* lock_ = nullptr;
    QPushButton* save_ = nullptr;
    QLabel* fittedOn_ = nullptr;
    QLabel* warning_ = nullptr;
    VarianceBars* variance_ = nullptr;
    std::array<QComboBox*, 3> components_{};
    std::array<QToolButton*, 3> flips_{};
    QCheckBox* alone_ = nullptr;
    QComboBox* scaling_ = nullptr;
    QCheckBox* whiten_ = nullptr;
    QComboBox* colorMap_ = nullptr;
    QCheckBox* reversed_ = nullptr;
    QButtonGroup* channel_ = nullptr;
    QWidget* channels_ = nullptr;
    HistogramView* histogram_ = nullptr;
    std::array<QDoubleSpinBox*, 2> ends_{};
    std::array<QDoubleSpinBox*, 2> percents_{};
    QToolButton* automatic_ = nullptr;
    QFormLayout* maskForm_ = nullptr;
    QWidget* keep_ = nullptr;
    QFormLayout* overlayForm_ = nullptr;
    QCheckBox* mask_ = nullptr;
    QComboBox* maskComponent_ = nullptr;
    QComboBox* maskSide_ = nullptr;
    QDoubleSpinBox* threshold_ = nullptr;
    HistogramView* maskHistogram_ = nullptr;
    QSlider* opacity_ = nullptr;
    QCheckBox* transparent_ = nullptr;
    QCheckBox* smooth_ = nullptr;
};

} // namespace loftscope
