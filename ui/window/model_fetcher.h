// SPDX-License-Identifier: Apache-2.0
// Fetches published models away from the thread of the window, one at a time.
#pragma once

#include "core/pipeline/fetch_model.h"

#include <QObject>
#include <QString>

#include <stop_token>
#include <thread>

namespace loftscope {

class ModelFetcher : public QObject {
    Q_OBJECT
public:
    explicit ModelFetcher(QObject* parent = nullptr);
    /// Gives up what is being fetched; its part stays for later.
    ~ModelFetcher() override;

    /// Answered with `progressed`, then with `fetched`, `cancelled` or `failed`. What is being
    /// fetched already goes on, and the call does nothing.
    void fetch(const KnownModel& model, FetchRequest request);
    void cancel();
    bool busy() const { return busy_; }

Q_SIGNALS:
    /// `stage`: "fetching", "checking"; `fraction` 0..1.
    void progressed(const QString& stage, double fraction);
    void fetched(const QString& path);
    void cancelled();
    void failed(const QString& sentence);

private:
    void end(const Result<FetchedModel>& outcome);

    bool busy_ = false;
    std::jthread worker_;
};

} // namespace loftscope
