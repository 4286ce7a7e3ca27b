// SPDX-License-Identifier: Apache-2.0
#include "ui/window/engine_bridge.h"

namespace loftscope {

EngineBridge::EngineBridge(EngineOptions options, QObject* parent)
    : QObject(parent) {
    engine_ = std::make_unique<Engine>(
        std::move(options), [this](std::uint64_t id, const EngineEvent& event) {
            QMetaObject::invokeMethod(
                this, [this, id, event] { Q_EMIT answered(id, event); }, Qt::QueuedConnection);
        });
}

EngineBridge::~EngineBridge() {
    // While this is still a whole QObject: the worker may post answers until its thread has ended.
    engine_.reset();
}

} // namespace loftscope
