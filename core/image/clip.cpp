// SPDX-License-Identifier: Apache-2.0
#include "core/image/clip.h"

#include "core/base/guard.h"
#include "core/image/opencv_quiet.h"

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>

#include <algorithm>
#include <cctype>
#include <mutex>
#include <system_error>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

/// From here on a jump is quicker than reading every frame in between.
constexpr std::int64_t longestRead = 60;

std::string lowerEnding(const fs::path& path) {
    std::string ending = path.extension().string();
    std::ranges::transform(ending, ending.begin(), [](unsigned char letter) {
        return static_cast<char>(std::tolower(letter));
    });
    return ending.empty() ? ending : ending.substr(1);
}

bool isOneOf(const std::vector<std::string_view>& endings, const fs::path& path) {
    return std::ranges::find(endings, lowerEnding(path)) != endings.end();
}

Result<void> checkIndex(std::int64_t index, std::int64_t frames) {
    if (index >= 0 && index < frames) return {};
    return fail(ErrorCode::InvalidArgument,
                fmt::format("There is no frame {}: the clip has {}.", index + 1, frames));
}

class FolderClip final : public Clip {
public:
    explicit FolderClip(std::vector<fs::path> pictures)
        : pictures_(std::move(pictures)) {}
    std::int64_t frames() const override { return static_cast<std::int64_t>(pictures_.size()); }
    double rate() const override { return 0; }
    Result<Photo> frame(std::int64_t index) const override {
        LOFTSCOPE_CHECK(checkIndex(index, frames()));
        return decodePhoto(pictures_[static_cast<std::size_t>(index)]);
    }

private:
    std::vector<fs::path> pictures_;
};

class VideoClip final : public Clip {
public:
    VideoClip(fs::path path, cv::VideoCapture video)
        : path_(std::move(path))
        , video_(std::move(video))
        , frames_(std::max<std::int64_t>(
              1, static_cast<std::int64_t>(video_.get(cv::CAP_PROP_FRAME_COUNT))))
        , rate_(std::max(0.0, video_.get(cv::CAP_PROP_FPS))) {}
    std::int64_t frames() const override { return frames_; }
    double rate() const override { return rate_; }

    Result<Photo> frame(std::int64_t index) const override {
        LOFTSCOPE_CHECK(checkIndex(index, frames_));
        const std::lock_guard lock(mutex_);
        return guarded(fmt::format("reading frame {} of '{}'", index + 1, path_.string()),
                       [&]() -> Result<Photo> {
                           if (next_ == unknown || index < next_ || index > next_ + longestRead)
                               jumpTo(index);
                           while (next_ < index && video_.grab())
                               ++next_;
                           cv::Mat decoded;
                           if (next_ != index || !video_.read(decoded) || decoded.empty()) {
                               next_ = unknown;
                               return fail(ErrorCode::Malformed,
                                           fmt::format("Frame {} of '{}' cannot be read: the file "
                                                       "is damaged or shorter than it says.",
                                                       index + 1, path_.string()));
                           }
                           ++next_;
                           return photoOf(decoded);
                       });
    }

private:
    static constexpr std::int64_t unknown = -1;

    void jumpTo(std::int64_t index) const {
        // Not every container can jump to any frame: what it says afterwards counts.
        video_.set(cv::CAP_PROP_POS_FRAMES, static_cast<double>(index));
        next_ = static_cast<std::int64_t>(video_.get(cv::CAP_PROP_POS_FRAMES));
        if (next_ <= index) return;
        video_.set(cv::CAP_PROP_POS_FRAMES, 0);
        next_ = 0;
    }

    static Photo photoOf(const cv::Mat& decoded) {
        cv::Mat rgb;
        cv::cvtColor(decoded, rgb, cv::COLOR_BGR2RGB);
        Photo photo;
        photo.image = Image({rgb.rows, rgb.cols},
                            std::vector<std::uint8_t>(rgb.data, rgb.data + rgb.total() * 3));
        return photo;
    }

    fs::path path_;
    mutable std::mutex mutex_;
    mutable cv::VideoCapture video_;
    mutable std::int64_t next_ = 0; ///< the frame that `read` gives
    std::int64_t frames_;
    double rate_;
};

bool isDigit(char letter) {
    return letter >= '0' && letter <= '9';
}

/// Takes the digits at the front off, without leading zeros.
std::string_view takeNumber(std::string_view& text) {
    std::size_t length = 0;
    while (length < text.size() && isDigit(text[length]))
        ++length;
    std::string_view number = text.substr(0, length);
    text.remove_prefix(length);
    while (number.size() > 1 && number.front() == '0')
        number.remove_prefix(1);
    return number;
}

} // namespace

const std::vector<std::string_view>& videoEndings() {
    static const std::vector<std::string_view> endings{"mp4", "webm", "mkv", "mov", "avi", "m4v"};
    return endings;
}

const std::vector<std::string_view>& pictureEndings() {
    static const std::vector<std::string_view> endings{"png", "jpg", "jpeg", "tif", "tiff", "webp",
                                                       "bmp", "ppm", "pgm",  "pnm", "jp2"};
    return endings;
}

bool countsBefore(std::string_view a, std::string_view b) {
    const std::string_view wholeA = a;
    const std::string_view wholeB = b;
    while (!a.empty() && !b.empty()) {
        if (isDigit(a.front()) && isDigit(b.front())) {
            const std::string_view numberA = takeNumber(a);
            const std::string_view numberB = takeNumber(b);
            if (numberA.size() != numberB.size()) return numberA.size() < numberB.size();
            if (numberA != numberB) return numberA < numberB;
            continue;
        }
        const int letterA = std::tolower(static_cast<unsigned char>(a.front()));
        const int letterB = std::tolower(static_cast<unsigned char>(b.front()));
        if (letterA != letterB) return letterA < letterB;
        a.remove_prefix(1);
        b.remove_prefix(1);
    }
    if (a.empty() != b.empty()) return a.empty();
    return wholeA < wholeB;
}

std::vector<fs::path> picturesIn(const fs::path& folder) {
    std::vector<fs::path> pictures;
    std::error_code problem;
    for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
         entry.increment(problem)) {
        std::error_code ignored;
        const fs::path& path = entry->path();
        if (path.filename().string().starts_with('.') || !isOneOf(pictureEndings(), path) ||
            !entry->is_regular_file(ignored)) {
            continue;
        }
        pictures.push_back(path);
    }
    std::ranges::sort(pictures, [](const fs::path& a, const fs::path& b) {
        return countsBefore(a.filename().string(), b.filename().string());
    });
    return pictures;
}

Result<std::shared_ptr<const Clip>> openClip(const fs::path& path) {
    return guarded(
        fmt::format("opening '{}'", path.string()), [&]() -> Result<std::shared_ptr<const Clip>> {
            std::error_code problem;
            if (fs::is_directory(path, problem)) {
                std::vector<fs::path> pictures = picturesIn(path);
                if (pictures.empty())
                    return fail(ErrorCode::NotFound,
                                fmt::format("The folder '{}' holds no pictures that can be opened: "
                                            "choose another one.",
                                            path.string()));
                return std::make_shared<const FolderClip>(std::move(pictures));
            }
            if (!fs::exists(path, problem))
                return fail(ErrorCode::NotFound,
                            fmt::format("There is no file '{}'.", path.string()));
            quietOpenCv();
            cv::VideoCapture video;
            // Only FFmpeg: other readers start threads of their own and count frames less well.
            if (!video.open(path.string(), cv::CAP_FFMPEG) ||
                video.get(cv::CAP_PROP_FRAME_WIDTH) < 1)
                return fail(ErrorCode::Malformed,
                            fmt::format("'{}' is no video that can be read: damaged, or of a rare "
                                        "kind; try MP4 (H.264) or WebM.",
                                        path.string()));
            return std::make_shared<const VideoClip>(path, std::move(video));
        });
}

} // namespace loftscope
