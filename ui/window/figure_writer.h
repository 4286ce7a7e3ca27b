// SPDX-License-Identifier: Apache-2.0
// Draws figures away from the thread of the window: a figure of a large photo takes seconds.
#pragma once

#include "core/base/error.h"
#include "ui/window/window_figure.h"

#include <QImage>
#include <QObject>
#include <QString>
#include <QThreadPool>

#include <functional>
#include <optional>

namespace loftscope {

class FigureWriter : public QObject {
    Q_OBJECT
public:
    explicit FigureWriter(QObject* parent = nullptr);
    /// Waits for what is being written: a figure is whole or not there.
    ~FigureWriter() override;

    /// Answered with `previewed`, at most `width` pixels wide. A newer call replaces an older one
    /// that has not begun.
    void preview(FigureDraft draft, int width);
    /// Answered with `written` or `failed`.
    void write(FigureDraft draft, const QString& path);
    /// Answered with `drawn` or `failed`.
    void draw(FigureDraft draft);
    bool busy() const { return jobs_ > 0; }

Q_SIGNALS:
    /// `pixels`: of the file that `write` would make.
    void previewed(const QImage& picture, const QSize& pixels);
    void written(const QString& path);
    void drawn(const QImage& picture);
    void failed(const QString& sentence);

private:
    struct Preview {
        FigureDraft draft;
        int width = 0;
    };
    void begin(std::function<void()> job);
    void beginPreview();
    /// From the drawing thread: `done` on the window's, or `failed`.
    void tell(const Result<void>& outcome, std::function<void()> done);

    std::optional<Preview> waiting_;
    bool previewing_ = false;
    int jobs_ = 0;
    QThreadPool pool_; ///< one thread; last: ends first
};

} // namespace loftscope
