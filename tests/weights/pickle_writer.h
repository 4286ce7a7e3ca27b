// SPDX-License-Identifier: Apache-2.0
// Pickle programs by hand, above all those that no Python would write, and zip archives around
// them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace loftscope::test {

/// Opcodes of protocol 2, appended one after the other.
class PickleWriter {
public:
    PickleWriter& raw(const std::string& bytes) {
        bytes_ += bytes;
        return *this;
    }
    PickleWriter& global(const std::string& module, const std::string& name) {
        return raw("c").raw(module).raw("\n").raw(name).raw("\n");
    }
    PickleWriter& text(const std::string& value) {
        return raw("X").little(value.size(), 4).raw(value);
    }
    PickleWriter& integer(std::int64_t value) {
        return raw("\x8a\x08").little(static_cast<std::uint64_t>(value), 8);
    }
    PickleWriter& tuple(const std::vector<std::int64_t>& values) {
        raw("(");
        for (const std::int64_t value : values)
            integer(value);
        return raw("t");
    }
    PickleWriter& put(unsigned index) { return raw("r").little(index, 4); }
    PickleWriter& get(unsigned index) { return raw("j").little(index, 4); }
    PickleWriter& storage(const std::string& type, const std::string& key, std::int64_t count) {
        raw("(").text("storage").global("torch", type).text(key).text("cpu").integer(count);
        return raw("tQ");
    }
    /// A call of `_rebuild_tensor_v2`.
    PickleWriter& tensor(std::int64_t count, std::int64_t offset,
                         const std::vector<std::int64_t>& sizes,
                         const std::vector<std::int64_t>& strides, const std::string& key = "0",
                         const std::string& type = "FloatStorage") {
        global("torch._utils", "_rebuild_tensor_v2").raw("(").storage(type, key, count);
        integer(offset).tuple(sizes).tuple(strides).raw("\x89");
        return global("collections", "OrderedDict").raw(")RtR");
    }
    /// The finished program.
    std::string done() const {
        std::string program = "\x80\x02";
        program += bytes_;
        program += '.';
        return program;
    }

private:
    PickleWriter& little(std::uint64_t value, int size) {
        for (int i = 0; i < size; ++i)
            bytes_ += static_cast<char>((value >> (8 * i)) & 0xFFU);
        return *this;
    }
    std::string bytes_;
};

/// Writes a zip archive with stored entries and right checksums.
void writeZip(const std::filesystem::path& path, const std::map<std::string, std::string>& entries);

} // namespace loftscope::test
