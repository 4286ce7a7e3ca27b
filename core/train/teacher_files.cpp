// SPDX-License-Identifier: Apache-2.0
// Which kind of teacher a file is.
#include "core/backbone/torchscript.h"
#include "core/pipeline/models.h"
#include "core/train/teacher.h"
#include "core/train/teacher_graph.h"
#include "core/weights/tensor_file.h"

namespace loftscope {

Result<std::unique_ptr<Teacher>> openTeacher(const TeacherSpec& spec, c10::Device device,
                                             at::ScalarType arithmetic) {
    const Result<TensorFile> file = readTensorFile(spec.path);
    if (file && holdsTeacherGraph(*file)) return teacherFromGraph(*file, spec, device, arithmetic);
    auto backbone = loadBackbone(spec.path, device);
    if (backbone) return teacherFromBackbone(backbone->model, spec);
    // Constants of a module may be of kinds that the reader of weights does not know.
    if (holdsTorchScript(spec.path)) return teacherFromModule(spec, device);
    return std::unexpected(std::move(backbone).error());
}

} // namespace loftscope
