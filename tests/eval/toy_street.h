// SPDX-License-Identifier: Apache-2.0
// A folder of photos with label maps that colours tell apart, and one with clips of a moving
// square.
#pragma once

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include <filesystem>
#include <string>

namespace loftscope::test {

/// `images/{train,test}/N.png` and `labels/...`: a bluish sky (0), a dark road (1), a red car (2)
/// and an unlabelled strip (255); the car's place differs.
inline void writeToyStreet(const std::filesystem::path& folder, int train, int test) {
    namespace fs = std::filesystem;
    for (const auto& [split, count] : {std::pair{"train", train}, std::pair{"test", test}}) {
        fs::create_directories(folder / "images" / split);
        fs::create_directories(folder / "labels" / split);
        for (int i = 0; i < count; ++i) {
            cv::Mat photo(64, 96, CV_8UC3, cv::Scalar(220, 160, 120));
            cv::Mat labels(64, 96, CV_8UC1, cv::Scalar(0));
            const cv::Rect road(0, 32, 96, 32);
            photo(road).setTo(cv::Scalar(50, 50, 50));
            labels(road).setTo(1);
            const cv::Rect car((17 * i + (split[1] == 'e' ? 5 : 0)) % 60, 38, 24, 16);
            photo(car).setTo(cv::Scalar(30, 30, 230));
            labels(car).setTo(2);
            labels(cv::Rect(0, 60, 96, 4)).setTo(255);
            const std::string name = std::to_string(i) + ".png";
            cv::imwrite((folder / "images" / split / name).string(), photo);
            cv::imwrite((folder / "labels" / split / name).string(), labels);
        }
    }
}

/// `images/CLIP/000NN.png` and `masks/...`: a bright square that moves to the right.
inline void writeToyClip(const std::filesystem::path& folder, const std::string& clip, int frames) {
    namespace fs = std::filesystem;
    fs::create_directories(folder / "images" / clip);
    fs::create_directories(folder / "masks" / clip);
    for (int i = 0; i < frames; ++i) {
        cv::Mat photo(64, 96, CV_8UC3, cv::Scalar(60, 90, 40));
        cv::Mat mask(64, 96, CV_8UC1, cv::Scalar(0));
        const cv::Rect square(10 + 4 * i, 20, 28, 28);
        photo(square).setTo(cv::Scalar(40, 60, 240));
        mask(square).setTo(1);
        const std::string name = "0000" + std::to_string(i) + ".png";
        cv::imwrite((folder / "images" / clip / name).string(), photo);
        cv::imwrite((folder / "masks" / clip / name).string(), mask);
    }
}

/// `images/test/N.png` and `segs/test/N_{a,b}.png`: a square on a ground, as two people see it.
inline void writeToySegments(const std::filesystem::path& folder, int count) {
    namespace fs = std::filesystem;
    fs::create_directories(folder / "images/test");
    fs::create_directories(folder / "segs/test");
    for (int i = 0; i < count; ++i) {
        cv::Mat photo(64, 96, CV_8UC3, cv::Scalar(60, 90, 40));
        cv::Mat labels(64, 96, CV_8UC1, cv::Scalar(4));
        const cv::Rect square(16 + 8 * i, 16, 32, 24);
        photo(square).setTo(cv::Scalar(40, 60, 240));
        labels(square).setTo(9);
        const std::string name = std::to_string(i);
        cv::imwrite((folder / "images/test" / (name + ".png")).string(), photo);
        cv::imwrite((folder / "segs/test" / (name + "_a.png")).string(), labels);
        cv::imwrite((folder / "segs/test" / (name + "_b.png")).string(), labels);
    }
}

/// `red/N.png`, `green/N.png`: photos of two classes.
inline void writeToyClasses(const std::filesystem::path& folder, int count) {
    for (const auto& [name, color] :
         {std::pair{"red", cv::Scalar(40, 50, 200)}, std::pair{"green", cv::Scalar(40, 180, 60)}}) {
        std::filesystem::create_directories(folder / name);
        for (int i = 0; i < count; ++i) {
            cv::Mat photo(48, 64, CV_8UC3, color);
            photo(cv::Rect(5 * i, 10, 12, 12)).setTo(cv::Scalar(90, 90, 90));
            cv::imwrite((folder / name / (std::to_string(i) + ".png")).string(), photo);
        }
    }
}

} // namespace loftscope::test
