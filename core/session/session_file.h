// SPDX-License-Identifier: Apache-2.0
// Sessions on disk: `.loftscope`, JSON.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/session/session.h"

#include <filesystem>
#include <string>
#include <vector>

namespace loftscope {

/// 2 has `locked_bases`; a session without any is written as 1, for older programs.
inline constexpr int sessionFileVersion = 2;
inline constexpr const char* sessionEnding = ".loftscope";

/// True for a name that ends like a session.
bool namesSession(const std::filesystem::path& path);

/// Writes the session, beside and then renamed. Paths are written relative to its folder, and as
/// they were, in case that it is moved alone. Where the photo's SHA-256 is not given and it is no
/// clip, it is computed. Errors: WriteFailed, InvalidArgument (`path` is a folder).
Result<void> writeSession(const std::filesystem::path& path, const Session& session);

/// The same as text, for a session that lies in `folder`.
std::string sessionText(const Session& session, const std::filesystem::path& folder);

/// Reads a session; its paths are made absolute: relative to the file, else where they were when it
/// was saved, else a file of that name beside it. Files that are not there are no error here (see
/// `missingParts`). Errors: NotFound, Malformed (an unknown key, a value of the wrong kind),
/// Unsupported (a newer version).
Result<Session> readSession(const std::filesystem::path& path);
Result<Session> sessionFromText(std::string_view text, const std::filesystem::path& folder,
                                const std::string& where);

/// Something that the session needs and that is not as it was.
struct MissingPart {
    enum class What { Photo, Backbone, Upsampler, Basis };
    What what = What::Photo;
    std::string method;         ///< of an upsampler: "loftup"
    std::filesystem::path path; ///< where it was looked for
    bool changed = false;       ///< there is a file, but with another content (SHA-256)
    std::string sentence;       ///< for the user: what, where, what to do
};

/// What of the session's files is missing or has changed; empty if all is well. Reads checkpoints
/// whole. Errors: Cancelled.
Result<std::vector<MissingPart>> missingParts(const Session& session,
                                              const RunContext& context = {});

} // namespace loftscope
