// SPDX-License-Identifier: Apache-2.0
// Networks whose features a small backbone learns to predict.
#pragma once

#include "core/backbone/backbone.h"
#include "core/base/error.h"
#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace loftscope {

/// Where the cells of a feature map look at, in shares of the picture's width and height: the
/// centre of cell (row, column) is (x + column * stepX, y + row * stepY).
struct CellGrid {
    double x = 0;
    double y = 0;
    double stepX = 0;
    double stepY = 0;
    /// Equal cells that cover the picture exactly.
    static CellGrid covering(const Extent& cells);
};

struct TeacherMap {
    at::Tensor values; ///< B x C x h x w, fp32, on the teacher's device
    CellGrid cells;
};

/// Immutable.
class Teacher {
public:
    virtual ~Teacher() = default;
    virtual std::int64_t channels() const = 0;
    /// Features of `pictures` (B x 3 x H x W, 0..1, any size). `nominal`: the size in pixels that
    /// the student would see them at; the teacher makes of it what it wants to see. No gradients.
    /// Throws as LibTorch does.
    virtual TeacherMap map(const at::Tensor& pictures, const Extent& nominal) const = 0;
};

/// A teacher as asked for: `FILE[:KEY=VALUE,...]`.
struct TeacherSpec {
    std::filesystem::path path;
    double weight = 1;       ///< of its loss
    std::int64_t dims = 64;  ///< principal components that are kept, at most
    double size = 1;         ///< what it sees, relative to the student's input: `size=x2`
    std::int64_t tap = -1;   ///< graphs: the operation whose output counts
    std::int64_t stride = 0; ///< graphs: pixels per cell at most, the rest by dilation; 0: as it is
    bool reversedPads = false;       ///< graphs: `pads=reversed`
    std::int64_t patch = 16;         ///< TorchScript: its input's sides are multiples of it
    std::string values = "imagenet"; ///< TorchScript: how colours are scaled: imagenet (mean and
                                     ///< deviation), half (-1..1), unit (0..1)
    /// Short and without folders, for logs: "mobilenetv2_imagenet:tap=47,size=x2".
    std::string label() const;
};

/// Errors: InvalidArgument, naming the part that is wrong and the keys that there are.
Result<TeacherSpec> parseTeacherSpec(const std::string& text);

/// The sides that a network sees: `size` times `nominal`, as multiples of `unit`.
Extent teacherExtent(const Extent& nominal, double size, std::int64_t unit);
/// Bilinear, smoothed when shrinking; B x 3 x H x W.
at::Tensor resizedPictures(const at::Tensor& pictures, const Extent& extent);

/// A backbone as teacher: its tokens after the final norm.
std::unique_ptr<Teacher> teacherFromBackbone(std::shared_ptr<const Backbone> backbone,
                                             const TeacherSpec& spec);

/// A TorchScript module that makes B x C x h x w or B x N x C (row by row; tokens before the grid's
/// are dropped) of B x 3 x H x W. It is a program, and it is run. Errors: Malformed, Unsupported
/// (its output is of another kind).
Result<std::unique_ptr<Teacher>> teacherFromModule(const TeacherSpec& spec, c10::Device device);

/// Whatever the file is: a convolutional graph, a backbone that is known here, a TorchScript
/// module. `arithmetic`: of graphs. Errors: those of reading it.
Result<std::unique_ptr<Teacher>> openTeacher(const TeacherSpec& spec, c10::Device device,
                                             at::ScalarType arithmetic);

} // namespace loftscope
