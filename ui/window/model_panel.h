// SPDX-License-Identifier: Apache-2.0
// The models in use: what was recognised, from which file.
#pragma once

#include "core/pipeline/engine.h"

#include <QWidget>

#include <map>
#include <string>

class QTreeWidget;

namespace loftscope {

class ModelPanel : public QWidget {
    Q_OBJECT
public:
    explicit ModelPanel(QWidget* parent = nullptr);

    void onAnswer(const EngineEvent& event);
    /// "DINOv2 ViT-S/14 + LoftUp for 384 channels"; empty before anything is loaded.
    QString summary() const;
    /// Everything shown, line by line.
    QString text() const;

Q_SIGNALS:
    void summaryChanged(const QString& summary);
    void openRequested();
    void listRequested(); ///< of the models that are known

private:
    void fill();

    std::map<std::string, ModelDescription> models_; ///< by role
    std::optional<FeaturesReady> features_;
    QTreeWidget* tree_;
};

} // namespace loftscope
