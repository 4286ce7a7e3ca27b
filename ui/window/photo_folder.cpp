// SPDX-License-Identifier: Apache-2.0
#include "ui/window/photo_folder.h"

#include "core/image/clip.h"

#include <QFileInfo>

#include <algorithm>

namespace loftscope {

namespace {

QStringList listOf(const std::vector<std::string_view>& words) {
    QStringList list;
    for (const std::string_view word : words)
        list.append(QString::fromLatin1(word.data(), static_cast<qsizetype>(word.size())));
    return list;
}

} // namespace

const QStringList& photoEndings() {
    static const QStringList endings = listOf(pictureEndings());
    return endings;
}

const QStringList& clipEndings() {
    static const QStringList endings = listOf(videoEndings());
    return endings;
}

const QStringList& checkpointEndings() {
    static const QStringList endings{"safetensors", "pth", "pt", "ckpt", "bin"};
    return endings;
}

QStringList photosIn(const QString& folder) {
    QStringList photos;
    for (const std::filesystem::path& path : picturesIn(folder.toStdString()))
        photos.append(QFileInfo(QString::fromStdString(path.string())).absoluteFilePath());
    return photos;
}

QString photoBeside(const QStringList& photos, const QString& path, int step) {
    if (photos.isEmpty()) return {};
    const qsizetype at = photos.indexOf(QFileInfo(path).absoluteFilePath());
    const qsizetype wanted = at < 0 && step > 0 ? step - 1 : at + step;
    return photos[std::clamp<qsizetype>(wanted, 0, photos.size() - 1)];
}

} // namespace loftscope
