// SPDX-License-Identifier: Apache-2.0
#include "core/train/teacher.h"

#include "core/base/number.h"
#include "core/base/path_options.h"
#include "core/train/normalised_pictures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace loftscope {

namespace {

template <typename Number>
bool readNumber(std::string_view text, Number& value) {
    const std::optional<Number> number = parsedNumber<Number>(text);
    if (!number || *number <= Number(0)) return false;
    value = *number;
    return true;
}

class BackboneTeacher final : public Teacher {
public:
    BackboneTeacher(std::shared_ptr<const Backbone> backbone, double size)
        : backbone_(std::move(backbone))
        , size_(size) {}

    std::int64_t channels() const override { return backbone_->channels(); }

    TeacherMap map(const at::Tensor& pictures, const Extent& nominal) const override {
        const c10::NoGradGuard noGrad;
        const at::Tensor input = normalisedPictures(
            resizedPictures(pictures, teacherExtent(nominal, size_, backbone_->patch())),
            backbone_->normalisation());
        std::vector<at::Tensor> grids;
        for (std::int64_t b = 0; b < input.size(0); ++b) {
            auto output = backbone_->run(input.narrow(0, b, 1), {}, {});
            if (!output) throw std::runtime_error(output.error().message);
            grids.push_back(output->tokens.values);
        }
        const at::Tensor values = at::stack(grids);
        return {values, CellGrid::covering({values.size(2), values.size(3)})};
    }

private:
    std::shared_ptr<const Backbone> backbone_;
    double size_;
};

} // namespace

CellGrid CellGrid::covering(const Extent& cells) {
    const double stepX = 1.0 / static_cast<double>(cells.width);
    const double stepY = 1.0 / static_cast<double>(cells.height);
    return {stepX / 2, stepY / 2, stepX, stepY};
}

std::string TeacherSpec::label() const {
    std::string name = path.stem().string();
    if (name.starts_with("teacher_")) name.erase(0, 8);
    std::string options;
    const auto add = [&](std::string option) {
        options += (options.empty() ? ":" : ",") + std::move(option);
    };
    if (tap >= 0) add(fmt::format("tap={}", tap));
    if (size != 1) add(fmt::format("size=x{}", size));
    if (stride > 0) add(fmt::format("stride={}", stride));
    if (reversedPads) add("pads=reversed");
    if (patch != TeacherSpec{}.patch) add(fmt::format("patch={}", patch));
    if (values != TeacherSpec{}.values) add("values=" + values);
    return name + options;
}

Result<TeacherSpec> parseTeacherSpec(const std::string& text) {
    TeacherSpec spec;
    const PathOptions split = splitPathOptions(text);
    spec.path = split.path;

    const std::map<std::string_view, std::function<bool(std::string_view)>> keys{
        {"weight", [&](std::string_view value) { return readNumber(value, spec.weight); }},
        {"dims", [&](std::string_view value) { return readNumber(value, spec.dims); }},
        {"size",
         [&](std::string_view value) {
             if (value.starts_with('x')) value.remove_prefix(1);
             return readNumber(value, spec.size);
         }},
        {"tap",
         [&](std::string_view value) {
             return value == "0" ? (spec.tap = 0, true) : readNumber(value, spec.tap);
         }},
        {"stride", [&](std::string_view value) { return readNumber(value, spec.stride); }},
        {"pads",
         [&](std::string_view value) {
             spec.reversedPads = value == "reversed";
             return spec.reversedPads || value == "same";
         }},
        {"patch", [&](std::string_view value) { return readNumber(value, spec.patch); }},
        {"values",
         [&](std::string_view value) {
             spec.values = value;
             return value == "imagenet" || value == "half" || value == "unit";
         }},
    };
    for (const std::string_view option : split.options) {
        const std::size_t equals = option.find('=');
        const auto known = keys.find(option.substr(0, equals));
        if (known == keys.end() || equals == std::string_view::npos ||
            !known->second(option.substr(equals + 1))) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' of the teacher '{}' makes no sense: there are weight=, "
                                    "dims=, size=x2, tap=, stride=, pads=reversed, patch= and "
                                    "values=imagenet|half|unit.",
                                    option, text));
        }
    }
    return spec;
}

Extent teacherExtent(const Extent& nominal, double size, std::int64_t unit) {
    const auto side = [&](std::int64_t length) {
        const double units = static_cast<double>(length) * size / static_cast<double>(unit);
        return unit * std::max<std::int64_t>(1, std::lround(units));
    };
    return {side(nominal.height), side(nominal.width)};
}

at::Tensor resizedPictures(const at::Tensor& pictures, const Extent& extent) {
    if (pictures.size(2) == extent.height && pictures.size(3) == extent.width) return pictures;
    return at::_upsample_bilinear2d_aa(pictures, {extent.height, extent.width}, false);
}

std::unique_ptr<Teacher> teacherFromBackbone(std::shared_ptr<const Backbone> backbone,
                                             const TeacherSpec& spec) {
    return std::make_unique<BackboneTeacher>(std::move(backbone), spec.size);
}

} // namespace loftscope
