// SPDX-License-Identifier: Apache-2.0
#include "core/train/backbone_trainer.h"

#include "core/base/guard.h"
#include "core/train/normalised_pictures.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace loftscope {

namespace {

StateDict freshHeads(const std::vector<DistillationTarget>& targets, std::int64_t width,
                     CounterRandom random, c10::Device device) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.next());
    StateDict heads;
    for (std::size_t t = 0; t < targets.size(); ++t) {
        const std::int64_t dims = std::min(targets[t].dims, targets[t].teacher->channels());
        const std::string name = fmt::format("heads.{}.", t);
        heads[name + "weight"] =
            at::empty({dims, width}).normal_(0, 0.02, generator).to(device).set_requires_grad(true);
        heads[name + "bias"] = at::zeros({dims}).to(device).set_requires_grad(true);
    }
    return heads;
}

} // namespace

BackboneRecipe BackboneRecipe::forPatch(std::int64_t patch) {
    BackboneRecipe recipe;
    for (const Extent& extent :
         {Extent{160, 160}, Extent{192, 192}, Extent{224, 224}, Extent{256, 256}, Extent{320, 320},
          Extent{192, 256}, Extent{256, 192}, Extent{160, 288}})
        recipe.sizes.push_back(teacherExtent(extent, 1, patch));
    return recipe;
}

Result<void> BackboneRecipe::check(std::int64_t patch) const {
    const auto wrong = [](std::string message) {
        return fail(ErrorCode::InvalidArgument, std::move(message));
    };
    if (batch < 1 || accumulation < 1 || fitPhotos < 1 || photoSide < 1)
        return wrong("Batch, accumulation, photos to fit on and photo side must be at least 1.");
    if (sizes.empty()) return wrong("Give at least one input size.");
    for (const Extent& size : sizes) {
        if (size.height < 2 * patch || size.width < 2 * patch || size.height % patch != 0 ||
            size.width % patch != 0) {
            return wrong(fmt::format("An input of {} x {} does not work with patches of {} pixels: "
                                     "use multiples, at least {}.",
                                     size.height, size.width, patch, 2 * patch));
        }
    }
    return {};
}

BackboneTrainer::BackboneTrainer(BackboneRecipe recipe, std::vector<DistillationTarget> targets,
                                 TrainableVit student, const PhotoSource& photos,
                                 int decodingThreads, c10::Device device, ProcessGroup group,
                                 TargetCacheOptions cache)
    : recipe_(std::move(recipe))
    , targets_(std::move(targets))
    , photos_(photos)
    , decodingThreads_(decodingThreads)
    , device_(device)
    , group_(std::move(group))
    , share_{recipe_.batch, recipe_.accumulation, group_.rank(), group_.size()}
    , student_(std::move(student))
    , average_(student_.clone())
    , heads_(freshHeads(targets_, student_.spec().width,
                        CounterRandom(recipe_.seed, RandomPurpose::Initialisation, 1), device))
    , optimizer_(trained(), recipe_.optimizer)
    , cacheOptions_(std::move(cache)) {
    std::set<std::string> labels;
    for (DistillationTarget& target : targets_) {
        whitenings_.push_back(Whitening::unfitted(target.teacher->channels(), target.dims));
        const std::string plain = target.label;
        for (int n = 2; !labels.insert(target.label).second; ++n)
            target.label = fmt::format("{} ({})", plain, n);
    }
}

std::string BackboneTrainer::describe() const {
    std::string sizes;
    for (const Extent& size : recipe_.sizes)
        sizes += fmt::format("{}{}x{}", sizes.empty() ? "" : ",", size.height, size.width);
    std::string targets;
    for (const DistillationTarget& target : targets_)
        targets += fmt::format("{}{}*{}/{}", targets.empty() ? "" : " + ", target.weight,
                               target.label, target.dims);
    const VitSpec& vit = student_.spec();
    const std::string stem = vit.stem.empty() ? "" : " stem=" + textOf(vit.stem);
    return fmt::format(
        "backbone=vit patch={}{} width={} depth={} heads={} hidden={} grid={}x{} seed={} batch={} "
        "accumulation={} sizes={} arithmetic={} optimizer=adamw betas={},{} weight_decay={} lr={} "
        "warm_up={} cosine_steps={} final_share={} clip={} ema={} view={} photo_side={} "
        "fit_photos={} share={} stretch={} photo_flips={} color={} targets={}",
        vit.patch, stem, vit.width, vit.depth, vit.heads, vit.hidden, vit.positionGrid.height,
        vit.positionGrid.width, recipe_.seed, recipe_.batch, recipe_.accumulation, sizes,
        recipe_.arithmetic == at::kBFloat16 ? "bf16" : "fp32", recipe_.optimizer.beta1,
        recipe_.optimizer.beta2, recipe_.optimizer.weightDecay, recipe_.learningRate,
        recipe_.schedule.warmUp, recipe_.schedule.total, recipe_.schedule.finalShare, recipe_.clip,
        recipe_.emaDecay, recipe_.view == TeacherView::Photo ? "photo" : "crop", recipe_.photoSide,
        recipe_.fitPhotos, recipe_.augmentation.smallestShare, recipe_.augmentation.largestStretch,
        recipe_.augmentation.flips, recipe_.augmentation.colorJitter, targets);
}

StateDict BackboneTrainer::trained() const {
    StateDict all = student_.parameters();
    all.insert(heads_.begin(), heads_.end());
    return all;
}

bool BackboneTrainer::fitted() const {
    return std::ranges::all_of(whitenings_, [](const Whitening& whitening) {
        return whitening.variance.item<float>() > 0;
    });
}

SampleStream::Broken BackboneTrainer::brokenPhotos() const {
    return stream_ ? stream_->broken() : SampleStream::Broken{};
}

Extent BackboneTrainer::extentOf(std::int64_t batchIndex) const {
    CounterRandom random(recipe_.seed, RandomPurpose::InputSize,
                         static_cast<std::uint64_t>(batchIndex));
    return random.oneOf(recipe_.sizes);
}

Result<std::pair<at::Tensor, Extent>> BackboneTrainer::wholePhoto(std::int64_t photo) const {
    LOFTSCOPE_TRY(const TrainingPhoto loaded, photos_.load(photo));
    const Extent extent{loaded.pixels.size(0), loaded.pixels.size(1)};
    const double scale = static_cast<double>(recipe_.photoSide) /
                         static_cast<double>(std::min(extent.height, extent.width));
    const auto counted = [&](std::int64_t length) {
        return static_cast<std::int64_t>(std::lround(static_cast<double>(length) * scale));
    };
    return std::pair(loaded.pixels.permute({2, 0, 1}).unsqueeze(0).to(device_, at::kFloat) / 255,
                     Extent{counted(extent.height), counted(extent.width)});
}

Result<void> BackboneTrainer::prepare(const RunContext& context) {
    return guarded("fitting the targets", [&]() -> Result<void> {
        std::vector<Moments> moments;
        for (const DistillationTarget& target : targets_)
            moments.emplace_back(target.teacher->channels());
        const std::int64_t count = std::min(recipe_.fitPhotos, photos_.size());
        std::string complaint;
        for (std::int64_t i = 0; i < count; ++i) {
            context.throwIfStopped();
            context.progress("fitting the targets",
                             static_cast<double>(i) / static_cast<double>(count));
            const auto photo = wholePhoto(i * photos_.size() / count);
            if (!photo) {
                complaint = photo.error().message;
                continue;
            }
            for (std::size_t t = 0; t < targets_.size(); ++t)
                moments[t].add(targets_[t].teacher->map(photo->first, photo->second).values[0]);
        }
        for (std::size_t t = 0; t < targets_.size(); ++t) {
            if (moments[t].count() < 2)
                return fail(ErrorCode::Malformed,
                            fmt::format("None of {} photos can be read ({}): check the data.",
                                        count, complaint));
            whitenings_[t] = Whitening::from(moments[t], targets_[t].dims);
        }
        if (!fitted())
            return fail(ErrorCode::Mismatch, "A teacher says the same of all photos: check its "
                                             "weights and the operation that is tapped.");
        return {};
    });
}

TargetMap BackboneTrainer::whitened(const at::Tensor& pictures, const Extent& nominal,
                                    std::size_t target) const {
    const TeacherMap map = targets_[target].teacher->map(pictures, nominal);
    return {whitenings_[target].apply(map.values).to(at::kCPU).contiguous(), map.cells};
}

TargetMap BackboneTrainer::targetOf(const at::Tensor& picture, std::size_t index) const {
    TargetMap map =
        whitened(picture.unsqueeze(0).to(device_), {picture.size(1), picture.size(2)}, index);
    map.values = map.values[0];
    return map;
}

Result<std::vector<TargetMap>> BackboneTrainer::photoTargets(std::int64_t photo) {
    std::vector<TargetMap> maps(targets_.size());
    std::optional<std::pair<at::Tensor, Extent>> whole;
    for (std::size_t t = 0; t < targets_.size(); ++t) {
        const auto index = static_cast<std::int64_t>(t);
        if (cache_) {
            if (auto kept = cache_->find(photo, index)) {
                maps[t] = *std::move(kept);
                continue;
            }
        }
        if (!whole) {
            LOFTSCOPE_TRY(whole, wholePhoto(photo));
        }
        maps[t] = whitened(whole->first, whole->second, t);
        maps[t].values = asKept(maps[t].values[0]);
        if (cache_) cache_->add(photo, index, maps[t]);
    }
    return maps;
}

Result<std::vector<at::Tensor>> BackboneTrainer::wanted(const std::vector<TrainingSample>& samples,
                                                        const at::Tensor& pictures,
                                                        const Extent& tokens) {
    const c10::NoGradGuard noGrad;
    const auto count = static_cast<std::int64_t>(samples.size());
    std::vector<std::vector<TargetMap>> ofPhotos; // by sample, then target
    if (recipe_.view == TeacherView::Photo) {
        for (const TrainingSample& sample : samples) {
            LOFTSCOPE_TRY(std::vector<TargetMap> maps, photoTargets(sample.photo));
            ofPhotos.push_back(std::move(maps));
        }
    }
    std::vector<at::Tensor> all;
    for (std::size_t t = 0; t < targets_.size(); ++t) {
        std::vector<TargetMap> maps;
        if (recipe_.view == TeacherView::Photo) {
            for (std::vector<TargetMap>& photo : ofPhotos)
                maps.push_back(std::move(photo[t]));
        } else {
            const TargetMap batch = whitened(pictures, {pictures.size(2), pictures.size(3)}, t);
            for (std::int64_t b = 0; b < count; ++b)
                maps.push_back({batch.values[b], batch.cells});
        }
        const std::int64_t dims = maps.front().values.size(2);
        const at::Tensor target = at::empty({count, tokens.area(), dims});
        auto* out = target.mutable_data_ptr<float>();
        at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t b = begin; b < end; ++b) {
                const auto i = static_cast<std::size_t>(b);
                // A teacher that saw the crop itself saw the flip, too.
                const CropRegion region =
                    recipe_.view == TeacherView::Photo ? samples[i].region : CropRegion{};
                sampleAtTokens(maps[i], region, tokens, out + b * tokens.area() * dims);
            }
        });
        all.push_back(target.to(device_));
    }
    return all;
}

Result<BatchLoss> BackboneTrainer::loss(const std::vector<TrainingSample>& samples) {
    std::vector<at::Tensor> list;
    for (const TrainingSample& sample : samples)
        list.push_back(sample.picture);
    const at::Tensor pictures = at::stack(list).to(device_);
    const std::int64_t patch = student_.spec().patch;
    const Extent grid{pictures.size(2) / patch, pictures.size(3) / patch};
    LOFTSCOPE_TRY(const std::vector<at::Tensor> targets, wanted(samples, pictures, grid));

    const at::Tensor tokens =
        student_.forward(normalisedPictures(pictures, Normalisation{}), recipe_.arithmetic)
            .to(recipe_.arithmetic);
    BatchLoss loss;
    for (std::size_t t = 0; t < targets_.size(); ++t) {
        const std::string head = fmt::format("heads.{}.", t);
        const at::Tensor predicted =
            at::linear(tokens, heads_.at(head + "weight").to(recipe_.arithmetic),
                       heads_.at(head + "bias").to(recipe_.arithmetic))
                .to(at::kFloat);
        const DistillationLoss part = distillationLoss(
            predicted, targets[t], static_cast<double>(whitenings_[t].variance.item<float>()));
        const at::Tensor weighted = (part.squared + part.cosine) * targets_[t].weight;
        loss.total = t == 0 ? weighted : loss.total + weighted;
        loss.parts["squared " + targets_[t].label] = part.squared.item<double>();
        loss.parts["cosine " + targets_[t].label] = part.cosine.item<double>();
    }
    return loss;
}

Result<void> BackboneTrainer::openCache() {
    if (cacheOptions_.path.empty() || recipe_.view != TeacherView::Photo) return {};
    // What the student is and how it learns is not in it, so that the file may serve another run.
    std::string identity =
        fmt::format("{} {}", recipe_.photoSide, at::toString(recipe_.arithmetic));
    for (const DistillationTarget& target : targets_)
        identity += fmt::format(" {}/{}", target.label, target.dims);
    for (const Whitening& whitening : whitenings_) {
        for (const at::Tensor& tensor : {whitening.mean, whitening.directions}) {
            const at::Tensor bytes = tensor.contiguous();
            identity.append(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes());
        }
    }
    for (std::int64_t i = 0; i < photos_.size(); ++i)
        identity += photos_.name(i) + '\n';
    std::error_code code;
    std::filesystem::create_directories(cacheOptions_.path.parent_path(), code);
    LOFTSCOPE_TRY(cache_, TargetCache::open(cacheOptions_.path, std::hash<std::string>{}(identity),
                                            cacheOptions_.bytes));
    return {};
}

Result<StepReport> BackboneTrainer::step(const RunContext& context) {
    return guarded("training", [&]() -> Result<StepReport> {
        if (!fitted()) LOFTSCOPE_CHECK(prepare(context));
        const std::int64_t done = steps();
        if (!stream_) {
            LOFTSCOPE_CHECK(openCache());
            SampleStreamOptions options;
            options.seed = recipe_.seed;
            options.index = [share = share_, first = done * share_.batches() * share_.batch](
                                std::int64_t own) { return share.sampleIndex(first + own); };
            options.threads = decodingThreads_;
            options.ahead = std::max<std::int64_t>(recipe_.batch, 2 * decodingThreads_);
            options.extent = [this](std::int64_t index) { return extentOf(index / recipe_.batch); };
            options.augmentation = recipe_.augmentation;
            stream_ = std::make_unique<SampleStream>(photos_, std::move(options));
        }
        const auto ofBatch = [&](std::int64_t) -> Result<BatchLoss> {
            std::vector<TrainingSample> samples;
            for (std::int64_t b = 0; b < recipe_.batch; ++b) {
                LOFTSCOPE_TRY(TrainingSample sample, stream_->next());
                samples.push_back(std::move(sample));
            }
            return loss(samples);
        };
        const StepOptions options{share_, recipe_.learningRate * recipe_.schedule.factor(done),
                                  recipe_.clip};
        LOFTSCOPE_TRY(StepReport report,
                      takeStep(optimizer_, trained(), group_, options, ofBatch, context));
        const auto n = static_cast<double>(done);
        average_.average(student_, std::min(recipe_.emaDecay, (1 + n) / (10 + n)));
        return report;
    });
}

StateDict BackboneTrainer::state() const {
    StateDict state;
    addPrefixed(state, "student.", student_.parameters());
    addPrefixed(state, "average.", average_.parameters());
    addPrefixed(state, "", heads_);
    for (std::size_t t = 0; t < whitenings_.size(); ++t) {
        addPrefixed(state, fmt::format("targets.{}.", t),
                    {{"mean", whitenings_[t].mean},
                     {"directions", whitenings_[t].directions},
                     {"variance", whitenings_[t].variance}});
    }
    addPrefixed(state, "moments.", optimizer_.state());
    return state;
}

Result<void> BackboneTrainer::restore(const StateDict& state) {
    return guarded("restoring a training run", [&]() -> Result<void> {
        LOFTSCOPE_CHECK(copyState(this->state(), state, "moments."));
        LOFTSCOPE_CHECK(optimizer_.restore(withoutPrefix(state, "moments.")));
        stream_.reset();
        cache_.reset();
        return {};
    });
}

std::vector<ExportedModel> BackboneTrainer::exports() const {
    std::string teachers;
    for (const DistillationTarget& target : targets_)
        teachers += (teachers.empty() ? "" : " + ") + target.label;
    return {{"backbone.safetensors",
             average_.exported(),
             {{"layout", "DINOv2 hub, interpolate_offset 0.1, no antialias"},
              {"normalisation", "ImageNet"},
              {"weights", fmt::format("exponential average {}", recipe_.emaDecay)},
              {"teachers", teachers}}}};
}

} // namespace loftscope
