// SPDX-License-Identifier: Apache-2.0
#include "core/bench/machine_probe.h"

#include "core/bench/device_wait.h"
#include "core/bench/stopwatch.h"
#include "core/weights/matrix_product.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <functional>
#include <limits>

namespace loftscope {

namespace {

double bestSeconds(c10::Device device, const std::function<void()>& work) {
    constexpr int tries = 5;
    work(); // kernels are chosen and memory is mapped at the first call
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < tries; ++i) {
        waitFor(device);
        const Stopwatch watch;
        work();
        waitFor(device);
        best = std::min(best, watch.elapsed().wallSeconds);
    }
    return best;
}

} // namespace

MachineProbe probeMachine(c10::Device device, c10::ScalarType arithmetic) {
    const at::NoGradGuard noGrad;
    const auto options = at::TensorOptions(device).dtype(arithmetic);
    constexpr std::int64_t side = 1536;
    const at::Tensor a = at::randn({side, side}, options);
    const at::Tensor b = at::randn({side, side}, options);
    const double product = bestSeconds(device, [&] { linearProduct(a, b, {}); });

    constexpr std::int64_t channels = 384;
    constexpr std::int64_t extent = 64;
    const at::Tensor picture = at::randn({1, channels, extent, extent}, options)
                                   .contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor weight =
        at::randn({channels, channels, 3, 3}, options).contiguous(at::MemoryFormat::ChannelsLast);
    const double convolution = bestSeconds(device, [&] { at::conv2d(picture, weight, {}, 1, 1); });
    return {1e-9 * side * side * side / product,
            1e-9 * 9 * channels * channels * extent * extent / convolution};
}

} // namespace loftscope
