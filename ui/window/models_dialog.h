// SPDX-License-Identifier: Apache-2.0
// The models that are known by name: what they are, under which licence, where they lie, and how to
// get those that are not there.
#pragma once

#include "core/store/model_places.h"
#include "ui/window/model_fetcher.h"

#include <QDialog>

#include <functional>

class QCheckBox;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QTreeWidget;
class QTreeWidgetItem;

namespace loftscope {

class ModelsDialog : public QDialog {
    Q_OBJECT
public:
    /// Another address for a model's file; empty: its publisher's.
    using Address = std::function<std::string(const KnownModel& model)>;

    explicit ModelsDialog(std::function<ModelPlaces()> places, Address address = {},
                          QWidget* parent = nullptr);

    /// Looks again at what lies where.
    void refresh();
    /// Selects a model by its name; false if it is not listed.
    bool choose(const QString& name);
    /// What is said about the selected one, line by line.
    QString text() const;

    QLineEdit* filter() const { return filter_; }
    QTreeWidget* list() const { return list_; }
    QCheckBox* licence() const { return licence_; }
    QProgressBar* progress() const { return progress_; }
    QPushButton* fetchButton() const { return fetch_; }
    QPushButton* useButton() const { return use_; }
    QPushButton* cancelButton() const { return cancel_; }

Q_SIGNALS:
    /// A checkpoint to be opened: it lies there, or has just been fetched.
    void chosen(const QString& path);

private:
    const KnownModel* selected() const;
    QTreeWidgetItem* itemOf(const QString& name) const;
    void applyFilter();
    /// Which buttons make sense, and what is said about the selected model.
    void showSelected();
    void fetch();
    void use();
    void onFetched(const QString& path);
    void say(const QString& text);

    std::function<ModelPlaces()> places_;
    Address address_;
    ModelFetcher fetcher_;
    const KnownModel* fetching_ = nullptr;
    QLineEdit* filter_;
    QTreeWidget* list_;
    QLabel* about_;
    QCheckBox* licence_;
    QProgressBar* progress_;
    QLabel* message_;
    QPushButton* fetch_;
    QPushButton* use_;
    QPushButton* cancel_;
};

} // namespace loftscope
