// The hash of a run: every operation of the seam, in order, with its processor, operands and
// result. Two runs with the same hash did the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// The state is kept by value, which needs the library's declarations of its structures.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "sim/operation.h"

namespace sim {

/// Told when a stretch of operations is complete.
class HashListener {
 public:
  virtual void at_operation(std::uint64_t operation, std::uint64_t hash) = 0;

 protected:
  ~HashListener() = default;
};

struct PastOperation {
  Operation kind{};
  std::uint32_t processor = 0;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint64_t result = 0;
};

class TraceHash {
 public:
  /// Operations between two calls of the listener.
  static constexpr std::uint64_t kStretch = 1u << 16;
  static constexpr std::uint64_t kNoFlip = ~std::uint64_t{0};

  TraceHash();
  TraceHash(const TraceHash&) = delete;
  TraceHash& operator=(const TraceHash&) = delete;

  /// Off: operations are counted, not hashed.
  void set_enabled(bool enabled) { enabled_ = enabled; }
  void set_listener(HashListener* listener) { listener_ = listener; }
  /// Turns over the lowest bit of one operation's result: what the completeness test does. Before
  /// the first operation.
  void flip_result_of(std::uint64_t operation);

  /// One operation. Returns the result, which is other than given for the one to be flipped.
  std::uint64_t add(Operation kind, std::uint32_t processor, std::uint64_t first,
                    std::uint64_t second, std::uint64_t result) {
    std::uint64_t* const words = cursor_;
    // The second operand is seldom wide: what of it does not fit is mixed into the first.
    words[0] = static_cast<std::uint64_t>(kind) | (std::uint64_t{processor} << kProcessorShift) |
               (second << kSecondShift);
    words[1] = first + (second >> (64 - kSecondShift)) * kOdd;
    words[2] = result;
    cursor_ = words + kWords;
    if (cursor_ >= limit_) [[unlikely]] {
      return reach_limit();
    }
    return result;
  }
  /// The hash of bytes that an operation moved, to be one of its operands.
  [[nodiscard]] static std::uint64_t of(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
  }

  /// How many operations there were.
  [[nodiscard]] std::uint64_t operations() const {
    return flushed_ + static_cast<std::uint64_t>(cursor_ - buffer_.data()) / kWords;
  }
  /// Some of the latest operations, the last one last; of the second operand, what fits.
  [[nodiscard]] std::vector<PastOperation> latest(std::size_t count) const;
  /// The hash of all of them.
  [[nodiscard]] std::uint64_t value() const;

 private:
  static constexpr std::size_t kWords = 3;
  static constexpr std::uint32_t kProcessorShift = 8;
  static constexpr std::uint32_t kSecondShift = 24;
  static constexpr std::size_t kBufferOperations = 128;
  static constexpr std::uint64_t kOdd = 0x9E37'79B9'7F4A'7C15;

  std::uint64_t reach_limit();
  void flush();
  void set_limit();

  std::uint64_t* cursor_ = nullptr;
  std::uint64_t* limit_ = nullptr;
  std::uint64_t flushed_ = 0;
  std::uint64_t flip_ = kNoFlip;
  bool enabled_ = true;
  HashListener* listener_ = nullptr;
  alignas(64) std::array<std::uint64_t, kWords * kBufferOperations> buffer_{};
  XXH3_state_t state_;
};

}  // namespace sim
