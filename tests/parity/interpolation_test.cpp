// SPDX-License-Identifier: Apache-2.0
// Interpolation fields and position tables against PyTorch's own results.
#include "core/backbone/position_table.h"
#include "core/upsample/interpolation.h"
#include "tests/support/golden.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>

#include <string>
#include <vector>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;

std::unique_ptr<FeatureField> boundBaseline(Interpolation kind, const at::Tensor& values,
                                            Extent extent) {
    auto field = makeInterpolation(kind)->bind({values}, {extent, {}});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

const std::vector<Extent> goldenExtents{{18, 26}, {1, 1}, {23, 8}, {40, 3}, {5, 7}, {9, 13}};

TEST(InterpolatedField, EqualsTorchAtEverySize) {
    const Golden golden("resize.interpolate");
    for (const Interpolation kind :
         {Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic}) {
        for (const Extent& extent : goldenExtents) {
            const std::string size =
                std::to_string(extent.height) + "x" + std::to_string(extent.width);
            const std::string key = "interp." + std::string(nameOf(kind)) +
                                    (kind == Interpolation::Nearest ? "." : ".aa0.") + size;
            const auto field = boundBaseline(kind, golden["input"][0], extent);
            EXPECT_LE(difference(field->evaluate(wholeOf(extent)).unsqueeze(0), golden[key]).max,
                      2e-6)
                << key;
        }
    }
}

TEST(InterpolatedField, AnyRectangleIsExact) {
    const Golden golden("resize.interpolate");
    for (const Interpolation kind :
         {Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic}) {
        const auto field = boundBaseline(kind, golden["input"][0], {181, 97});
        const at::Tensor whole = field->evaluate({0, 0, 97, 181});
        for (const Rect& rect :
             {Rect{0, 0, 1, 1}, Rect{96, 180, 1, 1}, Rect{13, 40, 7, 90}, Rect{0, 177, 97, 4}}) {
            const at::Tensor part =
                whole.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
            EXPECT_LE(difference(field->evaluate(rect), part).max, 1e-6) << nameOf(kind);
        }
    }
}

TEST(InterpolatedField, ARectangleMayBeginExactlyOnAToken) {
    // Three times as large: pixels 4, 7, ... lie on tokens and have a single tap, their neighbours
    // reach one token further back.
    const Golden golden("resize.interpolate");
    for (const Interpolation kind : {Interpolation::Bilinear, Interpolation::Bicubic}) {
        const auto field = boundBaseline(kind, golden["input"][0], {27, 39});
        const at::Tensor whole = field->evaluate({0, 0, 39, 27});
        for (const Rect& rect : {Rect{4, 7, 9, 9}, Rect{7, 4, 2, 3}}) {
            const at::Tensor part =
                whole.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
            EXPECT_LE(difference(field->evaluate(rect), part).max, 1e-6) << nameOf(kind);
        }
    }
}

TEST(InterpolatedField, TapsReproduceTheValue) {
    const at::Tensor values = at::rand({6, 5, 7});
    for (const Interpolation kind :
         {Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic}) {
        const auto field = boundBaseline(kind, values, {33, 51});
        for (const Pixel& pixel : {Pixel{0, 0}, Pixel{50, 32}, Pixel{20, 9}}) {
            const at::Tensor taps = field->attend(pixel).value();
            EXPECT_EQ(taps.sizes(), (std::vector<std::int64_t>{1, 1, 5, 7}));
            EXPECT_NEAR(taps.sum().item<double>(), 1.0, 1e-6);
            const at::Tensor expected = field->evaluate({pixel.x, pixel.y, 1, 1}).flatten();
            EXPECT_LE(difference(at::matmul(values.flatten(1), taps.flatten()), expected).max, 1e-6)
                << nameOf(kind);
        }
    }
}

TEST(InterpolatedField, GridFieldIsTheGrid) {
    const at::Tensor values = at::rand({4, 3, 9});
    const auto field = makeGridField({values});
    EXPECT_EQ(field->extent(), (Extent{3, 9}));
    EXPECT_EQ(difference(field->evaluate({0, 0, 9, 3}), values).max, 0);
}

TEST(PositionTable, ResizesAsEachReleaseDoes) {
    const Golden golden("resize.interpolate");
    const at::Tensor input = golden["input"]; // 1 x 3 x 9 x 13
    const Extent base{9, 13};
    const at::Tensor table = at::cat({at::ones({1, 1, 3}), input.flatten(2).transpose(1, 2)}, 1);
    for (const Extent& extent : goldenExtents) {
        const std::string size = std::to_string(extent.height) + "x" + std::to_string(extent.width);
        for (const auto& [rule, key] :
             {std::pair{PositionRule::SizeNoAntialias, "interp.bicubic.aa0." + size},
              std::pair{PositionRule::SizeAntialias, "interp.bicubic.aa1." + size}}) {
            const at::Tensor resized = resizedPositionTable(table, base, extent, rule);
            EXPECT_LE(difference(resized.slice(1, 1).transpose(1, 2), golden[key].flatten(2)).max,
                      2e-6)
                << key;
            EXPECT_EQ(difference(resized.slice(1, 0, 1), at::ones({1, 1, 3})).max, 0)
                << "the CLS row is kept";
        }
    }
}

} // namespace
} // namespace loftscope
