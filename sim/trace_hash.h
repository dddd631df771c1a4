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
    words[0] = static_cast<std::uint64_t>(kind) | (std::uint64_t{processor} << 8);
    words[1] = first;
    words[2] = second;
    words[3] = result;
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
  /// Some of the latest operations, the last one last, four words each as add() makes them.
  [[nodiscard]] std::vector<std::array<std::uint64_t, 4>> latest(std::size_t count) const;
  /// The hash of all of them.
  [[nodiscard]] std::uint64_t value() const;

 private:
  static constexpr std::size_t kWords = 4;
  static constexpr std::size_t kBufferOperations = 512;

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
