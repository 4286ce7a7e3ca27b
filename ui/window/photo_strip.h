// SPDX-License-Identifier: Apache-2.0
// The photos of a folder as thumbnails, made in the background while they are looked at.
#pragma once

#include <QAbstractListModel>
#include <QHash>
#include <QImage>
#include <QListView>
#include <QSet>
#include <QThreadPool>

#include <atomic>
#include <memory>

namespace loftscope {

class ThumbnailModel : public QAbstractListModel {
    Q_OBJECT
public:
    explicit ThumbnailModel(QObject* parent = nullptr);
    /// Waits for the one thumbnail that is being made.
    ~ThumbnailModel() override;

    void setPhotos(const QStringList& photos);
    const QStringList& photos() const { return photos_; }

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;

private:
    void request(const QString& path) const;
    void receive(const QString& path, const QImage& thumbnail);

    QStringList photos_;
    QHash<QString, QImage> thumbnails_; ///< null where the file cannot be read
    mutable QSet<QString> requested_;
    std::shared_ptr<std::atomic<bool>> wanted_; ///< false: what waits is not needed any more
    mutable QThreadPool pool_;
};

class PhotoStrip : public QListView {
    Q_OBJECT
public:
    explicit PhotoStrip(QWidget* parent = nullptr);

    void setPhotos(const QStringList& photos);
    const QStringList& photos() const { return model_->photos(); }
    /// Marks the photo that is open.
    void setCurrent(const QString& path);

    QSize sizeHint() const override { return {132, 400}; }

Q_SIGNALS:
    void chosen(const QString& path);

private:
    ThumbnailModel* model_;
};

} // namespace loftscope
