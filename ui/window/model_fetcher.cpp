// SPDX-License-Identifier: Apache-2.0
#include "ui/window/model_fetcher.h"

#include <QMetaObject>

#include <chrono>
#include <memory>

namespace loftscope {

namespace {

/// More often nobody sees.
constexpr std::chrono::milliseconds progressInterval{50};

} // namespace

ModelFetcher::ModelFetcher(QObject* parent)
    : QObject(parent) {}

ModelFetcher::~ModelFetcher() = default;

void ModelFetcher::fetch(const KnownModel& model, FetchRequest request) {
    if (busy_) return;
    busy_ = true;
    worker_ =
        std::jthread([this, &model, request = std::move(request)](const std::stop_token& stop) {
            RunContext context;
            context.stop = stop;
            auto last = std::chrono::steady_clock::now() - progressInterval;
            context.onProgress = [this, last](std::string_view stage, double fraction) mutable {
                const auto now = std::chrono::steady_clock::now();
                if (now - last < progressInterval && fraction < 1) return;
                last = now;
                const QString name =
                    QString::fromUtf8(stage.data(), static_cast<int>(stage.size()));
                QMetaObject::invokeMethod(
                    this, [this, name, fraction] { Q_EMIT progressed(name, fraction); },
                    Qt::QueuedConnection);
            };
            auto outcome =
                std::make_shared<const Result<FetchedModel>>(fetchModel(model, request, context));
            QMetaObject::invokeMethod(
                this, [this, outcome] { end(*outcome); }, Qt::QueuedConnection);
        });
}

void ModelFetcher::cancel() {
    worker_.request_stop();
}

void ModelFetcher::end(const Result<FetchedModel>& outcome) {
    busy_ = false;
    if (outcome) {
        Q_EMIT fetched(QString::fromStdString(outcome->path.string()));
    } else if (outcome.error().code == ErrorCode::Cancelled) {
        Q_EMIT cancelled();
    } else {
        Q_EMIT failed(QString::fromStdString(outcome.error().message));
    }
}

} // namespace loftscope
