// SPDX-License-Identifier: Apache-2.0
#include "ui/window/figure_writer.h"

#include "ui/figure/figure_painter.h"

#include <QMetaObject>

#include <cmath>

namespace loftscope {

namespace {

/// A preview's panes need no more pixels than this.
constexpr std::int64_t previewPixels = 480;
/// Per inch of a preview for paper.
constexpr double previewDots = 150;

QImage imageOf(const Image& picture) {
    return QImage(picture.pixels().data(), static_cast<int>(picture.width()),
                  static_cast<int>(picture.height()), static_cast<qsizetype>(picture.width() * 3),
                  QImage::Format_RGB888)
        .copy();
}

Result<void> outcomeOf(const Result<Image>& painted) {
    if (!painted) return std::unexpected(painted.error());
    return {};
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

void FigureWriter::tell(const Result<void>& outcome, std::function<void()> done) {
    const QString trouble = outcome ? QString() : QString::fromStdString(outcome.error().message);
    QMetaObject::invokeMethod(
        this,
        [this, trouble, done = std::move(done)] {
            if (trouble.isEmpty()) {
                done();
            } else {
                Q_EMIT failed(trouble);
            }
        },
        Qt::QueuedConnection);
}

void FigureWriter::preview(FigureDraft draft, int width) {
    waiting_ = Preview{std::move(draft), width};
    if (!previewing_) beginPreview();
}

void FigureWriter::beginPreview() {
    previewing_ = true;
    begin([this, wanted = std::move(*waiting_)] {
        FigureSpec figure = figureOf(wanted.draft, previewPixels);
        const bool forPaper = figure.look.widthMm > 0;
        const double fileScale = forPaper ? figure.look.dotsPerInch / previewDots : figure.scale;
        figure.scale = 1;
        figure.look.dotsPerInch = previewDots;
        const auto painted = paintFigure(figure);
        QImage picture;
        QSize pixels;
        if (painted) {
            picture = imageOf(*painted);
            pixels = (QSizeF(picture.size()) * fileScale).toSize();
            if (picture.width() > wanted.width)
                picture = picture.scaledToWidth(wanted.width, Qt::SmoothTransformation);
        }
        tell(outcomeOf(painted), [this, picture, pixels] { Q_EMIT previewed(picture, pixels); });
        QMetaObject::invokeMethod(
            this,
            [this] {
                previewing_ = false;
                if (waiting_) beginPreview();
            },
            Qt::QueuedConnection);
    });
    waiting_.reset();
}

void FigureWriter::write(FigureDraft draft, const QString& path) {
    begin([this, draft = std::move(draft), path] {
        tell(writeFigure(figureOf(draft), path.toStdString()),
             [this, path] { Q_EMIT written(path); });
    });
}

void FigureWriter::draw(FigureDraft draft) {
    begin([this, draft = std::move(draft)] {
        const auto painted = paintFigure(figureOf(draft));
        const QImage picture = painted ? imageOf(*painted) : QImage();
        tell(outcomeOf(painted), [this, picture] { Q_EMIT drawn(picture); });
    });
}

} // namespace loftscope
