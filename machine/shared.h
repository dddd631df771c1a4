// Words in C++ objects that another processor or an interrupt handler of the same program touches.
//
// Plain C++ memory passes neither the seam nor the simulator's scheduler, so whatever is shared and
// not guarded by a SpinLock is a Shared<T>. Order and atomicity are those of guest.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace machine {

// The seam's own functions; use Shared<T>.
[[nodiscard]] std::uint32_t shared_load_u32(const std::uint32_t* word);
[[nodiscard]] std::uint64_t shared_load_u64(const std::uint64_t* word);
void shared_store_u32(std::uint32_t* word, std::uint32_t value);
void shared_store_u64(std::uint64_t* word, std::uint64_t value);
std::uint32_t shared_exchange_u32(std::uint32_t* word, std::uint32_t value);
std::uint64_t shared_exchange_u64(std::uint64_t* word, std::uint64_t value);
std::uint32_t shared_compare_exchange_u32(std::uint32_t* word, std::uint32_t expected,
                                          std::uint32_t desired);
std::uint64_t shared_compare_exchange_u64(std::uint64_t* word, std::uint64_t expected,
                                          std::uint64_t desired);
std::uint32_t shared_fetch_add_u32(std::uint32_t* word, std::uint32_t value);
std::uint64_t shared_fetch_add_u64(std::uint64_t* word, std::uint64_t value);
std::uint64_t shared_fetch_or_u64(std::uint64_t* word, std::uint64_t bits);
std::uint64_t shared_fetch_and_u64(std::uint64_t* word, std::uint64_t bits);

template <class T>
concept SharedWord = (std::integral<T> || std::is_enum_v<T>) && (sizeof(T) <= 8);

/// One shared word. Values of up to 32 bits take a 32-bit word, others a 64-bit one. The arithmetic
/// forms exist for 32- and 64-bit unsigned words.
template <SharedWord T>
class Shared {
  using Word = std::conditional_t<(sizeof(T) > 4), std::uint64_t, std::uint32_t>;
  static constexpr bool kWide = sizeof(Word) == 8;

 public:
  constexpr Shared() = default;
  constexpr explicit Shared(T value) : word_(static_cast<Word>(value)) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  [[nodiscard]] T load() const {
    if constexpr (kWide) {
      return static_cast<T>(shared_load_u64(&word_));
    } else {
      return static_cast<T>(shared_load_u32(&word_));
    }
  }
  void store(T value) {
    if constexpr (kWide) {
      shared_store_u64(&word_, static_cast<Word>(value));
    } else {
      shared_store_u32(&word_, static_cast<Word>(value));
    }
  }
  /// The read-modify-write forms return the value from before and are full fences.
  T exchange(T value) {
    if constexpr (kWide) {
      return static_cast<T>(shared_exchange_u64(&word_, static_cast<Word>(value)));
    } else {
      return static_cast<T>(shared_exchange_u32(&word_, static_cast<Word>(value)));
    }
  }
  /// Stores `desired` if the word holds `expected`; returns whether it did.
  bool compare_exchange(T expected, T desired) {
    const Word old = static_cast<Word>(expected);
    if constexpr (kWide) {
      return shared_compare_exchange_u64(&word_, old, static_cast<Word>(desired)) == old;
    } else {
      return shared_compare_exchange_u32(&word_, old, static_cast<Word>(desired)) == old;
    }
  }
  T fetch_add(T value)
    requires std::unsigned_integral<T> && (sizeof(T) >= 4)
  {
    if constexpr (kWide) {
      return shared_fetch_add_u64(&word_, value);
    } else {
      return shared_fetch_add_u32(&word_, value);
    }
  }
  T fetch_or(T bits)
    requires std::unsigned_integral<T> && (sizeof(T) == 8)
  {
    return shared_fetch_or_u64(&word_, bits);
  }
  T fetch_and(T bits)
    requires std::unsigned_integral<T> && (sizeof(T) == 8)
  {
    return shared_fetch_and_u64(&word_, bits);
  }

 private:
  Word word_ = 0;
};

}  // namespace machine
