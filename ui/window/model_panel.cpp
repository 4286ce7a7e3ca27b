// SPDX-License-Identifier: Apache-2.0
#include "ui/window/model_panel.h"

#include "ui/window/size_text.h"

#include <QClipboard>
#include <QFileInfo>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QTreeWidget>
#include <QVBoxLayout>

namespace loftscope {

namespace {

QString textOf(const std::string& text) {
    return QString::fromStdString(text);
}

void addRow(QTreeWidgetItem* group, const QString& name, const QString& value,
            const QString& help = {}) {
    auto* row = new QTreeWidgetItem(group, {name, value});
    row->setToolTip(0, help);
    row->setToolTip(1, value);
}

QTreeWidgetItem* addGroup(QTreeWidget* tree, const QString& role, const QString& name) {
    auto* group = new QTreeWidgetItem(tree, {role, name});
    QFont bold = group->font(0);
    bold.setBold(true);
    group->setFont(0, bold);
    group->setFont(1, bold);
    group->setToolTip(1, name);
    return group;
}

} // namespace

ModelPanel::ModelPanel(QWidget* parent)
    : QWidget(parent)
    , tree_(new QTreeWidget) {
    tree_->setColumnCount(2);
    tree_->setHeaderHidden(true);
    tree_->setRootIsDecorated(false);
    tree_->setIndentation(10);
    tree_->setFrameShape(QFrame::NoFrame);
    tree_->setTextElideMode(Qt::ElideMiddle);
    tree_->setAccessibleName(tr("Models"));
    tree_->header()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
    auto* open = new QPushButton(tr("Open checkpoint..."));
    open->setToolTip(tr("Another backbone or upsampler: recognised from the file itself"));
    auto* list = new QPushButton(tr("Models..."));
    list->setToolTip(tr("Published models: what lies on this computer, and fetching others"));
    auto* copy = new QPushButton(tr("Copy"));
    copy->setToolTip(tr("Copies all of this as text, with whole paths and digests"));
    connect(open, &QPushButton::clicked, this, &ModelPanel::openRequested);
    connect(list, &QPushButton::clicked, this, &ModelPanel::listRequested);
    connect(copy, &QPushButton::clicked, this,
            [this] { QGuiApplication::clipboard()->setText(text()); });
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(open);
    buttons->addWidget(list);
    buttons->addWidget(copy);
    buttons->addStretch(1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addWidget(tree_, 1);
    layout->addLayout(buttons);
    fill();
}

void ModelPanel::onAnswer(const EngineEvent& event) {
    if (const auto* loaded = std::get_if<ModelLoaded>(&event)) {
        models_[loaded->model.role] = loaded->model;
    } else if (const auto* ready = std::get_if<FeaturesReady>(&event)) {
        features_ = *ready;
    } else {
        return;
    }
    fill();
    Q_EMIT summaryChanged(summary());
}

QString ModelPanel::summary() const {
    QStringList names;
    for (const char* role : {"backbone", "upsampler"})
        if (const auto found = models_.find(role); found != models_.end())
            names.append(textOf(found->second.name));
    return names.join(" + ");
}

void ModelPanel::fill() {
    tree_->clear();
    if (models_.empty()) {
        auto* hint = new QTreeWidgetItem(tree_, {tr("Nothing is loaded yet: open a photo.")});
        hint->setFirstColumnSpanned(true);
    }
    for (const char* role : {"backbone", "upsampler"}) {
        const auto found = models_.find(role);
        if (found == models_.end()) continue;
        const ModelDescription& model = found->second;
        QTreeWidgetItem* group = addGroup(
            tree_, model.role == "backbone" ? tr("Backbone") : tr("Upsampler"), textOf(model.name));
        for (const auto& [name, value] : model.facts)
            addRow(group, textOf(name), textOf(value));
        const QFileInfo file(textOf(model.path.string()));
        addRow(group, tr("File"), file.fileName());
        group->child(group->childCount() - 1)->setToolTip(1, file.absoluteFilePath());
        addRow(group, tr("Size"),
               tr("%1 MB").arg(static_cast<double>(model.fileBytes) / 1e6, 0, 'f', 1));
        addRow(group, tr("SHA-256"), textOf(model.sha256),
               tr("The file's fingerprint: the same digest means the same weights"));
        addRow(group, tr("Device"), textOf(model.device));
        addRow(group, tr("Precision"), textOf(model.precision));
    }
    if (features_) {
        QTreeWidgetItem* group = addGroup(tree_, tr("This photo"), {});
        addRow(group, tr("Input"), tr("%1 px").arg(sizeText(features_->input)),
               tr("What the backbone sees: the photo resized to whole patches"));
        addRow(group, tr("Low-res"),
               tr("%1 patch tokens")
                   .arg(sizeText({features_->input.height / features_->patch,
                                  features_->input.width / features_->patch})),
               tr("One feature vector for each patch of the input"));
        addRow(group, tr("Output"), tr("%1 px").arg(sizeText(features_->output)),
               tr("Size of the upsampled maps"));
    }
    tree_->expandAll();
}

QString ModelPanel::text() const {
    QStringList lines;
    for (int i = 0; i < tree_->topLevelItemCount(); ++i) {
        const QTreeWidgetItem* group = tree_->topLevelItem(i);
        lines.append(QString("%1: %2").arg(group->text(0), group->text(1)));
        for (int j = 0; j < group->childCount(); ++j) {
            const QTreeWidgetItem* row = group->child(j);
            lines.append(QString("  %1: %2").arg(row->text(0), row->toolTip(1)));
        }
    }
    return lines.join('\n');
}

} // namespace loftscope
