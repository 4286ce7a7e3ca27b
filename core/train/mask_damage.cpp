// SPDX-License-Identifier: Apache-2.0
#include "core/train/mask_damage.h"

#include "core/base/number.h"

#include <ATen/ops/empty_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace loftscope {

namespace {

constexpr std::int64_t none = -1;

void takeAway(std::vector<std::int64_t>& labels, double share, CounterRandom& random) {
    std::unordered_map<std::int64_t, bool> gone; // decided in the order of appearance
    for (std::int64_t& label : labels) {
        if (label < 0) continue;
        const auto [known, isNew] = gone.try_emplace(label, false);
        if (isNew) known->second = random.chance(share);
        if (known->second) label = none;
    }
}

void invent(std::vector<std::int64_t>& labels, std::int64_t height, std::int64_t width,
            double share, CounterRandom& random) {
    std::int64_t next = *std::ranges::max_element(labels) + 1;
    std::vector<bool> covered(labels.size());
    double area = 0;
    const auto side = [&](std::int64_t length) {
        return std::clamp<std::int64_t>(
            std::llround(static_cast<double>(length) * random.uniform(0.125, 0.5)), 1, length);
    };
    while (area < share * static_cast<double>(labels.size())) {
        const std::int64_t h = side(height);
        const std::int64_t w = side(width);
        const std::int64_t top = random.below(height - h + 1);
        const std::int64_t left = random.below(width - w + 1);
        for (std::int64_t y = top; y < top + h; ++y) {
            for (std::int64_t x = left; x < left + w; ++x) {
                const auto at = static_cast<std::size_t>(y * width + x);
                labels[at] = std::max<std::int64_t>(next, 0);
                if (!covered[at]) area += 1;
                covered[at] = true;
            }
        }
        ++next;
    }
}

/// Pixels whose square of `radius` around holds more than one label belong to no mask. Own loops,
/// in rows and then columns: LibTorch's pooling would start threads in every decoding thread.
void erode(std::vector<std::int64_t>& labels, std::int64_t height, std::int64_t width,
           std::int64_t radius) {
    struct Range {
        std::int64_t low;
        std::int64_t high;
    };
    std::vector<Range> rows(labels.size());
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const auto begin = labels.begin() + y * width;
            const auto [low, high] =
                std::minmax_element(begin + std::max<std::int64_t>(0, x - radius),
                                    begin + std::min(width, x + radius + 1));
            rows[static_cast<std::size_t>(y * width + x)] = {*low, *high};
        }
    }
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t first = std::max<std::int64_t>(0, y - radius);
            Range range = rows[static_cast<std::size_t>(first * width + x)];
            for (std::int64_t v = first + 1; v < std::min(height, y + radius + 1); ++v) {
                const Range& row = rows[static_cast<std::size_t>(v * width + x)];
                range = {std::min(range.low, row.low), std::max(range.high, row.high)};
            }
            if (range.low != range.high) labels[static_cast<std::size_t>(y * width + x)] = none;
        }
    }
}

} // namespace

std::string MaskDamage::describe() const {
    std::string text;
    const auto add = [&](std::string_view kind, auto strength) {
        if (strength > 0) text += fmt::format("{}{}={}", text.empty() ? "" : ",", kind, strength);
    };
    add("missing", missing);
    add("false", invented);
    add("eroded", eroded);
    return text;
}

Result<MaskDamage> maskDamageOf(const std::vector<std::string>& texts) {
    MaskDamage damage;
    for (const std::string& text : texts) {
        const auto wrong = [&] {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' is no damage of masks: use missing=SHARE (0 to 1), "
                                    "false=SHARE (0 to 0.95) or eroded=PIXELS (0 to 64).",
                                    text));
        };
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) return wrong();
        const std::string kind = text.substr(0, equals);
        const auto parsed = parsedNumber<double>(std::string_view(text).substr(equals + 1));
        if (!parsed || *parsed < 0) return wrong();
        const double strength = *parsed;
        if (kind == "missing" && strength <= 1) {
            damage.missing = strength;
        } else if (kind == "false" && strength <= 0.95) {
            damage.invented = strength;
        } else if (kind == "eroded" && strength <= 64 && strength == std::floor(strength)) {
            damage.eroded = std::llround(strength);
        } else {
            return wrong();
        }
    }
    return damage;
}

at::Tensor damagedMasks(const at::Tensor& labels, const MaskDamage& damage, CounterRandom random) {
    if (!damage.any() || labels.numel() == 0) return labels;
    const at::Tensor source = labels.contiguous();
    const auto* const in = source.const_data_ptr<std::int64_t>();
    std::vector<std::int64_t> map(in, in + source.numel());
    if (damage.missing > 0) takeAway(map, damage.missing, random);
    if (damage.invented > 0) invent(map, source.size(0), source.size(1), damage.invented, random);
    if (damage.eroded > 0) erode(map, source.size(0), source.size(1), damage.eroded);
    at::Tensor result = at::empty_like(source);
    std::ranges::copy(map, result.mutable_data_ptr<std::int64_t>());
    return result;
}

} // namespace loftscope
