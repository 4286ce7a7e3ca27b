// SPDX-License-Identifier: Apache-2.0
#include "ui/window/photo_strip.h"

#include "core/image/decode.h"

#include <QFileInfo>
#include <QImageReader>
#include <QLoggingCategory>
#include <QPainter>
#include <QPointer>
#include <QScrollBar>
#include <QStyledItemDelegate>

namespace loftscope {

namespace {

constexpr int thumbnailWidth = 104;
constexpr int thumbnailHeight = 78;
constexpr int captionHeight = 18;
constexpr int border = 6;

/// Runs in the background. Null if the file is no photo.
QImage thumbnailOf(const QString& path) {
    const QSize room(2 * thumbnailWidth, 2 * thumbnailHeight); // enough for screens of 200 %
    QImageReader reader(path);
    reader.setAutoTransform(true);
    // JPEG files can be read at an eighth of their size, which is quick.
    if (const QSize stored = reader.size(); stored.isValid())
        reader.setScaledSize(stored.scaled(room, Qt::KeepAspectRatio).boundedTo(stored));
    if (QImage image = reader.read(); !image.isNull()) return image;
    const Result<Photo> photo = decodePhoto(path.toStdString());
    if (!photo) return {};
    const Image& picture = photo->image;
    const QImage whole(picture.pixels().data(), static_cast<int>(picture.width()),
                       static_cast<int>(picture.height()), static_cast<int>(picture.width()) * 3,
                       QImage::Format_RGB888);
    return whole.scaled(room, Qt::KeepAspectRatio, Qt::SmoothTransformation);
}

class ThumbnailPainter : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;

    QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override {
        return {thumbnailWidth + 2 * border, thumbnailHeight + captionHeight + border};
    }
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override {
        const bool chosen = option.state.testFlag(QStyle::State_Selected);
        const QPalette& palette = option.palette;
        painter->save();
        if (chosen) painter->fillRect(option.rect, palette.color(QPalette::Highlight));
        const QRect place(option.rect.left() + (option.rect.width() - thumbnailWidth) / 2,
                          option.rect.top() + border / 2, thumbnailWidth, thumbnailHeight);
        const auto image = index.data(Qt::DecorationRole).value<QImage>();
        if (image.isNull()) {
            painter->setPen(palette.color(QPalette::Mid));
            painter->drawRect(place.adjusted(0, 0, -1, -1));
        } else {
            const QSize size = image.size().scaled(place.size(), Qt::KeepAspectRatio);
            QRect at(QPoint(), size);
            at.moveCenter(place.center());
            painter->setRenderHint(QPainter::SmoothPixmapTransform);
            painter->drawImage(at, image);
        }
        painter->setPen(palette.color(chosen ? QPalette::HighlightedText : QPalette::Text));
        const QRect caption(place.left(), place.bottom() + 1, place.width(), captionHeight);
        QFont small = option.font;
        small.setPixelSize(11);
        painter->setFont(small);
        const QString name = QFileInfo(index.data().toString()).completeBaseName();
        painter->drawText(
            caption, Qt::AlignCenter,
            painter->fontMetrics().elidedText(name, Qt::ElideMiddle, caption.width()));
        painter->restore();
    }
};

} // namespace

ThumbnailModel::ThumbnailModel(QObject* parent)
    : QAbstractListModel(parent)
    , wanted_(std::make_shared<std::atomic<bool>>(true)) {
    pool_.setMaxThreadCount(1); // the cores are for the features
    pool_.setThreadPriority(QThread::LowPriority);
}

ThumbnailModel::~ThumbnailModel() {
    *wanted_ = false;
    pool_.clear();
}

void ThumbnailModel::setPhotos(const QStringList& photos) {
    if (photos == photos_) return;
    beginResetModel();
    *wanted_ = false;
    wanted_ = std::make_shared<std::atomic<bool>>(true);
    pool_.clear();
    photos_ = photos;
    requested_.clear();
    for (auto it = thumbnails_.begin(); it != thumbnails_.end();)
        it = photos_.contains(it.key()) ? std::next(it) : thumbnails_.erase(it);
    endResetModel();
}

int ThumbnailModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(photos_.size());
}

QVariant ThumbnailModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid() || index.row() >= photos_.size()) return {};
    const QString& path = photos_[index.row()];
    switch (role) {
    case Qt::DisplayRole:
    case Qt::AccessibleTextRole:
        return QFileInfo(path).fileName();
    case Qt::ToolTipRole:
        return path;
    case Qt::DecorationRole:
        // Views ask for what they show: nothing else is read.
        if (!thumbnails_.contains(path)) request(path);
        return thumbnails_.value(path);
    default:
        return {};
    }
}

void ThumbnailModel::request(const QString& path) const {
    if (requested_.contains(path)) return;
    requested_.insert(path);
    auto* self = const_cast<ThumbnailModel*>(this);
    pool_.start([self, path, wanted = wanted_] {
        if (!*wanted) return;
        const QImage thumbnail = thumbnailOf(path);
        // The model waits for this task before it goes.
        QMetaObject::invokeMethod(
            self, [self, path, thumbnail] { self->receive(path, thumbnail); },
            Qt::QueuedConnection);
    });
}

void ThumbnailModel::receive(const QString& path, const QImage& thumbnail) {
    thumbnails_.insert(path, thumbnail);
    const qsizetype row = photos_.indexOf(path);
    if (row < 0) return;
    const QModelIndex changed = index(static_cast<int>(row));
    Q_EMIT dataChanged(changed, changed, {Qt::DecorationRole});
}

PhotoStrip::PhotoStrip(QWidget* parent)
    : QListView(parent)
    , model_(new ThumbnailModel(this)) {
    setObjectName("photoStrip");
    // A damaged photo is shown as one; Qt's decoders need not say so on the terminal as well.
    QLoggingCategory::setFilterRules("qt.gui.imageio*.warning=false");
    setAccessibleName(tr("Photos of the folder"));
    setModel(model_);
    setItemDelegate(new ThumbnailPainter(this));
    setUniformItemSizes(true);
    setFrameShape(QFrame::NoFrame);
    setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setMinimumWidth(thumbnailWidth + 2 * border + verticalScrollBar()->sizeHint().width());
    connect(this, &QListView::clicked, this,
            [this](const QModelIndex& index) { Q_EMIT chosen(model_->photos().at(index.row())); });
    connect(this, &QListView::activated, this,
            [this](const QModelIndex& index) { Q_EMIT chosen(model_->photos().at(index.row())); });
}

void PhotoStrip::setPhotos(const QStringList& photos) {
    model_->setPhotos(photos);
}

void PhotoStrip::setCurrent(const QString& path) {
    const qsizetype row = model_->photos().indexOf(QFileInfo(path).absoluteFilePath());
    if (row < 0) {
        clearSelection();
        return;
    }
    const QModelIndex current = model_->index(static_cast<int>(row));
    setCurrentIndex(current);
    scrollTo(current);
}

} // namespace loftscope
