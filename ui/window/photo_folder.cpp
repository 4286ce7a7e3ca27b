// SPDX-License-Identifier: Apache-2.0
#include "ui/window/photo_folder.h"

#include <QCollator>
#include <QDir>
#include <QFileInfo>
#include <QLocale>

#include <algorithm>

namespace loftscope {

const QStringList& photoEndings() {
    static const QStringList endings{"png", "jpg", "jpeg", "tif", "tiff", "webp",
                                     "bmp", "ppm", "pgm",  "pnm", "jp2"};
    return endings;
}

const QStringList& checkpointEndings() {
    static const QStringList endings{"safetensors", "pth", "pt", "ckpt", "bin"};
    return endings;
}

QStringList photosIn(const QString& folder) {
    QStringList names;
    const QStringList files = QDir(folder).entryList(QDir::Files | QDir::Readable);
    for (const QString& name : files)
        if (photoEndings().contains(QFileInfo(name).suffix().toLower())) names.append(name);
    QCollator order{QLocale(QLocale::English)}; // the C locale does not count
    order.setNumericMode(true);
    order.setCaseSensitivity(Qt::CaseInsensitive);
    std::ranges::sort(names, [&](const QString& a, const QString& b) {
        const int compared = order.compare(a, b);
        return compared != 0 ? compared < 0 : a < b;
    });
    const QDir at(folder);
    for (QString& name : names)
        name = at.absoluteFilePath(name);
    return names;
}

QString photoBeside(const QStringList& photos, const QString& path, int step) {
    if (photos.isEmpty()) return {};
    const qsizetype at = photos.indexOf(QFileInfo(path).absoluteFilePath());
    const qsizetype wanted = at < 0 && step > 0 ? step - 1 : at + step;
    return photos[std::clamp<qsizetype>(wanted, 0, photos.size() - 1)];
}

} // namespace loftscope
