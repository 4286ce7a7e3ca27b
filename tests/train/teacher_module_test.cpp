// SPDX-License-Identifier: Apache-2.0
// TorchScript modules as teachers.
#include "core/train/teacher.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

class ModuleTeachers : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("module_teacher_" + std::to_string(getpid()));
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    fs::path saved(const std::string& body) {
        torch::jit::Module module("Teacher");
        module.define("def forward(self, x):\n" + body);
        const fs::path path = folder_ / "module.pt";
        module.save(path.string());
        return path;
    }
    fs::path folder_;
};

TEST_F(ModuleTeachers, MakeMaps) {
    const auto teacher = teacherFromModule(
        {.path = saved("    return torch.avg_pool2d(x, 8)\n"), .patch = 8, .values = "half"},
        at::kCPU);
    ASSERT_TRUE(teacher) << teacher.error().message;
    EXPECT_EQ((*teacher)->channels(), 3);
    const TeacherMap map = (*teacher)->map(at::full({2, 3, 16, 25}, 0.75), {16, 25});
    ASSERT_EQ(map.values.sizes(), at::IntArrayRef({2, 3, 2, 3}));
    EXPECT_NEAR(map.values[1][2][1][2].item<double>(), 0.5, 1e-6);
    EXPECT_NEAR(map.cells.x, 1.0 / 6, 1e-12);
}

TEST_F(ModuleTeachers, MakeTokensAfterACls) {
    const auto teacher = teacherFromModule({.path = saved("    p = torch.avg_pool2d(x, 8)\n"
                                                          "    t = p.flatten(2).transpose(1, 2)\n"
                                                          "    c = t[:, :1] * 0 + 100\n"
                                                          "    return (torch.cat([c, t], 1), c)\n"),
                                            .patch = 8,
                                            .values = "unit"},
                                           at::kCPU);
    ASSERT_TRUE(teacher) << teacher.error().message;
    at::Tensor picture = at::zeros({1, 3, 16, 24});
    picture.select(1, 1).slice(1, 8, 16).slice(2, 16, 24).fill_(0.5); // the last patch's green
    const TeacherMap map = (*teacher)->map(picture, {16, 24});
    ASSERT_EQ(map.values.sizes(), at::IntArrayRef({1, 3, 2, 3}));
    EXPECT_NEAR(map.values[0][1][1][2].item<double>(), 0.5, 1e-6);
    EXPECT_NEAR(map.values.sum().item<double>(), 0.5, 1e-6);
}

TEST_F(ModuleTeachers, SayWhatIsWrong) {
    const auto flat =
        teacherFromModule({.path = saved("    return x.mean()\n"), .patch = 8}, at::kCPU);
    ASSERT_FALSE(flat);
    EXPECT_NE(flat.error().message.find("B x C x h x w"), std::string::npos);
    const auto few = teacherFromModule(
        {.path = saved("    return x.flatten(2)[:, :, :3].transpose(1, 2)\n"), .patch = 8},
        at::kCPU);
    EXPECT_FALSE(few);
    std::ofstream(folder_ / "broken.pt") << "PK nonsense";
    EXPECT_FALSE(teacherFromModule({.path = folder_ / "broken.pt"}, at::kCPU));
}

} // namespace
} // namespace loftscope
