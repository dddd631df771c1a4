// The bytes that a fuzzer made, taken apart from the front. What is not there is zero, so that any
// beginning of an input is an input too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace fuzz {

class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : left_(std::as_bytes(std::span(data, size))) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }

  template <class T>
  [[nodiscard]] T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::span<const std::byte> bytes = take_bytes(sizeof(T));
    std::memcpy(static_cast<void*>(&value), bytes.data(), bytes.size());
    return value;
  }
  /// In [0, bound); 0 for a bound of 0. A small choice takes one byte, so that a short input tells
  /// much and a changed byte changes one choice.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    if (bound == 0) {
      return 0;
    }
    if (bound <= 0x100) {
      return take<std::uint8_t>() % bound;
    }
    return (bound <= 0x1'0000 ? take<std::uint16_t>() : take<std::uint32_t>()) % bound;
  }
  /// As many as are left, `wanted` at most.
  [[nodiscard]] std::span<const std::byte> take_bytes(std::size_t wanted) {
    const std::span<const std::byte> bytes = left_.first(std::min(wanted, left_.size()));
    left_ = left_.subspan(bytes.size());
    return bytes;
  }
  void fill(std::span<std::byte> to) {
    const std::span<const std::byte> bytes = take_bytes(to.size());
    std::memcpy(to.data(), bytes.data(), bytes.size());
    std::memset(to.data() + bytes.size(), 0, to.size() - bytes.size());
  }

 private:
  std::span<const std::byte> left_;
};

}  // namespace fuzz

/// What a target defines: takes one input, and aborts if a promise is broken. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
