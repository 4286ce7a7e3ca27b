// SPDX-License-Identifier: Apache-2.0
#include "ui/window/file_chooser.h"

#include <QFileDialog>

namespace loftscope {

void chooseFile(QWidget* parent, const FileQuestion& question,
                const std::function<void(const QString& path)>& chosen) {
    auto* dialog = new QFileDialog(parent, question.title, question.folder, question.filter);
    dialog->setObjectName(question.name);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    switch (question.purpose) {
    case ChooseFor::Open:
        dialog->setFileMode(QFileDialog::ExistingFile);
        break;
    case ChooseFor::Save:
        dialog->setAcceptMode(QFileDialog::AcceptSave);
        dialog->setDefaultSuffix(question.ending);
        if (!question.proposal.isEmpty()) dialog->selectFile(question.proposal);
        break;
    case ChooseFor::Folder:
        dialog->setFileMode(QFileDialog::Directory);
        dialog->setOption(QFileDialog::ShowDirsOnly);
        break;
    }
    QObject::connect(dialog, &QFileDialog::fileSelected, parent, chosen);
    dialog->open();
}

} // namespace loftscope
