// SPDX-License-Identifier: Apache-2.0
#include "ui/window/data_writer.h"

#include <QDir>
#include <QFileInfo>

#include <algorithm>

namespace loftscope {

namespace {

/// `folder`, or a new one in it if it has files of these names.
QString freeFolder(const QString& folder, const DataSet& data, const std::string& format) {
    const QDir directory(folder);
    const auto isTaken = [&](const std::string& name) {
        return QFileInfo::exists(directory.filePath(QString::fromStdString(name)));
    };
    if (!std::ranges::any_of(dataFileNames(data, format), isTaken)) return folder;
    const auto photo = data.about.find("photo");
    QString stem = photo == data.about.end()
                       ? QString()
                       : QFileInfo(QString::fromStdString(photo->second)).completeBaseName();
    stem = (stem.isEmpty() ? QString("photo") : stem).replace(' ', '_') + "_data";
    QString path = directory.filePath(stem);
    for (int number = 2; QFileInfo::exists(path); ++number)
        path = directory.filePath(QString("%1_%2").arg(stem).arg(number));
    return path;
}

} // namespace

DataWriter::DataWriter(QObject* parent)
    : QObject(parent) {
    pool_.setMaxThreadCount(1);
}

DataWriter::~DataWriter() {
    stop_.request_stop();
    pool_.waitForDone();
}

void DataWriter::write(DataDraft draft, const QString& folder, const QString& format) {
    ++jobs_;
    pool_.start([this, draft = std::move(draft), folder, format,
                 context = RunContext{stop_.get_token(), {}}]() mutable {
        const std::string ending = format.toStdString();
        const DataSet data = finished(std::move(draft));
        const QString free = freeFolder(folder, data, ending);
        const auto done = writeDataFiles(free.toStdString(), data, ending, context);
        const QString trouble = done ? QString() : QString::fromStdString(done.error().message);
        const int files = done ? static_cast<int>(done->size()) : 0;
        QMetaObject::invokeMethod(
            this,
            [this, trouble, files, free] {
                --jobs_;
                if (trouble.isEmpty()) {
                    Q_EMIT written(files, free);
                } else {
                    Q_EMIT failed(trouble);
                }
            },
            Qt::QueuedConnection);
    });
}

} // namespace loftscope
