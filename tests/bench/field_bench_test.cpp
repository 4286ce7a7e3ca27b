// SPDX-License-Identifier: Apache-2.0
#include "core/base/memory.h"
#include "core/bench/field_bench.h"
#include "core/bench/machine_probe.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace loftscope {
namespace {

TEST(LoftUpWork, IsThePublishedNumberOfMultiplyAdds) {
    // C = 384: 4.05 M with 256 tokens, 5.29 M with 1024, counted from the architecture.
    EXPECT_NEAR(loftUpMacsPerPixel(384, 404, 384, 2, 256) / 1e6, 4.05, 0.01);
    EXPECT_NEAR(loftUpMacsPerPixel(384, 404, 384, 2, 1024) / 1e6, 5.29, 0.01);
}

TEST(Median, IsTheMiddleOrTheMeanOfTheMiddleTwo) {
    EXPECT_EQ(medianOf({}), 0);
    EXPECT_EQ(medianOf({3, 1, 2}), 2);
    EXPECT_EQ(medianOf({4, 1, 2, 3}), 2.5);
}

TEST(ProcessMemory, PeakSeesWhatWasHeldAndFreed) {
    if (residentBytes() == 0) GTEST_SKIP() << "this system does not tell";
    resetPeakResidentBytes();
    const std::int64_t before = residentBytes();
    {
        constexpr std::size_t size = 64 << 20;
        const auto block = std::make_unique<char[]>(size);
        std::memset(block.get(), 1, size);
        EXPECT_EQ(block[size - 1], 1);
    }
    EXPECT_GT(peakResidentBytes() - before, 48 << 20);
    resetPeakResidentBytes();
    EXPECT_LT(peakResidentBytes() - before, 32 << 20);
}

TEST(MachineProbe, GivesRates) {
    const MachineProbe probe = probeMachine(c10::kCPU, c10::ScalarType::Float);
    EXPECT_GT(probe.productGmacs, 0);
    EXPECT_GT(probe.convolutionGmacs, 0);
}

} // namespace
} // namespace loftscope
