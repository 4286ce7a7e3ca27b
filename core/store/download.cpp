// SPDX-License-Identifier: Apache-2.0
#include "core/store/download.h"

#include "core/base/guard.h"
#include "core/base/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <curl/curl.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

constexpr long statusOk = 200;
constexpr long statusPartial = 206;
constexpr long statusUnsatisfiable = 416;
constexpr long firstServerError = 500;
constexpr long mostRedirections = 10;
constexpr long connectSeconds = 20;

std::string trimmed(std::string_view text) {
    const auto space = [](unsigned char letter) { return std::isspace(letter) != 0; };
    while (!text.empty() && space(static_cast<unsigned char>(text.front())))
        text.remove_prefix(1);
    while (!text.empty() && space(static_cast<unsigned char>(text.back())))
        text.remove_suffix(1);
    return std::string(text);
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char letter) {
        return static_cast<char>(std::tolower(letter));
    });
    return text;
}

/// The part of a file that is here, locked against a second download of it.
class Part {
public:
    static Result<Part> open(const fs::path& destination) {
        std::error_code problem;
        const fs::path folder = destination.parent_path();
        if (!folder.empty()) fs::create_directories(folder, problem);
        Part part(destination);
        part.descriptor_ =
            problem ? -1
                    : ::open(part.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (part.descriptor_ < 0) return part.failure(problem ? problem.value() : errno);
        if (::flock(part.descriptor_, LOCK_EX | LOCK_NB) != 0) {
            ::close(std::exchange(part.descriptor_, -1)); // what is there is not ours to remove
            return fail(
                ErrorCode::WriteFailed,
                fmt::format("'{}' is being fetched already: wait for that.", destination.string()));
        }
        struct stat status {};
        if (::fstat(part.descriptor_, &status) != 0) return part.failure(errno);
        part.size_ = status.st_size;
        std::ifstream(part.versionPath()) >> part.version_;
        // Without its version nothing says of what this is a part.
        if (part.version_.empty()) LOFTSCOPE_CHECK(part.clear());
        return part;
    }
    Part(Part&& other) noexcept
        : destination_(std::move(other.destination_))
        , path_(std::move(other.path_))
        , version_(std::move(other.version_))
        , size_(other.size_)
        , descriptor_(std::exchange(other.descriptor_, -1)) {}
    Part& operator=(Part&&) = delete;
    ~Part() {
        if (descriptor_ < 0) return;
        // An empty part helps nobody.
        if (size_ == 0) remove();
        ::close(descriptor_);
    }

    const fs::path& path() const { return path_; }
    std::int64_t size() const { return size_; }
    const std::string& version() const { return version_; }

    /// Notes of which version of the file the bytes are; empty where the server does not tell.
    void setVersion(const std::string& version) {
        version_ = version;
        std::error_code ignored;
        if (version.empty()) {
            fs::remove(versionPath(), ignored);
        } else {
            std::ofstream(versionPath()) << version;
        }
    }

    Result<void> append(const char* bytes, std::size_t count) {
        while (count > 0) {
            const ssize_t written = ::pwrite(descriptor_, bytes, count, size_);
            if (written < 0) {
                if (errno == EINTR) continue;
                return failure(errno);
            }
            bytes += written;
            count -= static_cast<std::size_t>(written);
            size_ += written;
        }
        return {};
    }

    Result<void> clear() {
        setVersion("");
        size_ = 0;
        if (::ftruncate(descriptor_, 0) != 0) return failure(errno);
        return {};
    }

    void remove() {
        setVersion("");
        ::unlink(path_.c_str());
        size_ = 0;
    }

    /// Gives the whole file its name.
    Result<void> commit() {
        if (::fsync(descriptor_) != 0) return failure(errno);
        if (::rename(path_.c_str(), destination_.c_str()) != 0) return failure(errno);
        std::error_code ignored;
        fs::remove(versionPath(), ignored);
        ::close(std::exchange(descriptor_, -1));
        return {};
    }

private:
    explicit Part(const fs::path& destination)
        : destination_(destination)
        , path_(destination.string() + ".part") {}

    fs::path versionPath() const { return path_.string() + ".etag"; }

    std::unexpected<Error> failure(int number) const {
        return fail(ErrorCode::WriteFailed,
                    fmt::format("'{}' cannot be written: {}.", destination_.string(),
                                std::generic_category().message(number)));
    }

    fs::path destination_;
    fs::path path_;
    std::string version_;
    std::int64_t size_ = 0;
    int descriptor_ = -1;
};

/// What the server said with the file, of the last response.
struct Headers {
    std::string etag = {};
    std::string range = {};        ///< Content-Range
    std::int64_t length = -1;      ///< Content-Length
    std::string linkedSha256 = {}; ///< Hugging Face: of the file, told with the redirection to it
};

/// One transfer as libcurl's callbacks see it.
struct Transfer {
    Part& part;
    const RunContext& context;
    CURL* curl = nullptr;
    Headers headers;
    std::int64_t offset = 0; ///< what was asked for begins here
    bool started = false;    ///< the response was looked at, its body is being kept
    bool refused = false;    ///< its body is not wanted
    std::optional<Error> writeError;
};

void noteHeader(Headers& headers, std::string_view line) {
    if (line.starts_with("HTTP/")) {
        headers = {.linkedSha256 = std::move(headers.linkedSha256)};
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string name = lower(std::string(line.substr(0, colon)));
    const std::string value = trimmed(line.substr(colon + 1));
    if (name == "etag") {
        headers.etag = value;
    } else if (name == "content-range") {
        headers.range = value;
    } else if (name == "content-length") {
        std::from_chars(value.data(), value.data() + value.size(), headers.length);
    } else if (name == "x-linked-etag" && value.size() == 66 && value.front() == '"') {
        headers.linkedSha256 = lower(value.substr(1, 64));
    }
}

std::size_t onHeader(char* bytes, std::size_t size, std::size_t count, void* user) {
    noteHeader(static_cast<Transfer*>(user)->headers, {bytes, size * count});
    return size * count;
}

/// Decides what to do with a response's body when its first bytes come.
Result<void> start(Transfer& transfer) {
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    const std::string wanted = fmt::format("bytes {}-", transfer.offset);
    if (status == statusPartial && transfer.headers.range.starts_with(wanted)) return {};
    if (status != statusOk) {
        transfer.refused = true;
        return {};
    }
    // The whole file: it has changed since, or the server knows no parts.
    LOFTSCOPE_CHECK(transfer.part.clear());
    // A weak tag promises the same meaning, not the same bytes.
    transfer.part.setVersion(transfer.headers.etag.starts_with("W/") ? "" : transfer.headers.etag);
    return {};
}

std::size_t onBody(char* bytes, std::size_t size, std::size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.started) {
        transfer.started = true;
        if (auto begun = start(transfer); !begun) transfer.writeError = begun.error();
    }
    if (transfer.refused || transfer.writeError) return 0;
    if (auto written = transfer.part.append(bytes, size * count); !written) {
        transfer.writeError = written.error();
        return 0;
    }
    return size * count;
}

int onProgress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*up*/,
               curl_off_t /*upNow*/) {
    const auto& transfer = *static_cast<Transfer*>(user);
    if (transfer.context.stop.stop_requested()) return 1;
    const auto before = transfer.started ? transfer.part.size() - now : 0;
    if (total > 0) {
        transfer.context.progress("fetching", static_cast<double>(before + now) /
                                                  static_cast<double>(before + total));
    }
    return 0;
}

/// How one transfer ended.
struct Outcome {
    bool whole = false;
    bool again = false; ///< another attempt may do better
    Error error = {};   ///< unless whole
};

class Downloader {
public:
    Downloader(const DownloadRequest& request, const RunContext& context, Part& part)
        : request_(request)
        , context_(context)
        , part_(part)
        , curl_(curl_easy_init(), curl_easy_cleanup) {}

    /// One transfer, from where the part ends.
    Outcome transfer() {
        if (!curl_) return {.error = {ErrorCode::Internal, "The network library did not start."}};
        // Bytes of an unknown version are of no use.
        if (part_.version().empty() && part_.size() > 0) {
            if (auto cleared = part_.clear(); !cleared) return {.error = cleared.error()};
        }
        Transfer transfer{part_, context_, curl_.get(), {}, part_.size(), false, false, {}};
        const CURLcode code = perform(transfer);
        long status = 0;
        curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
        if (!transfer.headers.linkedSha256.empty()) linkedSha256_ = transfer.headers.linkedSha256;
        if (transfer.writeError) return {.error = *transfer.writeError};
        if (context_.stop.stop_requested())
            return {.error = {ErrorCode::Cancelled, "Cancelled; what was fetched is kept."}};
        if (status == statusUnsatisfiable && part_.size() > 0) {
            // The part is longer than the file, or is the file: the check at the end decides that,
            // unless the length is told.
            const std::string whole = fmt::format("*/{}", part_.size());
            if (transfer.headers.range.ends_with(whole)) return {.whole = true};
            part_.remove();
            return startAgain();
        }
        if (transfer.refused || status >= 300) return refusal(status);
        if (code == CURLE_OK && !transfer.started && part_.size() > 0) return startAgain();
        if (code == CURLE_OK) return {.whole = true};
        return broken(code);
    }

    /// Of the file, as its server told it; empty if it did not.
    const std::string& linkedSha256() const { return linkedSha256_; }

private:
    CURLcode perform(Transfer& transfer) {
        CURL* const curl = curl_.get();
        curl_easy_reset(curl);
        message_[0] = '\0';
        curl_easy_setopt(curl, CURLOPT_URL, request_.url.c_str());
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        // What begins encrypted stays so.
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                         request_.url.starts_with("https:") ? "https" : "http,https");
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, mostRedirections);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "loftscope");
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message_);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connectSeconds);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                         static_cast<long>(std::max<std::int64_t>(1, request_.stalled.count())));
        if (!request_.proxy.empty()) curl_easy_setopt(curl, CURLOPT_PROXY, request_.proxy.c_str());
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, onHeader);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, onBody);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, onProgress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
        std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr,
                                                                            curl_slist_free_all);
        if (transfer.offset > 0) {
            // By a header of our own: with CURLOPT_RESUME_FROM a server that answers with the whole
            // file would be an error.
            headers.reset(curl_slist_append(
                headers.release(), fmt::format("Range: bytes={}-", transfer.offset).c_str()));
            headers.reset(curl_slist_append(headers.release(),
                                            fmt::format("If-Range: {}", part_.version()).c_str()));
            curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
        }
        return curl_easy_perform(curl);
    }

    static Outcome startAgain() {
        return {.again = true,
                .error = {ErrorCode::Malformed, "The server has another file now than before."}};
    }

    Outcome refusal(long status) const {
        const bool absent = status == 404 || status == 410;
        const bool closed = status == 401 || status == 403;
        std::string reason = fmt::format("the server answers with status {}", status);
        if (absent) reason = "there is no such file any more";
        if (closed) reason = "the publisher gives it only to those who have signed in there";
        return {.again = status >= firstServerError || status == 429 || status == statusPartial,
                .error = {absent ? ErrorCode::NotFound : ErrorCode::Unsupported,
                          fmt::format("'{}' cannot be fetched: {}.", request_.url, reason)}};
    }

    Outcome broken(CURLcode code) const {
        std::string reason = message_[0] != '\0' ? message_ : curl_easy_strerror(code);
        reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
        const bool address = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
                             code == CURLE_TOO_MANY_REDIRECTS;
        const bool nowhere = code == CURLE_COULDNT_RESOLVE_HOST ||
                             code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT;
        return {.again = !address,
                .error = {nowhere ? ErrorCode::NotFound
                                  : (address ? ErrorCode::Unsupported : ErrorCode::Malformed),
                          fmt::format("'{}' could not be fetched: {}{}.", request_.url, reason,
                                      part_.size() > 0 && !part_.version().empty()
                                          ? "; what has come is kept, the same command goes on"
                                          : "")}};
    }

    const DownloadRequest& request_;
    const RunContext& context_;
    Part& part_;
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
    char message_[CURL_ERROR_SIZE] = {};
    std::string linkedSha256_;
};

/// Waits, or less long if a stop is asked for.
void pauseFor(std::chrono::milliseconds time, const RunContext& context) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, context.stop, time, [] { return false; });
}

Result<void> fetchWhole(const DownloadRequest& request, const RunContext& context, Part& part,
                        Downloader& downloader) {
    int idle = 0;
    for (std::chrono::milliseconds pause = request.pause;;) {
        const std::int64_t before = part.size();
        const Outcome outcome = downloader.transfer();
        if (outcome.whole) return {};
        if (!outcome.again) return std::unexpected(outcome.error);
        // A server without versions sends the whole file anew: those bytes are nothing new.
        const bool progress = part.size() > before && !part.version().empty();
        idle = progress ? 0 : idle + 1;
        if (progress) pause = request.pause;
        if (idle >= request.attempts) return std::unexpected(outcome.error);
        pauseFor(pause, context);
        pause *= 2;
        if (context.stop.stop_requested())
            return fail(ErrorCode::Cancelled, "Cancelled; what was fetched is kept.");
    }
}

void startNetworkLibrary() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(started);
}

} // namespace

Result<DownloadReport> download(const DownloadRequest& request, const RunContext& context) {
    return guarded("fetching a file", [&]() -> Result<DownloadReport> {
        startNetworkLibrary();
        std::error_code ignored;
        if (fs::is_directory(request.destination, ignored)) {
            return fail(ErrorCode::InvalidArgument, fmt::format("'{}' is a folder: name a file.",
                                                                request.destination.string()));
        }
        LOFTSCOPE_TRY(Part part, Part::open(request.destination));
        DownloadReport report;
        report.resumed = part.size();
        Downloader downloader(request, context, part);
        LOFTSCOPE_CHECK(fetchWhole(request, context, part, downloader));
        if (part.size() < report.resumed) report.resumed = 0;
        report.bytes = part.size();
        LOFTSCOPE_TRY(report.sha256, sha256OfFile(part.path()));
        for (const std::string& wanted : {request.sha256, downloader.linkedSha256()}) {
            if (wanted.empty()) continue;
            report.checksumKnown = true;
            if (report.sha256.starts_with(wanted)) continue;
            part.remove();
            return fail(ErrorCode::Malformed,
                        fmt::format("What came from '{}' is not the published file: its SHA-256 is "
                                    "{}..., not {}...; it was removed.",
                                    request.url, report.sha256.substr(0, 12),
                                    wanted.substr(0, 12)));
        }
        if (request.check) {
            if (const Result<void> checked = request.check(part.path()); !checked) {
                part.remove();
                return fail(ErrorCode::Malformed,
                            fmt::format("What came from '{}' is not what it should be and was "
                                        "removed: {}",
                                        request.url, checked.error().message));
            }
        }
        LOFTSCOPE_CHECK(part.commit());
        return report;
    });
}

} // namespace loftscope
