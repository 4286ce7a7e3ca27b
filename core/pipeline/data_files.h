// SPDX-License-Identifier: Apache-2.0
// The numbers behind panes as files, the same from the window as from the command line. No tensors.
#pragma once

#include "core/analysis/basis_values.h"
#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/base/run_context.h"
#include "core/figure/figure_plan.h"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// The map of a pane. The numbers belong to `owner`.
struct DataMap {
    std::string name;  ///< of its file, without ending: see `dataName`
    std::string pane;  ///< as `textOf` writes it
    std::string unit;  ///< "cosine similarity"
    std::string basis; ///< of scores: key in DataSet::bases
    std::string pick;  ///< "x,y", pixel of the photo that it is about; empty: none
    /// Keys of the methods whose features these are: "loftup"; two of a distance.
    std::vector<std::string> methods;
    bool scores = false; ///< k x H x W, else H x W
    Extent extent;
    std::span<const float> values; ///< channel by channel
    std::shared_ptr<const void> owner;
};

/// Where a pick's feature comes from.
struct DataWeights {
    std::size_t pick = 0; ///< place among DataSet::picks
    std::string method;   ///< key of an upsampler; empty: the backbone's self-attention
    int blocks = 0;
    int heads = 0;
    Extent tokens;
    std::vector<std::span<const float>> maps; ///< of every block and head, block by block
    std::shared_ptr<const void> owner;
};

/// A checkpoint that took part.
struct DataModel {
    std::string name; ///< as recognised
    std::string file;
    std::string sha256;
};

struct DataSet {
    std::vector<DataMap> maps;
    std::map<std::string, BasisValues> bases; ///< by `basisKey`
    std::vector<PlannedPick> picks;
    std::vector<DataWeights> attention;
    std::map<std::string, DataModel> models; ///< by method; the backbone's key is empty
    /// Of every file: "program", "photo", "precision", "input".
    std::map<std::string, std::string> about;
};

/// Formats of maps of one number per pixel, as endings: npy, safetensors, png, exr, csv. Scores are
/// arrays whatever the format: safetensors, or npy.
const std::vector<std::string_view>& dataFormats();

/// "3-similarity-loftup": place of the pane, counted from 1, and what it shows.
std::string dataName(std::size_t place, std::string_view pane);
/// "own:loftup", "locked:lowres", "shared", "file:PATH": a basis of `method` ("lowres" for the
/// grid).
std::string basisKey(const std::string& basis, const std::string& method);

/// Names of the files that `writeDataFiles` makes, in its order.
std::vector<std::string> dataFileNames(const DataSet& data, std::string_view format);

/// Writes maps, bases and, if there are any, picks (picks.json) to `folder`, which is made where it
/// is missing; each with how it was made. Returns the paths. A file is whole or not there; those
/// before one that fails stay. Errors: WriteFailed, Cancelled (between two files).
Result<std::vector<std::filesystem::path>> writeDataFiles(const std::filesystem::path& folder,
                                                          const DataSet& data,
                                                          std::string_view format,
                                                          const RunContext& context);

} // namespace loftscope
