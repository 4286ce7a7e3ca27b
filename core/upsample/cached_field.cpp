// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/cached_field.h"

#include <map>
#include <mutex>
#include <tuple>

namespace loftscope {

namespace {

class CachedField final : public FeatureField {
public:
    CachedField(std::unique_ptr<FeatureField> field, std::size_t budgetBytes)
        : field_(std::move(field))
        , roomBytes_(budgetBytes) {}

    Extent extent() const override { return field_->extent(); }
    std::int64_t channels() const override { return field_->channels(); }
    Extent gridExtent() const override { return field_->gridExtent(); }
    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        return field_->attend(pixel);
    }

    at::Tensor evaluateEvery(const Rect& rect, std::int64_t stride) const override {
        return stride == 1 ? evaluate(rect) : field_->evaluateEvery(rect, stride);
    }

    at::Tensor evaluate(const Rect& rect) const override {
        const Key key{rect.x, rect.y, rect.width, rect.height};
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = tiles_.find(key); found != tiles_.end()) return found->second;
        }
        const at::Tensor tile = field_->evaluate(rect);
        const std::lock_guard lock(mutex_);
        if (const std::size_t bytes = tile.nbytes();
            bytes <= roomBytes_ && tiles_.emplace(key, tile).second)
            roomBytes_ -= bytes;
        return tile;
    }

private:
    using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

    std::unique_ptr<FeatureField> field_;
    mutable std::mutex mutex_;
    mutable std::map<Key, at::Tensor> tiles_;
    mutable std::size_t roomBytes_;
};

} // namespace

std::unique_ptr<FeatureField> makeCachedField(std::unique_ptr<FeatureField> field,
                                              std::size_t budgetBytes) {
    return std::make_unique<CachedField>(std::move(field), budgetBytes);
}

} // namespace loftscope
