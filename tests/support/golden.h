// SPDX-License-Identifier: Apache-2.0
// Reference arrays of tests/golden, and how far a result is from one.
#pragma once

#include "core/weights/tensor_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>

namespace loftscope::test {

class Golden {
public:
    /// `name`: a file of tests/golden without ".safetensors".
    explicit Golden(const std::string& name) {
        auto file =
            readTensorFile(std::string(LOFTSCOPE_TEST_DATA) + "/golden/" + name + ".safetensors");
        if (!file) throw std::runtime_error(file.error().message);
        file_ = *std::move(file);
    }
    bool has(const std::string& key) const { return file_.tensors.contains(key); }
    const StateDict& state() const { return file_.tensors; }
    const std::map<std::string, std::string>& metadata() const { return file_.metadata; }
    /// The array as stored.
    at::Tensor raw(const std::string& key) const { return file_.tensors.at(key); }
    /// The array as fp32.
    at::Tensor operator[](const std::string& key) const { return raw(key).to(at::kFloat); }

private:
    TensorFile file_;
};

struct Difference {
    double max = 0;
    double mean = 0;
};

inline Difference difference(const at::Tensor& actual, const at::Tensor& expected) {
    EXPECT_EQ(actual.sizes(), expected.sizes());
    if (actual.sizes() != expected.sizes()) return {1e30, 1e30};
    const at::Tensor gap = (actual.to(at::kDouble) - expected.to(at::kDouble)).abs();
    // A NaN must fail every comparison below a tolerance.
    if (gap.isnan().any().item<bool>()) return {1e30, 1e30};
    return {gap.max().item<double>(), gap.mean().item<double>()};
}

} // namespace loftscope::test
