// Writing and reading of numbers and texts in a recording's bytes. Reading checks every bound: a
// recording may come from anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace scenarios {

/// Thrown by ByteReader for bytes that no ByteWriter made.
struct BadBytes : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ByteWriter {
 public:
  /// Seven bits a byte, the lowest first: small numbers are short.
  void number(std::uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<std::byte>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<std::byte>(value));
  }
  /// Eight bytes, the lowest first: for hashes.
  void word(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      bytes_.push_back(static_cast<std::byte>(value >> shift));
    }
  }
  void bytes(std::span<const std::byte> value) {
    number(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void text(std::string_view value) { bytes(std::as_bytes(std::span(value))); }

  [[nodiscard]] const std::vector<std::byte>& written() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(take(1).front());
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    throw BadBytes("a number is too long");
  }
  [[nodiscard]] std::uint64_t word() {
    std::uint64_t value = 0;
    const std::span<const std::byte> bytes = take(8);
    for (std::size_t index = 8; index-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes[index]);
    }
    return value;
  }
  [[nodiscard]] std::span<const std::byte> bytes() {
    const std::uint64_t size = number();
    return take(size);
  }
  [[nodiscard]] std::string text() {
    const std::span<const std::byte> value = bytes();
    return {reinterpret_cast<const char*>(value.data()), value.size()};
  }
  /// A count of things that take at least one byte each.
  [[nodiscard]] std::uint64_t count() {
    const std::uint64_t value = number();
    if (value > rest_.size()) {
      throw BadBytes("a count is larger than what follows");
    }
    return value;
  }

 private:
  std::span<const std::byte> take(std::uint64_t size) {
    if (size > rest_.size()) {
      throw BadBytes("the bytes end too early");
    }
    const std::span<const std::byte> taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::span<const std::byte> rest_;
};

}  // namespace scenarios
