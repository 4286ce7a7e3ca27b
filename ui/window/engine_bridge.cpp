// SPDX-License-Identifier: Apache-2.0
#include "ui/window/engine_bridge.h"

namespace loftscope {

namespace {

PreparedEvent prepared(const EngineEvent& event) {
    PreparedEvent made{event, nullptr, nullptr};
    if (const auto* photo = std::get_if<PhotoDecoded>(&event))
        made.pyramid = ImagePyramid::of(photo->picture);
    if (const auto* begun = std::get_if<FieldBegun>(&event))
        made.buffer = std::make_shared<MapBuffer>(begun->components, begun->extent,
                                                  Extent{begun->tile, begun->tile});
    if (const auto* ready = std::get_if<MapReady>(&event))
        made.buffer =
            MapBuffer::whole(ready->map->channels, ready->map->extent, ready->map->values);
    return made;
}

} // namespace

EngineBridge::EngineBridge(EngineOptions options, QObject* parent)
    : QObject(parent) {
    engine_ = std::make_unique<Engine>(
        std::move(options), [this](std::uint64_t id, const EngineEvent& event) {
            QMetaObject::invokeMethod(
                this, [this, id, ready = prepared(event)] { Q_EMIT answered(id, ready); },
                Qt::QueuedConnection);
        });
}

EngineBridge::~EngineBridge() {
    // While this is still a whole QObject: the worker may post answers until its thread has ended.
    engine_.reset();
}

} // namespace loftscope
