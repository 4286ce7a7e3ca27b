// SPDX-License-Identifier: Apache-2.0
// What goes into an exported figure, with a live preview. Choices are remembered.
#pragma once

#include "ui/window/figure_writer.h"

#include <QDialog>
#include <QSettings>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace loftscope {

/// Choices and the ending of the last export ("png"), as they are remembered.
struct ExportChoices {
    FigureChoices figure;
    QString format = "png";
};
ExportChoices rememberedChoices(const QSettings& settings);
void remember(const ExportChoices& choices, QSettings& settings);

class ExportDialog : public QDialog {
    Q_OBJECT
public:
    using DraftMaker = std::function<FigureDraft(const FigureChoices&)>;

    /// `settings` must outlive the dialog. `draft` makes the figure of what the window shows now.
    ExportDialog(DraftMaker draft, QSettings* settings, QWidget* parent = nullptr);
    ~ExportDialog() override;

    ExportChoices choices() const;
    void setChoices(const ExportChoices& choices);
    /// The window shows something else: the preview is drawn anew.
    void refresh();
    /// The last preview; null before the first.
    const QImage& previewImage() const { return preview_; }

Q_SIGNALS:
    /// The user wants it in a file; the ending is the one that was chosen.
    void saveRequested(const loftscope::FigureDraft& draft, const QString& format);
    void copyRequested(const loftscope::FigureDraft& draft);

protected:
    void resizeEvent(QResizeEvent* event) override;
    void showEvent(QShowEvent* event) override;

private:
    void showPreview();
    void changed();

    DraftMaker draft_;
    QSettings* settings_;
    QComboBox* panes_ = nullptr;
    QComboBox* part_ = nullptr;
    QSpinBox* columns_ = nullptr;
    QLineEdit* title_ = nullptr;
    QCheckBox* details_ = nullptr;
    QCheckBox* bars_ = nullptr;
    QCheckBox* picks_ = nullptr;
    QCheckBox* notes_ = nullptr;
    QComboBox* format_ = nullptr;
    QComboBox* detail_ = nullptr;
    QComboBox* width_ = nullptr;
    QLabel* size_ = nullptr;
    QLabel* view_ = nullptr;
    QPushButton* save_ = nullptr;
    QPushButton* copy_ = nullptr;
    QImage preview_;
    bool quiet_ = false; ///< while fields are set by the program
    FigureWriter writer_;
};

} // namespace loftscope
