// What a partition has posted to itself for its debugger: bytes, first in, first out.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hv {

/// Small: whoever posts is told what was not taken, and posts the rest later.
class DebugLoop {
 public:
  static constexpr std::uint32_t kBytes = 64;

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t room() const { return kBytes - size_; }
  /// At most room().
  void add(std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, bytes_.begin() + size_);
    size_ += static_cast<std::uint32_t>(bytes.size());
  }
  [[nodiscard]] std::span<const std::byte> first(std::uint32_t count) const {
    return std::span(bytes_).first(std::min(count, size_));
  }
  /// At most size().
  void remove(std::uint32_t count) {
    std::copy(bytes_.begin() + count, bytes_.begin() + size_, bytes_.begin());
    size_ -= count;
  }
  void clear() { size_ = 0; }

 private:
  std::array<std::byte, kBytes> bytes_{};
  std::uint32_t size_ = 0;
};

}  // namespace hv
