// SPDX-License-Identifier: Apache-2.0
// Pictures as a video.
#pragma once

#include "core/base/error.h"
#include "core/image/image.h"

#include <filesystem>
#include <memory>

namespace loftscope {

/// A video under construction: written as `part.NAME` and renamed when it is whole. An unfinished
/// one removes itself.
class VideoSink {
public:
    /// By the ending; without one a folder of PNG pictures, which needs no codec. .mp4 (H.264, else
    /// MPEG-4), .webm (VP9, else VP8), .avi (Motion JPEG, which is always there). Sides are cut to
    /// even numbers, as codecs want them. Errors: Unsupported (the ending, or no codec for it,
    /// naming what works), WriteFailed.
    static Result<VideoSink> create(const std::filesystem::path& path, const Extent& extent,
                                    double framesPerSecond);
    VideoSink(VideoSink&&) noexcept;
    VideoSink& operator=(VideoSink&&) noexcept;
    ~VideoSink();

    /// Errors: Mismatch (another size than the first).
    Result<void> write(const Image& frame);
    /// Renames; call once. Errors: WriteFailed.
    Result<void> finish();

private:
    struct State;
    explicit VideoSink(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// True for an ending that a VideoSink may know.
bool namesVideoOutput(const std::filesystem::path& path);

} // namespace loftscope
