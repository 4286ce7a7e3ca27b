// SPDX-License-Identifier: Apache-2.0
// What the engine has said about the open photo, by the slot of the request.
#pragma once

#include "core/pipeline/engine.h"
#include "ui/render/map_buffer.h"

#include <QString>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

struct Answer {
    enum class State { Waiting, Done, Failed, Cancelled };

    MapRequest asked; ///< the newest request of the slot
    quint64 id = 0;
    State state = State::Waiting;
    QString trouble;      ///< why it failed
    double progress = 0;  ///< 0..1, while waiting
    MapRequest described; ///< what the rest belongs to: maybe a request before

    std::shared_ptr<MapBuffer> map; ///< scores, similarity, norm, distance
    std::vector<float> deviations;  ///< scores: standard deviation per component
    std::vector<double> shares;     ///< scores: of the variance per component
    QString fittedOn;               ///< scores: the fields of the basis
    SharedBasis basis;              ///< scores: null while it is a first guess
    bool preview = false;           ///< scores: the basis is a first guess
    QString precision;              ///< scores: "fp32", "bf16"
    std::shared_ptr<const AttentionReady> attention;
    std::vector<std::shared_ptr<MapBuffer>> attentionMaps; ///< as in `attention`
};

using Answers = std::map<std::string, Answer>;

} // namespace loftscope
