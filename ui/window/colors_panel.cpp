// SPDX-License-Identifier: Apache-2.0
#include "ui/window/colors_panel.h"

#include "core/figure/pane_view.h"
#include "ui/window/file_chooser.h"
#include "ui/window/histogram_view.h"
#include "ui/window/toggle_button.h"
#include "ui/window/variance_bars.h"

#include <QButtonGroup>
#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSlider>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::array<const char*, 3> channelNames{"R", "G", "B"};
constexpr const char* basisFiles = "PCA basis (*.safetensors)";

QWidget* rowOf(const std::vector<QWidget*>& widgets, bool stretch = false) {
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(4);
    for (QWidget* widget : widgets)
        layout->addWidget(widget, stretch ? 1 : 0);
    if (!stretch) layout->addStretch(1);
    return row;
}

QLabel* wrapping() {
    auto* label = new QLabel;
    label->setWordWrap(true);
    // The dock decides how wide the text is, not the other way round.
    label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    return label;
}

/// A choice that may be narrower than its longest entry.
QComboBox* choiceBox(const QString& name) {
    auto* box = new QComboBox;
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(1);
    box->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    box->setAccessibleName(name);
    return box;
}

QDoubleSpinBox* numberBox(double low, double high, int decimals, const QString& name) {
    auto* box = new QDoubleSpinBox;
    box->setRange(low, high);
    box->setDecimals(decimals);
    box->setKeyboardTracking(false);
    box->setAccessibleName(name);
    // Its largest number is far longer than those that occur.
    box->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    return box;
}

QFormLayout* formIn(QVBoxLayout* column) {
    auto* form = new QFormLayout;
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(8);
    form->setVerticalSpacing(5);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    column->addLayout(form);
    return form;
}

/// Rows that can be hidden as one.
QVBoxLayout* groupIn(QVBoxLayout* column, QWidget*& group) {
    group = new QWidget;
    column->addWidget(group);
    auto* rows = new QVBoxLayout(group);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(5);
    return rows;
}

/// The fields of all groups stand under each other.
void addRow(QFormLayout* form, const QString& name, QWidget* field) {
    auto* label = new QLabel(name);
    label->setMinimumWidth(64);
    label->setBuddy(field);
    form->addRow(label, field);
}

void setSpan(QDoubleSpinBox* box, double value, double span) {
    const int decimals =
        span > 0 ? std::clamp(static_cast<int>(std::ceil(2.5 - std::log10(span))), 0, 8) : 3;
    box->setDecimals(decimals);
    box->setSingleStep(span > 0 ? span / 100 : 0.01);
    box->setValue(value);
}

} // namespace

ColorsPanel::ColorsPanel(PaneModel* model, Workspace* workspace, QWidget* parent)
    : QWidget(parent)
    , model_(model)
    , workspace_(workspace) {
    setObjectName("colorsPanel");
    auto* column = new QVBoxLayout(this);
    column->setSpacing(8);
    title_ = wrapping();
    QFont bold = title_->font();
    bold.setBold(true);
    title_->setFont(bold);
    column->addWidget(title_);
    nothing_ = wrapping();
    nothing_->setText(tr("The photo is shown as it is. Select a pane with a map to choose its "
                         "colours."));
    column->addWidget(nothing_);
    QVBoxLayout* features = groupIn(column, features_);
    makeBasisRows(features);
    makeComponentRows(features);
    makeScalarRows(formIn(groupIn(column, scalar_)));
    makeRangeRows(groupIn(column, range_));
    makeMaskRows(groupIn(column, maskRows_));
    overlayForm_ = formIn(groupIn(column, overlay_));
    makeOverlayRows(overlayForm_);
    column->addStretch(1);

    soon_.setSingleShot(true);
    soon_.setInterval(0);
    connect(&soon_, &QTimer::timeout, this, &ColorsPanel::refresh);
    connect(model_, &PaneModel::selectionChanged, this, &ColorsPanel::refreshSoon);
    connect(model_, &PaneModel::paneChanged, this, &ColorsPanel::refreshSoon);
    connect(model_, &PaneModel::contentChanged, this, &ColorsPanel::refreshSoon);
    connect(model_, &PaneModel::historyChanged, this, &ColorsPanel::refreshSoon);
    connect(workspace_, &Workspace::scoresChanged, this, &ColorsPanel::refreshSoon);
    refresh();
}

void ColorsPanel::edit(const QString& what, const std::function<void(PaneState&)>& mutate,
                       const QString& gesture) {
    if (filling_) return;
    model_->changeColors(pane().id, mutate, what, gesture);
}

// --- rows -------------------------------------------------------------------------------------

void ColorsPanel::makeBasisRows(QVBoxLayout* rows) {
    together_ = new QCheckBox(tr("For all feature panes"));
    together_->setToolTip(tr("What is chosen here is for all panes of features, so that they can "
                             "be compared; or for the selected one alone."));
    connect(together_, &QCheckBox::toggled, this, [this](bool on) {
        if (!filling_) model_->setColorsTogether(on);
    });
    rows->addWidget(together_);
    QFormLayout* form = formIn(rows);

    basis_ = choiceBox(tr("PCA basis"));
    basis_->setObjectName("basis");
    basis_->setToolTip(tr("Own: each method's own directions. Shared: one set of directions for "
                          "all shown fields. Locked: those of now, for photos to come as well."));
    connect(basis_, &QComboBox::activated, this, [this](int index) {
        const QString chosen = basis_->itemData(index).toString();
        if (chosen == "locked") {
            workspace_->lockBases();
        } else if (chosen == "choose") {
            chooseBasisFile();
            refreshSoon();
        } else {
            edit(tr("Choose basis"), [&](PaneState& each) { each.basis = chosen.toStdString(); });
        }
    });
    addRow(form, tr("Basis"), basis_);
    lock_ = new ToggleButton(tr("Lock"));
    lock_->setObjectName("lockBasis");
    lock_->setToolTip(tr("Keeps the directions of now, also for photos to come (B)."));
    connect(lock_, &QToolButton::clicked, this, [this](bool on) {
        if (on) {
            workspace_->lockBases();
        } else {
            workspace_->setBasis("own");
        }
    });
    save_ = new QPushButton(tr("Save..."));
    save_->setToolTip(tr("Writes the basis of the selected pane to a file."));
    connect(save_, &QPushButton::clicked, this, &ColorsPanel::chooseSaveFile);
    addRow(form, {}, rowOf({lock_, save_}));
    fittedOn_ = wrapping();
    fittedOn_->setToolTip(tr("The fields whose features the directions were fitted to."));
    rows->addWidget(fittedOn_);
    warning_ = wrapping();
    warning_->setObjectName("basisWarning");
    warning_->setText(tr("\u26a0 Learned upsamplers such as LoftUp do not stay in the backbone's "
                         "feature space. In a shared basis, colours may show that difference "
                         "rather than the picture."));
    rows->addWidget(warning_);
}

void ColorsPanel::makeComponentRows(QVBoxLayout* rows) {
    variance_ = new VarianceBars;
    connect(variance_, &VarianceBars::tripleChosen, this, [this](int first) {
        edit(tr("Choose components"), [&](PaneState& each) {
            each.singleComponent = false;
            each.scores.components = {first, first + 1, first + 2};
        });
    });
    connect(variance_, &VarianceBars::componentChosen, this, [this](int component) {
        edit(tr("Choose component"), [&](PaneState& each) { showComponentAlone(each, component); });
    });
    auto* heading = new QLabel(tr("Variance per component, %"));
    heading->setToolTip(tr("The share of the features' variance along each direction."));
    rows->addWidget(heading);
    rows->addWidget(variance_);
    QFormLayout* form = formIn(rows);
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(3);
    for (std::size_t i = 0; i < 3; ++i) {
        components_[i] = choiceBox(tr("Component shown as %1").arg(channelNames[i]));
        components_[i]->setToolTip(tr("Component shown as %1").arg(channelNames[i]));
        connect(components_[i], &QComboBox::activated, this, [this, i](int component) {
            edit(tr("Choose components"), [&](PaneState& each) {
                if (each.singleComponent) {
                    showComponentAlone(each, component);
                } else {
                    each.scores.components[i] = component;
                }
            });
        });
        flips_[i] = new ToggleButton(QString(QChar(0x00B1)));
        flips_[i]->setAccessibleName(tr("Turn the sign of %1").arg(channelNames[i]));
        flips_[i]->setToolTip(tr("Turns the sign of this component, which is arbitrary "
                                 "(Ctrl+%1).")
                                  .arg(i + 1));
        connect(flips_[i], &QToolButton::clicked, this, [this, i] {
            const int component = components_[i]->currentIndex();
            if (component < 0) return;
            edit(tr("Turn sign"), [&](PaneState& each) { each.flips ^= 1U << component; });
        });
        layout->addWidget(components_[i], 1);
        layout->addWidget(flips_[i]);
    }
    addRow(form, tr("R, G, B"), row);
    alone_ = new QCheckBox(tr("One component alone"));
    alone_->setToolTip(tr("The first of the three as a scalar map with a colour bar."));
    connect(alone_, &QCheckBox::toggled, this, [this](bool on) {
        edit(tr("Choose component"), [&](PaneState& each) {
            if (on) {
                showComponentAlone(each, each.scores.components[0]);
            } else {
                each.singleComponent = false;
            }
        });
    });
    addRow(form, {}, alone_);
    scaling_ = choiceBox(tr("Scaling"));
    scaling_->addItem(tr("Linear in the range"));
    scaling_->addItem(tr("Sigmoid"));
    scaling_->setToolTip(tr("Sigmoid of twice the whitened score, as in DINOv3's notebooks."));
    connect(scaling_, &QComboBox::activated, this, [this](int index) {
        edit(tr("Choose scaling"), [&](PaneState& each) {
            each.scores.scaling = index == 1 ? ScoreScaling::Sigmoid : ScoreScaling::Linear;
            // The logistic function wants scores of about one.
            if (index == 1) each.whiten = true;
        });
    });
    addRow(form, tr("Scaling"), scaling_);
    whiten_ = new QCheckBox(tr("Whiten"));
    whiten_->setToolTip(tr("Divides each component by its standard deviation, so that weak ones "
                           "show as strongly as strong ones."));
    connect(whiten_, &QCheckBox::toggled, this, [this](bool on) {
        edit(tr("Whiten"), [&](PaneState& each) {
            each.whiten = on;
            each.autoRange = true;
        });
    });
    addRow(form, {}, whiten_);
}

void ColorsPanel::makeScalarRows(QFormLayout* form) {
    colorMap_ = choiceBox(tr("Colour map"));
    for (const ColorMap map : allColorMaps())
        colorMap_->addItem(QString::fromUtf8(nameOf(map).data()), static_cast<int>(map));
    connect(colorMap_, &QComboBox::activated, this, [this](int index) {
        const auto map = static_cast<ColorMap>(colorMap_->itemData(index).toInt());
        edit(tr("Choose colour map"), [&](PaneState& each) { each.scalar.map = map; });
    });
    addRow(form, tr("Colour map"), colorMap_);
    reversed_ = new QCheckBox(tr("Reversed"));
    connect(reversed_, &QCheckBox::toggled, this, [this](bool on) {
        edit(tr("Reverse colour map"), [&](PaneState& each) { each.scalar.reversed = on; });
    });
    addRow(form, {}, reversed_);
}

void ColorsPanel::makeRangeRows(QVBoxLayout* rows) {
    channel_ = new QButtonGroup(this);
    std::vector<QWidget*> buttons;
    for (int i = 0; i < 3; ++i) {
        auto* button = new ToggleButton(channelNames[static_cast<std::size_t>(i)]);
        button->setChecked(i == 0);
        button->setToolTip(tr("Range of the component that is shown as %1").arg(button->text()));
        channel_->addButton(button, i);
        buttons.push_back(button);
    }
    connect(channel_, &QButtonGroup::idClicked, this, &ColorsPanel::refreshSoon);
    channels_ = rowOf(buttons);
    automatic_ = new ToggleButton(tr("Auto"));
    automatic_->setToolTip(tr("The range follows the percentiles below."));
    connect(automatic_, &QToolButton::clicked, this, [this](bool on) {
        if (on) {
            edit(tr("Automatic range"), [](PaneState& each) { each.autoRange = true; });
        } else {
            const int index = std::max(channel_->checkedId(), 0);
            model_->setRange(pane().id, index, model_->rangeOf(pane().id, index));
        }
    });
    QFormLayout* top = formIn(rows);
    addRow(top, tr("Range"), rowOf({channels_, automatic_}));
    histogram_ = new HistogramView;
    histogram_->setObjectName("rangeHistogram");
    histogram_->setToolTip(tr("How often each value occurs (square root); drag the ends of the "
                              "range."));
    connect(histogram_, &HistogramView::dragged, this, [this](int, float) {
        const auto& values = histogram_->values();
        if (values.size() == 2)
            model_->setRange(pane().id, std::max(channel_->checkedId(), 0), {values[0], values[1]});
    });
    connect(histogram_, &HistogramView::dragEnded, this, [this] {
        model_->endGesture();
        refreshSoon();
    });
    rows->addWidget(histogram_);
    QFormLayout* form = formIn(rows);
    for (std::size_t i = 0; i < 2; ++i) {
        ends_[i] = numberBox(-1e9, 1e9, 3, i == 0 ? tr("Lower end") : tr("Upper end"));
        connect(ends_[i], &QDoubleSpinBox::valueChanged, this, [this] {
            if (filling_) return;
            const ValueRange range{static_cast<float>(ends_[0]->value()),
                                   static_cast<float>(ends_[1]->value())};
            if (range.high >= range.low)
                model_->setRange(pane().id, std::max(channel_->checkedId(), 0), range);
        });
        percents_[i] =
            numberBox(0, 100, 1, i == 0 ? tr("Lower percentile") : tr("Upper percentile"));
        percents_[i]->setSuffix(" %");
        connect(percents_[i], &QDoubleSpinBox::valueChanged, this, [this] {
            const double low = percents_[0]->value();
            const double high = percents_[1]->value();
            if (low >= high) return;
            edit(
                tr("Change percentiles"),
                [&](PaneState& each) {
                    each.lowPercent = low;
                    each.highPercent = high;
                    each.autoRange = true;
                },
                "percentiles");
        });
    }
    addRow(form, tr("Ends"), rowOf({ends_[0], ends_[1]}, true));
    addRow(form, tr("Percentiles"), rowOf({percents_[0], percents_[1]}, true));
}

void ColorsPanel::makeMaskRows(QVBoxLayout* rows) {
    mask_ = new QCheckBox(tr("Foreground mask"));
    mask_->setToolTip(tr("Blackens what is on the other side of a threshold on one component, "
                         "usually the first; the range is taken over the rest."));
    connect(mask_, &QCheckBox::toggled, this, [this](bool on) {
        edit(tr("Foreground mask"), [&](PaneState& each) { each.scores.mask.enabled = on; });
    });
    rows->addWidget(mask_);
    maskComponent_ = choiceBox(tr("Component of the mask"));
    connect(maskComponent_, &QComboBox::activated, this, [this](int index) {
        edit(tr("Foreground mask"), [&](PaneState& each) {
            each.scores.mask.component = index;
            each.scores.mask.threshold = 0;
        });
    });
    maskSide_ = choiceBox(tr("Side that is kept"));
    maskSide_->addItem(tr("above"));
    maskSide_->addItem(tr("below"));
    connect(maskSide_, &QComboBox::activated, this, [this](int index) {
        edit(tr("Foreground mask"),
             [&](PaneState& each) { each.scores.mask.keepAbove = index == 0; });
    });
    threshold_ = numberBox(-1e9, 1e9, 2, tr("Threshold"));
    connect(threshold_, &QDoubleSpinBox::valueChanged, this, [this](double value) {
        if (!filling_) setThreshold(static_cast<float>(value));
    });
    maskForm_ = formIn(rows);
    keep_ = rowOf({maskComponent_, maskSide_, threshold_}, true);
    addRow(maskForm_, tr("Keep"), keep_);
    maskHistogram_ = new HistogramView;
    maskHistogram_->setObjectName("maskHistogram");
    connect(maskHistogram_, &HistogramView::dragged, this,
            [this](int, float value) { setThreshold(value); });
    connect(maskHistogram_, &HistogramView::dragEnded, this, [this] {
        model_->endGesture();
        refreshSoon();
    });
    rows->addWidget(maskHistogram_);
}

void ColorsPanel::makeOverlayRows(QFormLayout* form) {
    opacity_ = new QSlider(Qt::Horizontal);
    opacity_->setObjectName("opacity");
    opacity_->setRange(0, 100);
    opacity_->setAccessibleName(tr("Opacity of the map over the photo"));
    opacity_->setToolTip(tr("Less than all: the map lies over the photo (O)."));
    const auto setPane = [this](const QString& what, const std::function<void(PaneState&)>& mutate,
                                const QString& gesture = {}) {
        if (filling_) return;
        PaneState next = pane();
        mutate(next);
        model_->setPane(next, what, gesture);
    };
    connect(opacity_, &QSlider::valueChanged, this, [setPane](int value) {
        setPane(
            tr("Change opacity"),
            [&](PaneState& each) { each.opacity = static_cast<float>(value) / 100; }, "opacity");
    });
    connect(opacity_, &QSlider::sliderReleased, this, [this] { model_->endGesture(); });
    addRow(form, tr("Opacity"), opacity_);
    transparent_ = new QCheckBox(tr("Low values transparent"));
    connect(transparent_, &QCheckBox::toggled, this, [setPane](bool on) {
        setPane(tr("Overlay"), [&](PaneState& each) { each.scalar.opacityByValue = on; });
    });
    addRow(form, {}, transparent_);
    smooth_ = new QCheckBox(tr("Smooth"));
    smooth_->setToolTip(tr("Interpolates between the map's pixels when they are magnified."));
    connect(smooth_, &QCheckBox::toggled, this, [setPane](bool on) {
        setPane(tr("Smooth"), [&](PaneState& each) { each.smooth = on; });
    });
    addRow(form, {}, smooth_);
}

// --- what is shown ----------------------------------------------------------------------------

void ColorsPanel::refreshSoon() {
    if (!soon_.isActive()) soon_.start();
}

void ColorsPanel::refresh() {
    filling_ = true;
    const PaneState& shown = pane();
    const LayerKind form = model_->content(shown.id).form;
    const bool isFeatures = form == LayerKind::Scores;
    const int ranges = model_->rangeCount(shown.id);
    const QString title = model_->content(shown.id).title;
    title_->setText(title);
    nothing_->setVisible(ranges == 0);
    features_->setVisible(isFeatures);
    scalar_->setVisible(ranges == 1);
    range_->setVisible(ranges > 0);
    maskRows_->setVisible(isFeatures && ranges == 3);
    overlay_->setVisible(ranges > 0);
    if (isFeatures) {
        refreshBasis(shown);
        refreshComponents(shown);
        refreshMask(shown);
    }
    colorMap_->setCurrentIndex(colorMap_->findData(static_cast<int>(shown.scalar.map)));
    reversed_->setChecked(shown.scalar.reversed);
    if (ranges > 0) {
        refreshRange(shown);
        refreshOverlay(shown);
    }
    filling_ = false;
}

void ColorsPanel::refreshBasis(const PaneState& shown) {
    together_->setChecked(model_->state().colorsTogether);
    const QString basis = QString::fromStdString(shown.basis);
    QStringList items{"own", "shared", "locked"};
    basis_->clear();
    basis_->addItem(tr("Own, each method its own"), "own");
    basis_->addItem(tr("Shared by all fields"), "shared");
    basis_->addItem(tr("Locked"), "locked");
    if (basis.startsWith("file:"))
        basis_->addItem(tr("File %1").arg(QFileInfo(basis.mid(5)).fileName()), basis);
    basis_->addItem(tr("From a file..."), "choose");
    basis_->setCurrentIndex(basis_->findData(basis));
    lock_->setChecked(basis == "locked");
    const Answer* answer = workspace_->scoresFor(shown);
    const bool fitted = answer != nullptr && !answer->fittedOn.isEmpty();
    fittedOn_->setText(fitted ? tr("Fitted on %1").arg(answer->fittedOn) : tr("Not fitted yet"));
    save_->setEnabled(fitted);
    bool learned = false;
    for (const PaneState& each : model_->state().panes)
        for (const UsableMethod& method : workspace_->context().methods)
            learned = learned || (kindOf(each).isFeatures && each.method == method.info.key &&
                                  method.info.needsWeights);
    warning_->setVisible(basis == "shared" && learned);
}

void ColorsPanel::refreshComponents(const PaneState& shown) {
    const Answer* answer = workspace_->scoresFor(shown);
    const auto& map = model_->content(shown.id).map;
    const int count = map ? map->channels() : 0;
    std::array<int, 3> components = shown.scores.components;
    if (shown.singleComponent) components.fill(shown.scalar.channel);
    variance_->setShares(answer != nullptr ? answer->shares : std::vector<double>(), components,
                         shown.flips);
    for (std::size_t i = 0; i < 3; ++i) {
        if (components_[i]->count() != count) {
            components_[i]->clear();
            for (int c = 0; c < count; ++c)
                components_[i]->addItem(QString::number(c + 1));
        }
        components_[i]->setCurrentIndex(std::min(components[i], count - 1));
        components_[i]->setEnabled(i == 0 || !shown.singleComponent);
        flips_[i]->setEnabled(components_[i]->isEnabled() && count > 0);
        flips_[i]->setChecked(components[i] < 32 && (shown.flips >> components[i] & 1U) != 0);
    }
    alone_->setChecked(shown.singleComponent);
    scaling_->setCurrentIndex(shown.scores.scaling == ScoreScaling::Sigmoid ? 1 : 0);
    scaling_->setEnabled(!shown.singleComponent);
    whiten_->setChecked(shown.whiten);
    whiten_->setEnabled(!shown.singleComponent);
}

void ColorsPanel::refreshRange(const PaneState& shown) {
    const int count = model_->rangeCount(shown.id);
    channels_->setVisible(count == 3);
    const int index = count == 3 ? std::max(channel_->checkedId(), 0) : 0;
    const ValueRange range = model_->rangeOf(shown.id, index);
    const bool used = count == 1 || shown.scores.scaling == ScoreScaling::Linear;
    range_->setEnabled(used);
    const auto histogram = model_->histogramAt(shown.id, index);
    histogram_->setHistogram(histogram);
    histogram_->setValues({range.low, range.high});
    automatic_->setChecked(shown.autoRange);
    const double span = static_cast<double>(range.high) - static_cast<double>(range.low);
    setSpan(ends_[0], static_cast<double>(range.low), span);
    setSpan(ends_[1], static_cast<double>(range.high), span);
    percents_[0]->setValue(shown.lowPercent);
    percents_[1]->setValue(shown.highPercent);
}

void ColorsPanel::refreshMask(const PaneState& shown) {
    const ForegroundMask& mask = shown.scores.mask;
    const auto& map = model_->content(shown.id).map;
    const int count = map ? map->channels() : 0;
    mask_->setChecked(mask.enabled);
    if (maskComponent_->count() != count) {
        maskComponent_->clear();
        for (int c = 0; c < count; ++c)
            maskComponent_->addItem(tr("PC %1").arg(c + 1));
    }
    maskComponent_->setCurrentIndex(std::min(mask.component, count - 1));
    maskSide_->setCurrentIndex(mask.keepAbove ? 0 : 1);
    maskForm_->setRowVisible(keep_, mask.enabled);
    maskHistogram_->setVisible(mask.enabled);
    if (!mask.enabled || !map) return;
    const Histogram histogram = histogramOf(*map, mask.component);
    maskHistogram_->setHistogram(histogram);
    maskHistogram_->setValues({mask.threshold});
    setSpan(threshold_, static_cast<double>(mask.threshold),
            static_cast<double>(histogram.range.high - histogram.range.low));
}

void ColorsPanel::refreshOverlay(const PaneState& shown) {
    opacity_->setValue(static_cast<int>(std::lround(shown.opacity * 100)));
    transparent_->setChecked(shown.scalar.opacityByValue);
    overlayForm_->setRowVisible(transparent_, model_->rangeCount(shown.id) == 1);
    smooth_->setChecked(shown.smooth);
}

float ColorsPanel::deviationOf(const PaneState& of, int component) const {
    const std::vector<float>& deviations = model_->content(of.id).deviations;
    const auto c = static_cast<std::size_t>(std::max(component, 0));
    return c < deviations.size() && deviations[c] > 0 ? deviations[c] : 1;
}

void ColorsPanel::setThreshold(float threshold) {
    // In another basis the same cut lies as many standard deviations from the mean.
    const float inDeviations = threshold / deviationOf(pane(), pane().scores.mask.component);
    const int id = pane().id;
    edit(
        tr("Foreground mask"),
        [&](PaneState& each) {
            const float scaled = inDeviations * deviationOf(each, each.scores.mask.component);
            each.scores.mask.threshold = each.id == id ? threshold : scaled;
        },
        "threshold");
}

// --- files ------------------------------------------------------------------------------------

void ColorsPanel::chooseBasisFile() {
    chooseFile(window(),
               {.name = "openBasis", .title = tr("Use a PCA basis"), .filter = tr(basisFiles)},
               [this](const QString& path) {
                   const std::string basis = std::string(basisFilePrefix) + path.toStdString();
                   edit(tr("Choose basis"), [&](PaneState& each) { each.basis = basis; });
               });
}

void ColorsPanel::chooseSaveFile() {
    chooseFile(window(),
               {.purpose = ChooseFor::Save,
                .name = "saveBasis",
                .title = tr("Save the PCA basis"),
                .proposal = "basis.safetensors",
                .filter = tr(basisFiles),
                .ending = "safetensors"},
               [this](const QString& path) { workspace_->saveBasis(pane(), path.toStdString()); });
}

QString ColorsPanel::basisText() const {
    return fittedOn_->text();
}

bool ColorsPanel::warns() const {
    return warning_->isVisibleTo(this);
}

} // namespace loftscope
