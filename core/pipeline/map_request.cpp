// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/map_request.h"

#include <fmt/format.h>

namespace loftscope {

std::string slotOf(const MapRequest& request) {
    switch (request.what) {
    case MapRequest::What::Scores:
        return fmt::format("scores:{}:{}", request.method, request.basis);
    case MapRequest::What::Attention:
        return fmt::format("attention:{}:{}", request.method, request.pick);
    case MapRequest::What::SelfAttention:
        return request.pixel ? fmt::format("self-attention:{}", request.pick)
                             : "self-attention:CLS";
    case MapRequest::What::Similarity:
        return fmt::format("similarity:{}:{}", request.method, request.pick);
    case MapRequest::What::Text:
        return fmt::format("text:{}:{}", request.method, request.text);
    case MapRequest::What::Norm:
        return fmt::format("norm:{}", request.method);
    case MapRequest::What::Distance:
        return fmt::format("distance:{}:{}", request.method, request.other);
    }
    return {};
}

} // namespace loftscope
