// SPDX-License-Identifier: Apache-2.0
// A batch that is stopped, killed or fails in the middle goes on where it was, and makes anew what
// is damaged or belongs to other settings.
#include "core/base/file.h"
#include "core/pipeline/batch.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

class Batch : public testing::Test {
protected:
    Batch() {
        fs::create_directories(folder_.path() / "photos");
        for (const char* name : {"b.png", "a.jpg", "c.png", "notes.txt", ".hidden.png"})
            std::ofstream(folder_.path() / "photos" / name) << name;
        options_ = {folder_.path() / "out", ".txt", "settings 1"};
    }
    std::string photos() const { return (folder_.path() / "photos").string(); }
    std::vector<BatchItem> plan() const { return planBatch({photos()}).value(); }
    /// Copies the photo; counts, and fails for the names in `bad_`.
    Result<BatchReport> run(const RunContext& context = {}) {
        return runBatch(plan(), options_, context,
                        [&](const BatchItem& item, const fs::path& output) -> Result<void> {
                            made_.push_back(item.name);
                            if (bad_.contains(item.name))
                                return fail(ErrorCode::Malformed, item.name + " is damaged.");
                            const auto bytes = readFile(item.photo);
                            return writeFile(output, *bytes);
                        });
    }

    test::TempFolder folder_;
    BatchOptions options_;
    std::set<std::string> bad_;
    std::vector<std::string> made_;
};

TEST_F(Batch, TakesTheFoldersPicturesInOrder) {
    std::vector<std::string> names;
    for (const BatchItem& item : plan())
        names.push_back(item.name);
    EXPECT_THAT(names, testing::ElementsAre("a", "b", "c"));
    EXPECT_FALSE(planBatch({photos() + "/missing"}));
    EXPECT_FALSE(planBatch({photos() + "/a.jpg", photos() + "/a.jpg"}));
}

TEST_F(Batch, PhotosOfOneNameAreToldApart) {
    fs::create_directories(folder_.path() / "more");
    std::ofstream(folder_.path() / "more" / "a.jpg") << "another";
    std::ofstream(folder_.path() / "more" / "a.png") << "another";
    const auto items = planBatch({photos(), (folder_.path() / "more").string()});
    ASSERT_TRUE(items) << items.error().message;
    std::set<std::string> names;
    for (const BatchItem& item : *items)
        names.insert(item.name);
    EXPECT_THAT(names, testing::ElementsAre("b", "c", "more_a.jpg", "more_a.png", "photos_a.jpg"));
}

TEST_F(Batch, ShardsShareTheWorkWithoutOverlap) {
    std::set<std::string> seen;
    for (std::int64_t i = 1; i <= 2; ++i)
        for (const BatchItem& item : shardOf(plan(), i, 2))
            EXPECT_TRUE(seen.insert(item.name).second);
    EXPECT_EQ(seen.size(), 3U);
}

TEST_F(Batch, ABadPhotoIsReportedAndTheOthersAreMade) {
    bad_ = {"b"};
    const auto report = run();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->made, 2);
    ASSERT_EQ(report->failures.size(), 1U);
    EXPECT_EQ(report->failures[0].message, "b is damaged.");
    // Mended, it is all that is left to do.
    bad_.clear();
    made_.clear();
    EXPECT_EQ(run()->skipped, 2);
    EXPECT_THAT(made_, testing::ElementsAre("b"));
}

TEST_F(Batch, StoppedItGoesOnWhereItWas) {
    std::stop_source stop;
    RunContext context{stop.get_token(), {}};
    context.onProgress = [&](std::string_view, double fraction) {
        if (fraction > 0.3) stop.request_stop();
    };
    const auto stopped = run(context);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::Cancelled);
    const std::size_t before = made_.size();
    EXPECT_LT(before, 3U);
    const auto rest = run();
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->skipped + rest->made, 3);
    EXPECT_EQ(made_.size(), 3U);
}

TEST_F(Batch, MakesAnewWhatIsDamagedChangedOrOfOtherSettings) {
    ASSERT_TRUE(run());
    made_.clear();
    std::ofstream(options_.folder / "a.txt") << "damaged";
    EXPECT_EQ(run()->made, 1);
    EXPECT_THAT(made_, testing::ElementsAre("a"));
    made_.clear();
    std::ofstream(photos() + "/c.png") << "another photo";
    EXPECT_EQ(run()->made, 1);
    EXPECT_THAT(made_, testing::ElementsAre("c"));
    options_.settings = "settings 2";
    EXPECT_EQ(run()->made, 3);
}

TEST_F(Batch, ALineCutShortByAKillIsNoHarm) {
    ASSERT_TRUE(run());
    const fs::path journal = options_.folder / options_.journal;
    fs::resize_file(journal, fs::file_size(journal) - 20);
    made_.clear();
    EXPECT_EQ(run()->made, 1);
    EXPECT_THAT(made_, testing::ElementsAre("c"));
    EXPECT_EQ(run()->skipped, 3);
}

TEST_F(Batch, AFolderThatCannotBeMadeIsOneSentence) {
    std::ofstream(folder_.path() / "file") << "x";
    options_.folder = folder_.path() / "file" / "out";
    const auto report = run();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::WriteFailed);
    EXPECT_TRUE(made_.empty());
}

} // namespace
} // namespace loftscope
