// SPDX-License-Identifier: Apache-2.0
#include "core/train/over_segmentation.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace loftscope {

namespace {

/// Sets of pixels that grow together, with their size and the largest edge inside.
class DisjointSets {
public:
    explicit DisjointSets(std::size_t count)
        : parent_(count)
        , size_(count, 1)
        , inner_(count, 0) {
        std::iota(parent_.begin(), parent_.end(), 0U);
    }
    std::uint32_t find(std::uint32_t element) {
        while (parent_[element] != element) {
            parent_[element] = parent_[parent_[element]];
            element = parent_[element];
        }
        return element;
    }
    void join(std::uint32_t a, std::uint32_t b, float weight) {
        if (size_[a] < size_[b]) std::swap(a, b);
        parent_[b] = a;
        size_[a] += size_[b];
        inner_[a] = weight;
    }
    std::uint32_t size(std::uint32_t root) const { return size_[root]; }
    float inner(std::uint32_t root) const { return inner_[root]; }

private:
    std::vector<std::uint32_t> parent_;
    std::vector<std::uint32_t> size_;
    std::vector<float> inner_;
};

/// Three colour planes, smoothed.
std::array<std::vector<float>, 3> smoothedPlanes(const std::uint8_t* pixels, std::int64_t height,
                                                 std::int64_t width, double sigma) {
    const auto radius = static_cast<std::int64_t>(std::ceil(4 * sigma));
    std::vector<float> kernel;
    for (std::int64_t i = -radius; i <= radius; ++i) {
        kernel.push_back(
            static_cast<float>(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma))));
    }
    const float total = std::accumulate(kernel.begin(), kernel.end(), 0.0F);
    for (float& weight : kernel)
        weight /= total;

    std::array<std::vector<float>, 3> planes;
    std::vector<float> rows(static_cast<std::size_t>(height * width));
    for (std::size_t channel = 0; channel < 3; ++channel) {
        for (std::int64_t y = 0; y < height; ++y) {
            for (std::int64_t x = 0; x < width; ++x) {
                float sum = 0;
                for (std::int64_t i = -radius; i <= radius; ++i) {
                    const std::int64_t at = std::clamp<std::int64_t>(x + i, 0, width - 1);
                    sum += kernel[static_cast<std::size_t>(i + radius)] *
                           static_cast<float>(
                               pixels[(y * width + at) * 3 + static_cast<std::int64_t>(channel)]);
                }
                rows[static_cast<std::size_t>(y * width + x)] = sum;
            }
        }
        planes[channel].assign(rows.size(), 0.0F);
        for (std::int64_t i = -radius; i <= radius; ++i) {
            const float weight = kernel[static_cast<std::size_t>(i + radius)];
            for (std::int64_t y = 0; y < height; ++y) {
                const float* source =
                    rows.data() + std::clamp<std::int64_t>(y + i, 0, height - 1) * width;
                float* target = planes[channel].data() + y * width;
                for (std::int64_t x = 0; x < width; ++x)
                    target[x] += weight * source[x];
            }
        }
    }
    return planes;
}

struct Edge {
    std::uint32_t a;
    std::uint32_t b;
    float weight;
};

/// Edges between adjacent pixels, lightest first; equal ones in raster order.
std::vector<Edge> sortedEdges(const std::array<std::vector<float>, 3>& planes, std::int64_t height,
                              std::int64_t width) {
    std::vector<Edge> edges;
    edges.reserve(static_cast<std::size_t>(height * width * 4));
    const auto add = [&](std::int64_t a, std::int64_t b) {
        float squares = 0;
        for (const auto& plane : planes) {
            const float difference =
                plane[static_cast<std::size_t>(a)] - plane[static_cast<std::size_t>(b)];
            squares += difference * difference;
        }
        edges.push_back(
            {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), std::sqrt(squares)});
    };
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t at = y * width + x;
            if (x + 1 < width) add(at, at + 1);
            if (y + 1 < height) add(at, at + width);
            if (x + 1 < width && y + 1 < height) add(at, at + width + 1);
            if (x + 1 < width && y > 0) add(at, at - width + 1);
        }
    }
    // Colour distances reach 442; a counting sort on 1/128 of a grey level is an order of magnitude
    // faster than std::sort.
    constexpr std::size_t bins = 65536;
    const auto binOf = [](const Edge& edge) {
        return std::min(bins - 1, static_cast<std::size_t>(edge.weight * 128));
    };
    std::vector<std::uint32_t> begin(bins + 1, 0);
    for (const Edge& edge : edges)
        ++begin[binOf(edge) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<Edge> sorted(edges.size());
    for (const Edge& edge : edges)
        sorted[begin[binOf(edge)]++] = edge;
    return sorted;
}

/// Sets to labels 0..n-1 in raster order.
at::Tensor labelsOf(DisjointSets& sets, std::int64_t height, std::int64_t width) {
    at::Tensor labels = at::empty({height, width}, at::kLong);
    auto* out = labels.mutable_data_ptr<std::int64_t>();
    std::vector<std::int64_t> labelOfRoot(static_cast<std::size_t>(height * width), -1);
    std::int64_t next = 0;
    for (std::int64_t i = 0; i < height * width; ++i) {
        std::int64_t& label = labelOfRoot[sets.find(static_cast<std::uint32_t>(i))];
        if (label < 0) label = next++;
        out[i] = label;
    }
    return labels;
}

} // namespace

std::vector<at::Tensor> overSegment(const at::Tensor& photo, const OverSegmentation& options) {
    const std::int64_t height = photo.size(0);
    const std::int64_t width = photo.size(1);
    const auto planes =
        smoothedPlanes(photo.const_data_ptr<std::uint8_t>(), height, width, options.sigma);
    const std::vector<Edge> edges = sortedEdges(planes, height, width);

    std::vector<at::Tensor> maps;
    for (const double scale : options.scales) {
        DisjointSets sets(static_cast<std::size_t>(height * width));
        const auto allowed = [&](std::uint32_t root) {
            return sets.inner(root) +
                   static_cast<float>(scale) / static_cast<float>(sets.size(root));
        };
        for (const Edge& edge : edges) {
            const std::uint32_t a = sets.find(edge.a);
            const std::uint32_t b = sets.find(edge.b);
            if (a != b && edge.weight <= std::min(allowed(a), allowed(b)))
                sets.join(a, b, edge.weight);
        }
        for (const Edge& edge : edges) {
            const std::uint32_t a = sets.find(edge.a);
            const std::uint32_t b = sets.find(edge.b);
            if (a != b && std::min(sets.size(a), sets.size(b)) < options.smallest)
                sets.join(a, b, edge.weight);
        }
        maps.push_back(labelsOf(sets, height, width));
    }
    return maps;
}

at::Tensor connectedComponents(const at::Tensor& labels) {
    const at::Tensor source = labels.contiguous();
    const std::int64_t height = source.size(0);
    const std::int64_t width = source.size(1);
    const auto* in = source.const_data_ptr<std::int64_t>();
    at::Tensor components = at::empty({height, width}, at::kLong);
    auto* out = components.mutable_data_ptr<std::int64_t>();
    std::fill(out, out + height * width, -1);
    std::vector<std::int64_t> open;
    std::int64_t next = 0;
    for (std::int64_t start = 0; start < height * width; ++start) {
        if (in[start] < 0 || out[start] >= 0) continue;
        out[start] = next;
        open.assign(1, start);
        while (!open.empty()) {
            const std::int64_t at = open.back();
            open.pop_back();
            const auto visit = [&](std::int64_t neighbour) {
                if (out[neighbour] >= 0 || in[neighbour] != in[at]) return;
                out[neighbour] = next;
                open.push_back(neighbour);
            };
            if (at % width > 0) visit(at - 1);
            if (at % width < width - 1) visit(at + 1);
            if (at >= width) visit(at - width);
            if (at < (height - 1) * width) visit(at + width);
        }
        ++next;
    }
    return components;
}

} // namespace loftscope
