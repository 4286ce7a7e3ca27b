// SPDX-License-Identifier: Apache-2.0
// Writes the numbers behind the panes on a thread of its own.
#pragma once

#include "ui/window/data_export.h"

#include <QObject>
#include <QThreadPool>

#include <stop_token>

namespace loftscope {

class DataWriter : public QObject {
    Q_OBJECT
public:
    explicit DataWriter(QObject* parent = nullptr);
    /// Stops after the file that is being written: each is whole or not there.
    ~DataWriter() override;

    /// Nothing is overwritten: where `folder` has files of these names, they go to a new folder in
    /// it. Answered with `written` or `failed`.
    void write(DataDraft draft, const QString& folder, const QString& format);
    bool busy() const { return jobs_ > 0; }

Q_SIGNALS:
    void written(int files, const QString& folder);
    void failed(const QString& sentence);

private:
    int jobs_ = 0;
    std::stop_source stop_;
    QThreadPool pool_; ///< one thread; last: ends first
};

} // namespace loftscope
