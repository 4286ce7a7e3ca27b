// SPDX-License-Identifier: Apache-2.0
// Reading a JSON object strictly: every key is known, every value of the right kind, and what is
// not so is named.
#pragma once

#include "core/base/error.h"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Fields of one object. Each `read` leaves its target alone where the key is missing; the first
/// thing that is wrong is kept for `finish`.
class JsonFields {
public:
    /// `value` must outlive this; `where` is for messages: "the figure 'a.json'", "pane 2 of ...".
    JsonFields(const nlohmann::ordered_json& value, std::string where);

    void read(const char* key, bool& target);
    void read(const char* key, int& target);
    void read(const char* key, std::int64_t& target);
    void read(const char* key, double& target);
    void read(const char* key, std::string& target);
    void read(const char* key, std::vector<std::string>& target);
    template <typename T>
    void read(const char* key, std::optional<T>& target) {
        if (find(key) != nullptr) read(key, target.emplace());
    }
    /// The place of the value among `names`; -1 where the key is missing or names none of them.
    int readChoice(const char* key, const std::vector<std::string_view>& names);
    /// The whole numbers of an array of exactly `count`; empty where the key is missing or wrong.
    std::vector<std::int64_t> readIntegers(const char* key, std::size_t count);
    /// The same for any numbers.
    std::vector<double> readNumbers(const char* key, std::size_t count);
    /// "#rrggbb".
    void readColor(const char* key, std::array<std::uint8_t, 3>& target);
    /// A value that the caller reads; null where the key is missing.
    const nlohmann::ordered_json* find(const char* key);
    /// Elements of an array; none where the key is missing.
    std::vector<const nlohmann::ordered_json*> elements(const char* key);
    /// Says that the value of `key` is not `expected`.
    void complain(const char* key, std::string_view expected);
    void complain(Error error);

    bool good() const { return !error_; }
    const std::string& where() const { return where_; }
    /// Errors: Malformed: the first thing that was wrong, or a key that nobody asked for.
    Result<void> finish();

private:
    const nlohmann::ordered_json* value_;
    std::string where_;
    std::vector<std::string> known_;
    std::optional<Error> error_;
};

std::string colorText(const std::array<std::uint8_t, 3>& color);

/// Text as JSON with a "`format`": version field, which comes first. Errors: Malformed (no JSON,
/// not an object, no such field), Unsupported (a version above `newest`).
Result<nlohmann::ordered_json> parseVersioned(std::string_view text, const char* format, int newest,
                                              const std::string& where);

} // namespace loftscope
