// SPDX-License-Identifier: Apache-2.0
// LibTorch contains gloo and exports c10d's process group over it, but ships c10d's header without
// gloo's own, which it includes. That header speaks of gloo's types through pointers and overrides
// only: these declarations are all that it needs to be read. Nothing here is defined or laid out by
// us, and no object of these types is ever made by our code.
#pragma once

#include <chrono>

namespace gloo {

class Context {
public:
    void setTimeout(std::chrono::milliseconds timeout);
};

} // namespace gloo
