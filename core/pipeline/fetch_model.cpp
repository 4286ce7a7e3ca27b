// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/fetch_model.h"

#include "core/pipeline/models.h"
#include "core/store/model_places.h"
#include "core/text/text_tokenizer.h"
#include "core/weights/tensor_file.h"

#include <fmt/format.h>

namespace loftscope {

namespace {

/// That a file is the model that it is said to be, and not an error page.
Result<void> checkModel(const KnownModel& model, const std::filesystem::path& path,
                        const RunContext& context) {
    if (model.vocabulary) {
        // As many words as the published towers have.
        const auto words = model.file.ends_with(".gz") ? readClipTokenizer(path, 49408)
                                                       : readSentenceTokenizer(path, 32000);
        if (words) return {};
        return std::unexpected(words.error());
    }
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
    const RecognisedModel recognised = recogniseModel(file.tensors);
    const auto* const upsampler = std::get_if<RecognisedUpsampler>(&recognised);
    const bool fits = model.method.empty() ? std::holds_alternative<BackboneCandidate>(recognised)
                                           : upsampler && upsampler->method == model.method;
    if (fits) return {};
    return fail(ErrorCode::Mismatch, fmt::format("It does not hold {}.", model.title));
}

} // namespace

std::filesystem::path fetchedFile(const KnownModel& model, const std::filesystem::path& folder) {
    return folder / keptFileName(model);
}

std::int64_t partlyFetched(const KnownModel& model, const std::filesystem::path& folder) {
    std::filesystem::path part = fetchedFile(model, folder);
    part += ".part";
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(part, missing);
    return missing ? 0 : static_cast<std::int64_t>(bytes);
}

Result<FetchedModel> fetchModel(const KnownModel& model, const FetchRequest& request,
                                const RunContext& context) {
    const std::string url = request.url.empty() ? std::string(model.url) : request.url;
    if (url.empty()) {
        // The sentence that says what to do instead.
        LOFTSCOPE_TRY(const auto path, locateModel(std::string(model.name), modelPlaces()));
        return fail(ErrorCode::Unsupported,
                    fmt::format("{} comes with LoftScope: '{}'.", model.title, path.string()));
    }
    FetchedModel fetched;
    fetched.path = fetchedFile(model, request.folder);
    DownloadRequest wanted;
    wanted.url = url;
    wanted.destination = fetched.path;
    wanted.sha256 = model.sha256;
    wanted.proxy = request.proxy;
    wanted.check = [&](const std::filesystem::path& path) {
        return checkModel(model, path, context);
    };
    LOFTSCOPE_TRY(fetched.report, download(wanted, context));
    return fetched;
}

} // namespace loftscope
