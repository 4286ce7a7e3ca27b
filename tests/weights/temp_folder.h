// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test, and files made of bytes.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace loftscope::test {

class TempFolder {
public:
    TempFolder() {
        // In memory where there is such a place: some tests write thousands of files.
        std::error_code ignored;
        const std::filesystem::path parent = std::filesystem::is_directory("/dev/shm", ignored)
                                                 ? "/dev/shm"
                                                 : std::filesystem::temp_directory_path();
        std::string pattern = (parent / "loftscope_test_XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path_ = pattern;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            names.push_back(entry.path().filename().string());
        return names;
    }

private:
    std::filesystem::path path_;
};

inline std::string readBytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void writeBytes(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

inline std::filesystem::path testData(const std::string& name) {
    return std::filesystem::path(LOFTSCOPE_TEST_DATA) / name;
}

} // namespace loftscope::test
