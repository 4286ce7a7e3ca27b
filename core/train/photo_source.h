// SPDX-License-Identifier: Apache-2.0
// Where training photos come from. Reading and decoding are behind an interface, so that this part
// needs LibTorch alone.
#pragma once

#include "core/base/error.h"
#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace loftscope {

/// A photo with the masks that came with it.
struct TrainingPhoto {
    at::Tensor pixels;              ///< H x W x 3, uint8, contiguous
    std::vector<at::Tensor> labels; ///< H x W, int64; pixels of equal label form a mask, -1: none
    /// H x W, int64: the class of each pixel, 0..255, -1: none; undefined where no map names
    /// classes.
    at::Tensor classes = {};
    std::int64_t classSet = 0; ///< which of the source's sets of classes these are of
};

/// A set of photos; may be asked from several threads.
class PhotoSource {
public:
    virtual ~PhotoSource() = default;
    virtual std::int64_t size() const = 0;
    /// For messages.
    virtual std::string name(std::int64_t index) const = 0;
    /// Sets of classes that its photos' maps name.
    virtual std::int64_t classSets() const { return 0; }
    /// Errors: Malformed and the like; the caller skips the photo and counts it.
    virtual Result<TrainingPhoto> load(std::int64_t index) const = 0;
};

/// Reads an encoded picture: H x W x 3 uint8 for photos, H x W uint8 for indexed label maps.
struct PictureDecoder {
    std::function<Result<at::Tensor>(std::span<const std::byte> bytes, const std::string& name)>
        photo;
    std::function<Result<at::Tensor>(std::span<const std::byte> bytes, const std::string& name)>
        labels;
};

/// What the numbers of a label map mean, as far as masks are concerned.
enum class LabelMeaning {
    Segments,        ///< every number is a segment (BSDS)
    SegmentsButZero, ///< 0 is unlabelled (COCO panoptic, horses); 255 too
    Classes,        ///< semantic classes, 255 is unlabelled (CamVid): each connected part is a mask
    ClassesButZero, ///< the same, and 0 is unlabelled too (COCO's semantic maps)
};

bool namesClasses(LabelMeaning meaning);

/// H x W uint8 numbers as masks: int64 labels, -1 where there is none.
at::Tensor masksFromLabels(const at::Tensor& labels, LabelMeaning meaning);
/// Adds the masks of such a map to a photo, and its classes where it names some and the photo has
/// none yet.
void addLabels(TrainingPhoto& photo, const at::Tensor& labels, LabelMeaning meaning);

/// A pack of encoded photos in one file of tensors: `jpeg` (all files end to end), `joff` (n + 1
/// offsets), `png` and `poff` (label maps; an empty range where a photo has none), `kind` (0 plain,
/// 1 COCO panoptic, 2 BSDS, 3 CamVid, 4 foreground); or, decoded: `pixels` (H x W x 3 bytes end to
/// end), `poff`, `extent` (n x 2: height, width), `segments` and `soff` (masks as in TrainingPhoto,
/// int16, H x W each; a range may hold several or none). Metadata "names": a JSON list. `skip`
/// names photos (by prefix) that must not be trained on. Errors: Malformed naming `name` and what
/// is wrong.
Result<std::unique_ptr<PhotoSource>>
makePackSource(const StateDict& tensors, const std::map<std::string, std::string>& metadata,
               const std::string& name, PictureDecoder decoder,
               const std::vector<std::string>& skip = {});

/// Several sources as one.
std::unique_ptr<PhotoSource> joinSources(std::vector<std::unique_ptr<PhotoSource>> sources);

} // namespace loftscope
