// SPDX-License-Identifier: Apache-2.0
// Convolutional networks given as a list of operations in a safetensors file: metadata `ops`, a
// JSON list in the order of execution of
//     {op, inp: [ids], out: id, clamp: [low, high] or null, stride, dilation: [y, x], pad}
// with weights `opN.weight` (O x I x kh x kw; depthwise: C x 1 x kh x kw) and `opN.bias`; metadata
// `input` is the id of the input, RGB in -1..1. Paddings are TensorFlow's SAME: what is missing of
// a whole number of strides, one pixel more after than before where it is odd. That shifts what the
// cells look at, which is kept account of.
#pragma once

#include "core/train/teacher.h"
#include "core/weights/tensor_file.h"

namespace loftscope {

/// True if the file holds such a graph.
bool holdsTeacherGraph(const TensorFile& file);

/// `spec.tap` must name an operation. Errors: Malformed, Unsupported (an operation that is not
/// known here), InvalidArgument (tap).
Result<std::unique_ptr<Teacher>> teacherFromGraph(const TensorFile& file, const TeacherSpec& spec,
                                                  c10::Device device, at::ScalarType arithmetic);

} // namespace loftscope
