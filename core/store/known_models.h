// SPDX-License-Identifier: Apache-2.0
// The models that LoftScope knows by name: who publishes them, where, and under which licence.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

struct KnownModel {
    std::string_view name;  ///< as asked for: "dinov2_vits14"
    std::string_view title; ///< "DINOv2 ViT-S/14"
    /// Of an upsampler: the method that reads it ("loftup"); empty for a backbone.
    std::string_view method = {};
    std::string_view licence;
    /// The licence allows less than any use (no commercial use, or terms of its own): it is to be
    /// accepted before the file is fetched.
    bool restricted = false;
    /// The publisher's file; empty where it comes with LoftScope.
    std::string_view url = {};
    /// Where the publisher asks for a name before giving the file: that page; `url` is empty then.
    std::string_view page = {};
    std::string_view file = {};        ///< the publisher's name for it
    bool vagueFile = false;            ///< that name may be another model's as well
    std::string_view huggingFace = {}; ///< "ORGANISATION/REPOSITORY", where it is published there
    /// Repositories there that have the same weights in other libraries' layouts.
    std::array<std::string_view, 2> ports = {};
    bool vocabulary = false; ///< no weights: the words of text towers
    double megabytes = 0;    ///< about; 0: not known
    /// Lower-case SHA-256 as the publisher or his file's name gives it, or its beginning; empty
    /// where none is published.
    std::string_view sha256 = {};
};

/// All of them: backbones, upsamplers, vocabularies.
const std::vector<KnownModel>& knownModels();

/// The model of that name; null if there is none.
const KnownModel* knownModel(std::string_view name);

/// Under which name the model is kept: the publisher's, or one made of the model's where the
/// publisher's is vague ("pytorch_model.bin").
std::string keptFileName(const KnownModel& model);

} // namespace loftscope
