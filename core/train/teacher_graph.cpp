// SPDX-License-Identifier: Apache-2.0
#include "core/train/teacher_graph.h"

#include "core/base/guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <vector>

namespace loftscope {

namespace {

using Json = nlohmann::json;
using Pair = std::array<std::int64_t, 2>; ///< y, x

enum class Kind { Convolution, Depthwise, Addition, Concatenation, Mean, Same };

struct Operation {
    Kind kind = Kind::Same;
    std::vector<std::int64_t> inputs;
    std::int64_t output = 0;
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    Pair stride{1, 1};
    Pair dilation{1, 1};
    bool same = true;      ///< padding; else none
    bool reversed = false; ///< the odd pixel before, not after
    at::Tensor weight;
    at::Tensor bias;
};

/// What is known of a map besides its values.
struct Layout {
    std::int64_t stride = 1;           ///< pixels of the input per cell
    std::array<double, 2> first{0, 0}; ///< pixel index that cell 0 looks at; y, x
};

struct Map {
    at::Tensor values;
    Layout layout;
};

class GraphTeacher final : public Teacher {
public:
    std::vector<Operation> operations; ///< up to the tap
    std::int64_t input = 0;
    std::int64_t stride = 1; ///< of the tap
    std::int64_t tapChannels = 0;
    double size = 1;
    c10::Device device{c10::kCPU};
    at::ScalarType arithmetic = at::kFloat;

    std::int64_t channels() const override { return tapChannels; }

    TeacherMap map(const at::Tensor& pictures, const Extent& nominal) const override {
        const c10::NoGradGuard noGrad;
        const Extent extent = teacherExtent(nominal, size, stride);
        std::map<std::int64_t, Map> maps;
        maps[input].values = (resizedPictures(pictures.to(device), extent) * 2 - 1)
                                 .to(arithmetic)
                                 .contiguous(at::MemoryFormat::ChannelsLast);
        for (std::size_t i = 0; i < operations.size(); ++i) {
            Map result = run(operations[i], maps);
            // Maps that nobody needs any more go, so that memory stays that of a few.
            std::erase_if(maps, [&](const auto& entry) {
                return std::none_of(operations.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                    operations.end(), [&](const Operation& later) {
                                        return std::ranges::find(later.inputs, entry.first) !=
                                               later.inputs.end();
                                    });
            });
            maps[operations[i].output] = std::move(result);
        }
        const Map& last = maps.at(operations.back().output);
        const auto share = [](double pixels, std::int64_t length) {
            return pixels / static_cast<double>(length);
        };
        const auto step = static_cast<double>(last.layout.stride);
        return {last.values.to(at::kFloat),
                {share(last.layout.first[1] + 0.5, extent.width),
                 share(last.layout.first[0] + 0.5, extent.height), share(step, extent.width),
                 share(step, extent.height)}};
    }

private:
    static Map run(const Operation& operation, const std::map<std::int64_t, Map>& maps) {
        const Map& first = maps.at(operation.inputs.front());
        Map result{first.values, first.layout};
        switch (operation.kind) {
        case Kind::Convolution:
        case Kind::Depthwise:
            result = convolved(operation, first);
            break;
        case Kind::Addition:
            result.values = first.values + maps.at(operation.inputs[1]).values;
            break;
        case Kind::Concatenation: {
            // A map of one cell stands for the whole picture.
            std::vector<at::Tensor> parts;
            std::int64_t rows = 1;
            std::int64_t columns = 1;
            for (const std::int64_t id : operation.inputs) {
                const Map& part = maps.at(id);
                parts.push_back(part.values);
                if (part.values.size(2) * part.values.size(3) <= rows * columns) continue;
                rows = part.values.size(2);
                columns = part.values.size(3);
                result.layout = part.layout;
            }
            for (at::Tensor& part : parts) {
                if (part.size(2) * part.size(3) == 1)
                    part = part.expand({part.size(0), part.size(1), rows, columns});
            }
            result.values = at::cat(parts, 1);
            break;
        }
        case Kind::Mean:
            result.values = first.values.mean({2, 3}, true);
            break;
        case Kind::Same:
            break;
        }
        if (operation.low > -std::numeric_limits<double>::infinity() ||
            operation.high < std::numeric_limits<double>::infinity())
            result.values = result.values.clamp(operation.low, operation.high);
        return result;
    }

    static Map convolved(const Operation& operation, const Map& from) {
        Map result;
        result.layout.stride = from.layout.stride * operation.stride[0];
        Pair before{0, 0};
        Pair after{0, 0};
        for (std::size_t axis = 0; axis < 2; ++axis) {
            const std::int64_t length = from.values.size(2 + static_cast<std::int64_t>(axis));
            const std::int64_t reach =
                (operation.weight.size(2 + static_cast<std::int64_t>(axis)) - 1) *
                operation.dilation[axis];
            const std::int64_t stride = operation.stride[axis];
            if (operation.same) {
                const std::int64_t cells = (length + stride - 1) / stride;
                const std::int64_t total =
                    std::max<std::int64_t>(0, (cells - 1) * stride + reach + 1 - length);
                before[axis] = operation.reversed ? total - total / 2 : total / 2;
                after[axis] = total - before[axis];
            }
            result.layout.first[axis] =
                from.layout.first[axis] +
                static_cast<double>(from.layout.stride) *
                    (static_cast<double>(reach) / 2 - static_cast<double>(before[axis]));
        }
        at::Tensor input = from.values;
        Pair padding = before;
        if (before != after) {
            input = at::constant_pad_nd(input, {before[1], after[1], before[0], after[0]});
            padding = {0, 0};
        }
        result.values =
            at::conv2d(input, operation.weight, operation.bias, operation.stride, padding,
                       operation.dilation, operation.kind == Kind::Depthwise ? input.size(1) : 1);
        return result;
    }
};

std::optional<Kind> kindNamed(const std::string& name) {
    static const std::map<std::string, Kind, std::less<>> kinds{
        {"CONV_2D", Kind::Convolution},
        {"DEPTHWISE_CONV_2D", Kind::Depthwise},
        {"ADD", Kind::Addition},
        {"CONCATENATION", Kind::Concatenation},
        {"MEAN", Kind::Mean},
        {"AVERAGE_POOL_2D", Kind::Mean}, // of the whole map, in the pooled branch of DeepLab
        {"RESIZE_BILINEAR", Kind::Same}, // of that one cell: see Concatenation
        {"TILE", Kind::Same},
        {"QUANTIZE", Kind::Same},
    };
    const auto found = kinds.find(name);
    if (found == kinds.end()) return std::nullopt;
    return found->second;
}

Pair pairFrom(const Json& entry, const char* key) {
    if (!entry.contains(key)) return {1, 1};
    const Pair pair = entry.at(key).get<Pair>();
    if (pair[0] < 1 || pair[0] != pair[1] || pair[0] > 64)
        throw std::invalid_argument(fmt::format("'{}' is out of range", key));
    return pair;
}

/// Throws nlohmann's exceptions, std::invalid_argument and std::out_of_range for what is wrong.
Operation operationFrom(const Json& entry, std::int64_t index, const TensorFile& file) {
    Operation operation;
    const auto name = entry.at("op").get<std::string>();
    const auto kind = kindNamed(name);
    if (!kind) throw std::invalid_argument(fmt::format("the operation {} is not known here", name));
    operation.kind = *kind;
    operation.inputs = entry.at("inp").get<std::vector<std::int64_t>>();
    operation.output = entry.at("out").get<std::int64_t>();
    if (operation.inputs.size() < (*kind == Kind::Addition ? 2U : 1U))
        throw std::invalid_argument("an input is missing");
    if (entry.contains("clamp") && !entry.at("clamp").is_null()) {
        const auto clamp = entry.at("clamp").get<std::array<double, 2>>();
        operation.low = clamp[0];
        operation.high = clamp[1];
    }
    if (*kind != Kind::Convolution && *kind != Kind::Depthwise) return operation;
    operation.stride = pairFrom(entry, "stride");
    operation.dilation = pairFrom(entry, "dilation");
    operation.same = entry.value("pad", "SAME") == "SAME";
    operation.weight = file.tensors.at(fmt::format("op{}.weight", index)).to(at::kFloat);
    operation.bias = file.tensors.at(fmt::format("op{}.bias", index)).to(at::kFloat);
    if (operation.weight.dim() != 4 || operation.bias.dim() != 1 ||
        operation.bias.size(0) != operation.weight.size(0) ||
        (*kind == Kind::Depthwise && operation.weight.size(1) != 1))
        throw std::invalid_argument("its weights are misshapen");
    return operation;
}

/// Channels of every map; throws std::invalid_argument where operations do not fit each other.
std::map<std::int64_t, std::int64_t> channelsOf(const GraphTeacher& teacher) {
    std::map<std::int64_t, std::int64_t> channels{{teacher.input, 3}};
    for (const Operation& operation : teacher.operations) {
        std::vector<std::int64_t> given;
        for (const std::int64_t id : operation.inputs) {
            const auto found = channels.find(id);
            if (found == channels.end())
                throw std::invalid_argument(fmt::format("map {} is used before it is made", id));
            given.push_back(found->second);
        }
        std::int64_t made = given.front();
        const bool fits = [&] {
            switch (operation.kind) {
            case Kind::Convolution:
                made = operation.weight.size(0);
                return operation.weight.size(1) == given.front();
            case Kind::Depthwise:
                return operation.weight.size(0) == given.front();
            case Kind::Addition:
                return given[0] == given[1];
            case Kind::Concatenation:
                made = 0;
                for (const std::int64_t part : given)
                    made += part;
                return true;
            case Kind::Mean:
            case Kind::Same:
                return true;
            }
            return false;
        }();
        if (!fits)
            throw std::invalid_argument(
                fmt::format("the channels of map {} do not fit", operation.output));
        channels[operation.output] = made;
    }
    return channels;
}

/// From where on strides become dilations; and which convolution has the odd pixel before.
void adaptStrides(GraphTeacher& teacher, const TeacherSpec& spec) {
    struct Reached {
        std::int64_t stride = 1;
        std::int64_t rate = 1;
    };
    std::map<std::int64_t, Reached> reached{{teacher.input, {}}};
    int strided = 0;
    for (Operation& operation : teacher.operations) {
        Reached at = reached.at(operation.inputs.front());
        for (const std::int64_t id : operation.inputs)
            at = reached.at(id).stride > at.stride ? reached.at(id) : at;
        const std::int64_t stride = operation.stride[0];
        operation.dilation = {operation.dilation[0] * at.rate, operation.dilation[1] * at.rate};
        if (stride > 1) {
            ++strided;
            // The one that halves the map to cells of 16 pixels, in networks that halve it each
            // time: their crops had odd sides in training, which needs no odd pixel at all.
            operation.reversed = spec.reversedPads && strided == 4;
            if (spec.stride > 0 && at.stride * stride > spec.stride) {
                operation.stride = {1, 1};
                at.rate *= stride;
            } else {
                at.stride *= stride;
            }
        }
        reached[operation.output] = at;
    }
    teacher.stride = reached.at(teacher.operations.back().output).stride;
}

} // namespace

bool holdsTeacherGraph(const TensorFile& file) {
    return file.metadata.contains("ops") && file.metadata.contains("input");
}

Result<std::unique_ptr<Teacher>> teacherFromGraph(const TensorFile& file, const TeacherSpec& spec,
                                                  c10::Device device, at::ScalarType arithmetic) {
    const auto malformed = [&](std::string_view what) {
        return fail(ErrorCode::Malformed, fmt::format("The network in '{}' cannot be run: {}.",
                                                      file.path.string(), what));
    };
    auto teacher = std::make_unique<GraphTeacher>();
    try {
        const Json list = Json::parse(file.metadata.at("ops"));
        const std::string& input = file.metadata.at("input");
        std::from_chars(input.data(), input.data() + input.size(), teacher->input);
        const auto count = static_cast<std::int64_t>(list.size());
        if (spec.tap < 0 || spec.tap >= count) {
            const auto taps = file.metadata.find("taps");
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("Name the operation of '{}' to learn from, 0 to {}, as "
                                    "{}:tap=N{}.",
                                    file.path.string(), count - 1, file.path.string(),
                                    taps == file.metadata.end()
                                        ? std::string()
                                        : fmt::format("; it was made for {}", taps->second)));
        }
        for (std::int64_t i = 0; i <= spec.tap; ++i)
            teacher->operations.push_back(
                operationFrom(list.at(static_cast<std::size_t>(i)), i, file));
        teacher->tapChannels = channelsOf(*teacher).at(teacher->operations.back().output);
        adaptStrides(*teacher, spec);
    } catch (const std::exception& error) {
        return malformed(error.what());
    }
    teacher->size = spec.size;
    teacher->device = device;
    teacher->arithmetic = arithmetic;
    for (Operation& operation : teacher->operations) {
        if (!operation.weight.defined()) continue;
        operation.weight =
            operation.weight.to(device, arithmetic).contiguous(at::MemoryFormat::ChannelsLast);
        operation.bias = operation.bias.to(device, arithmetic);
    }
    return teacher;
}

} // namespace loftscope
