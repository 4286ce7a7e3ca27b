// SPDX-License-Identifier: Apache-2.0
// The engine's answers on the window's thread.
#pragma once

#include "core/pipeline/engine.h"

#include <QObject>

#include <memory>

namespace loftscope {

class EngineBridge : public QObject {
    Q_OBJECT
public:
    explicit EngineBridge(EngineOptions options, QObject* parent = nullptr);
    /// Stops what runs; nothing is answered any more.
    ~EngineBridge() override;

    Engine& engine() { return *engine_; }

Q_SIGNALS:
    /// In the order of the engine, on this object's thread.
    void answered(quint64 id, const loftscope::EngineEvent& event);

private:
    std::unique_ptr<Engine> engine_;
};

} // namespace loftscope
