// SPDX-License-Identifier: Apache-2.0
// The engine's answers on the window's thread, with what the window needs of them made ready on the
// worker's.
#pragma once

#include "core/pipeline/engine.h"
#include "ui/render/image_pyramid.h"
#include "ui/render/map_buffer.h"

#include <QObject>

#include <memory>

namespace loftscope {

struct PreparedEvent {
    EngineEvent event;
    std::shared_ptr<const ImagePyramid> pyramid; ///< of PhotoDecoded
    std::shared_ptr<MapBuffer> buffer;           ///< of FieldBegun, empty; of MapReady, whole
};

class EngineBridge : public QObject {
    Q_OBJECT
public:
    explicit EngineBridge(EngineOptions options, QObject* parent = nullptr);
    /// Stops what runs; nothing is answered any more.
    ~EngineBridge() override;

    Engine& engine() { return *engine_; }

Q_SIGNALS:
    /// In the order of the engine, on this object's thread.
    void answered(quint64 id, const loftscope::PreparedEvent& prepared);

private:
    std::unique_ptr<Engine> engine_;
};

} // namespace loftscope
