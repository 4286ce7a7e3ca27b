// SPDX-License-Identifier: Apache-2.0
// TorchScript modules as teachers.
#include "core/base/guard.h"
#include "core/train/normalised_pictures.h"
#include "core/train/teacher.h"

#include <fmt/format.h>
#include <torch/script.h>

#include <stdexcept>

namespace loftscope {

namespace {

class ModuleTeacher final : public Teacher {
public:
    ModuleTeacher(torch::jit::Module module, TeacherSpec spec, c10::Device device)
        : module_(std::move(module))
        , spec_(std::move(spec))
        , device_(device) {
        module_.eval();
        channels_ = map(at::zeros({1, 3, 2 * spec_.patch, 2 * spec_.patch}),
                        {2 * spec_.patch, 2 * spec_.patch})
                        .values.size(1);
    }

    std::int64_t channels() const override { return channels_; }

    TeacherMap map(const at::Tensor& pictures, const Extent& nominal) const override {
        const c10::NoGradGuard noGrad;
        const Extent extent = teacherExtent(nominal, spec_.size, spec_.patch);
        const at::Tensor input = scaled(resizedPictures(pictures.to(device_), extent));
        torch::jit::Module module = module_;
        const c10::IValue output = module.forward({input});
        const bool first = output.isTuple() && !output.toTupleRef().elements().empty();
        const c10::IValue value = first ? output.toTupleRef().elements()[0] : output;
        if (!value.isTensor())
            throw std::runtime_error("the module's output is neither a tensor nor a tuple that "
                                     "begins with one");
        at::Tensor values = value.toTensor().to(at::kFloat);
        if (values.dim() == 3) {
            const Extent grid{extent.height / spec_.patch, extent.width / spec_.patch};
            const std::int64_t before = values.size(1) - grid.area();
            if (before < 0)
                throw std::runtime_error(fmt::format("the module makes {} tokens of {} x {} "
                                                     "pixels, fewer than the patches of {}",
                                                     values.size(1), extent.width, extent.height,
                                                     spec_.patch));
            values = values.narrow(1, before, grid.area())
                         .transpose(1, 2)
                         .reshape({values.size(0), values.size(2), grid.height, grid.width});
        }
        if (values.dim() != 4 || values.size(0) != pictures.size(0))
            throw std::runtime_error("the module's output is neither B x C x h x w nor B x N x C");
        return {values, CellGrid::covering({values.size(2), values.size(3)})};
    }

private:
    at::Tensor scaled(const at::Tensor& pictures) const {
        if (spec_.values == "half") return pictures * 2 - 1;
        if (spec_.values == "unit") return pictures;
        return normalisedPictures(pictures, Normalisation{});
    }

    torch::jit::Module module_;
    TeacherSpec spec_;
    c10::Device device_;
    std::int64_t channels_ = 0;
};

} // namespace

Result<std::unique_ptr<Teacher>> teacherFromModule(const TeacherSpec& spec, c10::Device device) {
    return guarded(fmt::format("running the module '{}'", spec.path.string()),
                   [&]() -> Result<std::unique_ptr<Teacher>> {
                       return std::make_unique<ModuleTeacher>(
                           torch::jit::load(spec.path.string(), device), spec, device);
                   });
}

} // namespace loftscope
