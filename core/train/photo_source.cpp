// SPDX-License-Identifier: Apache-2.0
#include "core/train/photo_source.h"

#include "core/train/over_segmentation.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace loftscope {

namespace {

/// Checks that `offsets` are n + 1 growing positions inside `bytes`.
bool rangesFit(const at::Tensor& offsets, std::int64_t count, std::int64_t bytes) {
    if (offsets.scalar_type() != at::kLong || offsets.dim() != 1 || offsets.size(0) != count + 1)
        return false;
    const auto* at = offsets.const_data_ptr<std::int64_t>();
    return at[0] >= 0 && std::is_sorted(at, at + count + 1) && at[count] <= bytes;
}

class PackSource final : public PhotoSource {
public:
    StateDict tensors;
    std::string file;
    std::vector<std::string> names;
    PictureDecoder decoder;
    std::vector<std::int64_t> kept; ///< indices in the pack
    bool decoded = false;
    bool withClasses = false;

    std::int64_t size() const override { return static_cast<std::int64_t>(kept.size()); }
    std::string name(std::int64_t index) const override {
        const std::int64_t i = kept[static_cast<std::size_t>(index)];
        return fmt::format("{}:{}", file, names[static_cast<std::size_t>(i)]);
    }

    std::int64_t classSets() const override { return withClasses ? 1 : 0; }
    LabelMeaning meaningOf(std::int64_t i) const {
        const std::uint8_t kind = tensors.at("kind").const_data_ptr<std::uint8_t>()[i];
        if (kind == 2) return LabelMeaning::Segments;
        if (kind == 3) return LabelMeaning::Classes;
        return LabelMeaning::SegmentsButZero;
    }

    Result<TrainingPhoto> load(std::int64_t index) const override {
        const std::int64_t i = kept[static_cast<std::size_t>(index)];
        return decoded ? loadDecoded(i, name(index)) : loadEncoded(i, name(index));
    }

private:
    Result<TrainingPhoto> loadDecoded(std::int64_t i, const std::string& label) const {
        const auto* extents = tensors.at("extent").const_data_ptr<std::int64_t>();
        const std::int64_t height = extents[2 * i];
        const std::int64_t width = extents[2 * i + 1];
        const auto [begin, end] = range("poff", i);
        const auto [first, last] = range("soff", i);
        if (height <= 0 || width <= 0 || width > (end - begin) / 3 / height ||
            end - begin != height * width * 3 || (last - first) % (height * width) != 0) {
            return fail(ErrorCode::Malformed,
                        fmt::format("The pixels or masks of '{}' do not fit its size.", label));
        }
        TrainingPhoto photo;
        photo.pixels = tensors.at("pixels").slice(0, begin, end).view({height, width, 3});
        for (std::int64_t at = first; at < last; at += height * width) {
            photo.labels.push_back(tensors.at("segments")
                                       .slice(0, at, at + height * width)
                                       .view({height, width})
                                       .to(at::kLong));
        }
        return photo;
    }

    Result<TrainingPhoto> loadEncoded(std::int64_t i, const std::string& label) const {
        TrainingPhoto photo;
        at::Tensor labels;
        LOFTSCOPE_TRY(photo.pixels, decoder.photo(bytes("jpeg", "joff", i), label));
        if (const auto map = bytes("png", "poff", i); !map.empty()) {
            LOFTSCOPE_TRY(labels, decoder.labels(map, label));
        }
        if (labels.defined()) {
            if (labels.size(0) != photo.pixels.size(0) || labels.size(1) != photo.pixels.size(1)) {
                return fail(
                    ErrorCode::Malformed,
                    fmt::format("The label map of '{}' has another size than the photo.", label));
            }
            addLabels(photo, labels, meaningOf(i));
        }
        return photo;
    }

    std::pair<std::int64_t, std::int64_t> range(const char* offsets, std::int64_t i) const {
        const auto* at = tensors.at(offsets).const_data_ptr<std::int64_t>();
        return {at[i], at[i + 1]};
    }
    std::span<const std::byte> bytes(const char* data, const char* offsets, std::int64_t i) const {
        const auto [begin, end] = range(offsets, i);
        const auto* first =
            reinterpret_cast<const std::byte*>(tensors.at(data).const_data_ptr<std::uint8_t>());
        return {first + begin, static_cast<std::size_t>(end - begin)};
    }
};

class JoinedSource final : public PhotoSource {
public:
    explicit JoinedSource(std::vector<std::unique_ptr<PhotoSource>> sources)
        : sources_(std::move(sources)) {
        for (const auto& source : sources_)
            ends_.push_back((ends_.empty() ? 0 : ends_.back()) + source->size());
    }
    std::int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
    std::string name(std::int64_t index) const override {
        const auto [source, inner] = locate(index);
        return sources_[source]->name(inner);
    }
    std::int64_t classSets() const override { return setsBefore(sources_.size()); }
    Result<TrainingPhoto> load(std::int64_t index) const override {
        const auto [source, inner] = locate(index);
        auto photo = sources_[source]->load(inner);
        if (photo) photo->classSet += setsBefore(source);
        return photo;
    }

private:
    /// Which source, and which of its photos.
    std::pair<std::size_t, std::int64_t> locate(std::int64_t index) const {
        const auto end = std::upper_bound(ends_.begin(), ends_.end(), index);
        const auto i = static_cast<std::size_t>(end - ends_.begin());
        return {i, index - (i == 0 ? 0 : ends_[i - 1])};
    }
    std::int64_t setsBefore(std::size_t source) const {
        std::int64_t sets = 0;
        for (std::size_t i = 0; i < source; ++i)
            sets += sources_[i]->classSets();
        return sets;
    }
    std::vector<std::unique_ptr<PhotoSource>> sources_;
    std::vector<std::int64_t> ends_;
};

} // namespace

namespace {

/// Numbers, -1 where they are unlabelled.
at::Tensor labelled(const at::Tensor& labels, LabelMeaning meaning) {
    const at::Tensor numbers = labels.to(at::kLong);
    switch (meaning) {
    case LabelMeaning::Segments:
        return numbers;
    case LabelMeaning::Classes:
        return numbers.masked_fill(numbers.eq(255), -1);
    case LabelMeaning::SegmentsButZero:
    case LabelMeaning::ClassesButZero:
        return numbers.masked_fill(numbers.eq(0).logical_or(numbers.eq(255)), -1);
    }
    return numbers;
}

} // namespace

bool namesClasses(LabelMeaning meaning) {
    return meaning == LabelMeaning::Classes || meaning == LabelMeaning::ClassesButZero;
}

at::Tensor masksFromLabels(const at::Tensor& labels, LabelMeaning meaning) {
    const at::Tensor numbers = labelled(labels, meaning);
    return namesClasses(meaning) ? connectedComponents(numbers) : numbers;
}

void addLabels(TrainingPhoto& photo, const at::Tensor& labels, LabelMeaning meaning) {
    photo.labels.push_back(masksFromLabels(labels, meaning));
    if (namesClasses(meaning) && !photo.classes.defined())
        photo.classes = labelled(labels, meaning);
}

Result<std::unique_ptr<PhotoSource>>
makePackSource(const StateDict& tensors, const std::map<std::string, std::string>& metadata,
               const std::string& name, PictureDecoder decoder,
               const std::vector<std::string>& skip) {
    const auto malformed = [&](std::string_view what) {
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is not a pack of photos: {}.", name, what));
    };
    auto source = std::make_unique<PackSource>();
    source->decoded = tensors.contains("pixels");
    const std::vector<std::string> keys =
        source->decoded ? std::vector<std::string>{"pixels", "extent", "poff", "segments", "soff"}
                        : std::vector<std::string>{"jpeg", "joff", "png", "poff", "kind"};
    for (const std::string& key : keys) {
        const auto found = tensors.find(key);
        if (found == tensors.end()) return malformed(fmt::format("'{}' is missing", key));
        source->tensors[key] = found->second.contiguous();
    }
    const auto& t = source->tensors;
    for (const char* key : {"jpeg", "png", "pixels", "kind", "segments"}) {
        const auto type = std::string_view(key) == "segments" ? at::kShort : at::kByte;
        if (t.contains(key) && (t.at(key).scalar_type() != type || t.at(key).dim() != 1))
            return malformed(fmt::format("'{}' is of another type", key));
    }
    if (source->decoded && t.at("extent").dim() != 2)
        return malformed("'extent' is not a list of sizes");
    const std::int64_t count = t.at(source->decoded ? "extent" : "kind").size(0);
    const bool fits = source->decoded
                          ? rangesFit(t.at("poff"), count, t.at("pixels").size(0)) &&
                                rangesFit(t.at("soff"), count, t.at("segments").size(0)) &&
                                t.at("extent").sizes() == at::IntArrayRef({count, 2}) &&
                                t.at("extent").scalar_type() == at::kLong
                          : rangesFit(t.at("joff"), count, t.at("jpeg").size(0)) &&
                                rangesFit(t.at("poff"), count, t.at("png").size(0));
    if (!fits) return malformed("its offsets do not fit its data");

    if (const auto found = metadata.find("names"); found != metadata.end()) {
        const auto list = nlohmann::json::parse(found->second, nullptr, false);
        if (!list.is_array()) return malformed("its list of names is damaged");
        for (const auto& entry : list)
            source->names.push_back(entry.is_string() ? entry.get<std::string>() : std::string());
    }
    source->names.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        std::string& label = source->names[static_cast<std::size_t>(i)];
        if (label.empty()) label = fmt::format("photo {}", i);
        const bool skipped = std::any_of(skip.begin(), skip.end(), [&](const std::string& prefix) {
            return label.starts_with(prefix);
        });
        if (skipped) continue;
        source->kept.push_back(i);
        if (!source->decoded && namesClasses(source->meaningOf(i))) source->withClasses = true;
    }
    source->file = name;
    source->decoder = std::move(decoder);
    return source;
}

std::unique_ptr<PhotoSource> joinSources(std::vector<std::unique_ptr<PhotoSource>> sources) {
    return std::make_unique<JoinedSource>(std::move(sources));
}

} // namespace loftscope
