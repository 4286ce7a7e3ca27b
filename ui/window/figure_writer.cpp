// SPDX-License-Identifier: Apache-2.0
#include "ui/window/figure_writer.h"

#include "ui/figure/figure_painter.h"

#include <QMetaObject>

#include <cmath>

namespace loftscope {

namespace {

/// A preview's panes need no more pixels than this.
constexpr std::int64_t previewPixels = 480;

QImage imageOf(const Image& picture) {
    return QImage(picture.pixels().data(), static_cast<int>(picture.width()),
                  static_cast<int>(picture.height()), static_cast<qsizetype>(picture.width() * 3),
                  QImage::Format_RGB888)
        .copy();
}

QString sentenceOf(const Error& error) {
    return QString::fromStdString(error.message);
}

} // namespace

FigureWriter::FigureWriter(QObject* parent)
    : QObject(parent) {
    pool_.setMaxThreadCount(1);
}

FigureWriter::~FigureWriter() {
    pool_.waitForDone();
}

void FigureWriter::begin(std::function<void()> job) {
    ++jobs_;
    pool_.start([this, job = std::move(job)] {
        job();
        QMetaObject::invokeMethod(
            this, [this] { --jobs_; }, Qt::QueuedConnection);
    });
}

void FigureWriter::preview(FigureDraft draft, int width) {
    waiting_ = Preview{std::move(draft), width};
    if (!previewing_) beginPreview();
}

void FigureWriter::beginPreview() {
    previewing_ = true;
    begin([this, wanted = std::move(*waiting_)] {
        FigureSpec figure = figureOf(wanted.draft, previewPixels);
        const double fileScale = figure.scale;
        figure.scale = 1;
        QImage picture;
        QSize pixels;
        QString trouble;
        if (const auto painted = paintFigure(figure)) {
            picture = imageOf(*painted);
            pixels = (QSizeF(picture.size()) * fileScale).toSize();
            if (picture.width() > wanted.width)
                picture = picture.scaledToWidth(wanted.width, Qt::SmoothTransformation);
        } else {
            trouble = sentenceOf(painted.error());
        }
        QMetaObject::invokeMethod(
            this,
            [this, picture, pixels, trouble] {
                previewing_ = false;
                if (trouble.isEmpty()) {
                    Q_EMIT previewed(picture, pixels);
                } else {
                    Q_EMIT failed(trouble);
                }
                if (waiting_) beginPreview();
            },
            Qt::QueuedConnection);
    });
    waiting_.reset();
}

void FigureWriter::write(FigureDraft draft, const QString& path) {
    begin([this, draft = std::move(draft), path] {
        const auto done = writeFigure(figureOf(draft), path.toStdString());
        const QString trouble = done ? QString() : sentenceOf(done.error());
        QMetaObject::invokeMethod(
            this,
            [this, path, trouble] {
                if (trouble.isEmpty()) {
                    Q_EMIT written(path);
                } else {
                    Q_EMIT failed(trouble);
                }
            },
            Qt::QueuedConnection);
    });
}

void FigureWriter::draw(FigureDraft draft) {
    begin([this, draft = std::move(draft)] {
        const auto painted = paintFigure(figureOf(draft));
        const QImage picture = painted ? imageOf(*painted) : QImage();
        const QString trouble = painted ? QString() : sentenceOf(painted.error());
        QMetaObject::invokeMethod(
            this,
            [this, picture, trouble] {
                if (trouble.isEmpty()) {
                    Q_EMIT drawn(picture);
                } else {
                    Q_EMIT failed(trouble);
                }
            },
            Qt::QueuedConnection);
    });
}

} // namespace loftscope
