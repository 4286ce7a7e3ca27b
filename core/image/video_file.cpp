// SPDX-License-Identifier: Apache-2.0
#include "core/image/video_file.h"

#include "core/base/guard.h"
#include "core/image/encode.h"
#include "core/image/opencv_quiet.h"

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>

#include <string>
#include <vector>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> codecsOf(const std::string& ending) {
    if (ending == ".mp4") return {"avc1", "mp4v"};
    if (ending == ".webm") return {"VP90", "VP80"};
    if (ending == ".avi") return {"MJPG"};
    return {};
}

/// Frames that can be read back. An encoder does not say that it could not write.
std::int64_t framesIn(const fs::path& path) {
    cv::VideoCapture capture(path.string());
    std::int64_t frames = 0;
    while (capture.isOpened() && capture.grab())
        ++frames;
    return frames;
}

} // namespace

struct VideoSink::State {
    fs::path path;
    fs::path part;
    Extent extent;         // of the frames as they come
    bool isFolder = false; // of pictures
    cv::VideoWriter writer;
    std::int64_t frames = 0;
    bool finished = false;

    ~State() {
        if (finished) return;
        writer.release();
        std::error_code ignored;
        fs::remove_all(part, ignored);
    }
};

VideoSink::VideoSink(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
VideoSink::VideoSink(VideoSink&&) noexcept = default;
VideoSink& VideoSink::operator=(VideoSink&&) noexcept = default;
VideoSink::~VideoSink() = default;

bool namesVideoOutput(const fs::path& path) {
    return path.extension().empty() || !codecsOf(path.extension().string()).empty();
}

Result<VideoSink> VideoSink::create(const fs::path& path, const Extent& extent,
                                    double framesPerSecond) {
    return guarded(fmt::format("opening '{}'", path.string()), [&]() -> Result<VideoSink> {
        const std::string ending = path.extension().string();
        if (!namesVideoOutput(path))
            return fail(ErrorCode::Unsupported,
                        fmt::format("Cannot tell the format of the video '{}': let the name end in "
                                    ".mp4, .webm or .avi, or give a name without ending for a "
                                    "folder of pictures.",
                                    path.string()));
        const fs::path folder = path.parent_path();
        std::error_code ignored;
        if (!folder.empty() && !fs::is_directory(folder, ignored))
            return fail(ErrorCode::WriteFailed,
                        fmt::format("There is no folder '{}' for the video: make it first.",
                                    folder.string()));
        quietOpenCv();
        auto state = std::make_unique<State>();
        state->path = path;
        // The ending tells OpenCV the container.
        state->part = folder / ("part." + path.filename().string());
        state->extent = extent;
        if (ending.empty()) {
            state->isFolder = true;
            if (fs::exists(path, ignored))
                return fail(ErrorCode::WriteFailed,
                            fmt::format("There is a '{}' already: choose another folder for the "
                                        "pictures.",
                                        path.string()));
            fs::remove_all(state->part, ignored);
            if (!fs::create_directory(state->part, ignored))
                return fail(ErrorCode::WriteFailed,
                            fmt::format("The folder '{}' cannot be made: choose another place.",
                                        path.string()));
            return VideoSink(std::move(state));
        }
        const cv::Size size(static_cast<int>(extent.width / 2 * 2),
                            static_cast<int>(extent.height / 2 * 2));
        for (const std::string& codec : codecsOf(ending)) {
            const int code = cv::VideoWriter::fourcc(codec[0], codec[1], codec[2], codec[3]);
            if (state->writer.open(state->part.string(), code, framesPerSecond, size))
                return VideoSink(std::move(state));
        }
        return fail(ErrorCode::Unsupported,
                    fmt::format("No codec for {} of {} x {} pixels is installed, or '{}' cannot be "
                                "written: use .avi, or a name without ending for a folder of "
                                "pictures.",
                                ending, size.width, size.height, path.string()));
    });
}

Result<void> VideoSink::write(const Image& frame) {
    return guarded("writing a frame", [&]() -> Result<void> {
        if (frame.extent() != state_->extent)
            return fail(ErrorCode::Mismatch,
                        fmt::format("A frame of {} x {} does not fit a video of {} x {}: all "
                                    "pictures must have one size.",
                                    frame.width(), frame.height(), state_->extent.width,
                                    state_->extent.height));
        if (state_->isFolder)
            return writeImage(state_->part / fmt::format("{:05}.png", ++state_->frames), frame);
        cv::Mat picture(static_cast<int>(frame.height() / 2 * 2),
                        static_cast<int>(frame.width() / 2 * 2), CV_8UC3);
        for (int y = 0; y < picture.rows; ++y) {
            const std::uint8_t* const from = frame.row(y);
            auto* const to = picture.ptr<std::uint8_t>(y);
            for (int x = 0; x < picture.cols; ++x)
                for (int c = 0; c < 3; ++c)
                    to[3 * x + c] = from[3 * x + 2 - c];
        }
        state_->writer.write(picture);
        ++state_->frames;
        return {};
    });
}

Result<void> VideoSink::finish() {
    state_->writer.release();
    std::error_code failed;
    const bool whole = state_->isFolder || framesIn(state_->part) >= state_->frames;
    if (whole) fs::rename(state_->part, state_->path, failed);
    state_->finished = whole && !failed;
    if (state_->finished) return {};
    fs::remove_all(state_->part, failed);
    return fail(ErrorCode::WriteFailed,
                fmt::format("The video '{}' could not be written: check space and permissions.",
                            state_->path.string()));
}

} // namespace loftscope
