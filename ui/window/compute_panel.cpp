// SPDX-License-Identifier: Apache-2.0
#include "ui/window/compute_panel.h"

#include "core/kernel/processor.h"
#include "ui/window/size_text.h"

#include <QComboBox>
#include <QFormLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QVBoxLayout>

namespace loftscope {

namespace {

QSpinBox* sizeBox(const QString& name, const QString& help) {
    auto* box = new QSpinBox;
    box->setRange(0, static_cast<int>(largestSize));
    box->setSuffix(ComputePanel::tr(" px"));
    // A value is meant when it is finished: every one costs seconds.
    box->setKeyboardTracking(false);
    box->setAccessibleName(name);
    box->setToolTip(help);
    return box;
}

} // namespace

ComputePanel::ComputePanel(PaneModel* model, const QStringList& devices, QWidget* parent)
    : QWidget(parent)
    , model_(model)
    , input_(sizeBox(tr("Input size"),
                     tr("Short side of what the backbone sees; a larger input has more patch "
                        "tokens and takes longer")))
    , output_(sizeBox(tr("Output size"), tr("Short side of the upsampled maps")))
    , device_(new QComboBox)
    , precision_(new QComboBox)
    , result_(new QLabel)
    , times_(new TimesTable) {
    input_->setObjectName("inputSize");
    output_->setObjectName("outputSize");
    device_->setObjectName("deviceBox");
    input_->setMinimum(16);
    input_->setSingleStep(16);
    output_->setSingleStep(32);
    output_->setSpecialValueText(tr("as the input"));
    device_->addItems(devices);
    device_->setAccessibleName(tr("Device"));
    device_->setToolTip(tr("Where is computed; the models are read again for another device"));
    precision_->setObjectName("precisionBox");
    precision_->addItems({"fp32", "bf16"});
    if (devices.size() > 1) precision_->addItems({"tf32", "fp16"}); // GPUs only
    precision_->setAccessibleName(tr("Precision"));
    precision_->setToolTip(tr("Arithmetic of upsamplers with a checkpoint: fp32 as the reference, "
                              "the others quicker and rounded; panes say which"));
    result_->setObjectName("computeResult");
    result_->setWordWrap(true);
    result_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* form = new QFormLayout;
    form->setLabelAlignment(Qt::AlignLeft);
    form->addRow(tr("&Input, short side"), input_);
    form->addRow(tr("&Output, short side"), output_);
    form->addRow(tr("&Device"), device_);
    form->addRow(tr("&Precision"), precision_);
    auto* heading = new QLabel(tr("Time and memory"));
    QFont bold = heading->font();
    bold.setBold(true);
    heading->setFont(bold);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(8, 8, 8, 6);
    layout->addLayout(form);
    layout->addWidget(result_);
    layout->addSpacing(6);
    layout->addWidget(heading);
    layout->addWidget(times_, 1);

    connect(input_, &QSpinBox::valueChanged, this, &ComputePanel::apply);
    connect(output_, &QSpinBox::valueChanged, this, &ComputePanel::apply);
    connect(device_, &QComboBox::currentTextChanged, this, &ComputePanel::apply);
    connect(precision_, &QComboBox::currentTextChanged, this, &ComputePanel::apply);
    connect(model_, &PaneModel::computeChanged, this, &ComputePanel::follow);
    follow();
}

void ComputePanel::onAnswer(const EngineEvent& event) {
    times_->onAnswer(event);
    if (const auto* ready = std::get_if<FeaturesReady>(&event)) {
        features_ = *ready;
        input_->setSingleStep(static_cast<int>(ready->patch));
        showResult();
    }
}

void ComputePanel::apply() {
    model_->setCompute({input_->value(), output_->value(), device_->currentText().toStdString(),
                        precision_->currentText().toStdString()});
}

void ComputePanel::follow() {
    const ComputeSettings& settings = model_->state().compute;
    const QSignalBlocker quietInput(input_);
    const QSignalBlocker quietOutput(output_);
    const QSignalBlocker quietDevice(device_);
    const QSignalBlocker quietPrecision(precision_);
    input_->setValue(static_cast<int>(settings.inputSize));
    output_->setValue(static_cast<int>(settings.outputSize));
    device_->setCurrentText(QString::fromStdString(settings.device));
    precision_->setCurrentText(QString::fromStdString(settings.precision));
    showResult();
}

void ComputePanel::showResult() {
    QString text = tr("Sizes are rounded to whole patches; the photo keeps its shape.");
    if (features_) {
        text = tr("Now: input %1, %2 patch tokens, output %3 px.")
                   .arg(sizeText(features_->input),
                        sizeText({features_->input.height / features_->patch,
                                  features_->input.width / features_->patch}),
                        sizeText(features_->output));
    }
    if (precision_->currentText() == "bf16" && device_->currentText() == "cpu" && emulatesBf16()) {
        text += ' ' + tr("This processor has no bf16 instructions (AVX512-BF16): fp32 is quicker "
                         "here.");
    }
    result_->setText(text);
}

} // namespace loftscope
