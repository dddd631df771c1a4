// When each processor that does not run acts next: whose turn it is, in a few instructions for
// those that act soon, whatever their number.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "sim/event_queue.h"
#include "sim/tournament.h"

namespace sim {

/// The first of all is at hand. Behind it a wheel has a place for each of the next nanoseconds,
/// with room for a few processors. Who acts later, sleeps or finds the place full is in a
/// tournament.
class TurnOrder {
 public:
  static constexpr std::uint64_t kWheelNs = 2048;
  static constexpr std::uint32_t kRoom = 4;

  /// Nobody acts.
  explicit TurnOrder(std::uint32_t processors) : far_(processors) {}
  TurnOrder(const TurnOrder&) = delete;
  TurnOrder& operator=(const TurnOrder&) = delete;

  /// A processor that is not in the order acts at a time.
  void insert(std::uint32_t processor, std::uint64_t at_ns) {
    if (at_ns >= front_ns_) {
      put(processor, at_ns);
      return;
    }
    if (front_ns_ != kNever) {
      put(front_, front_ns_);
    }
    front_ = processor;
    front_ns_ = at_ns;
  }
  /// A processor that sleeps acts at a time, or another than before; kNever: not at all.
  void insert_sleeper(std::uint32_t processor, std::uint64_t at_ns) { far_.set(processor, at_ns); }

  [[nodiscard]] std::uint64_t earliest() const { return std::min(front_ns_, far_.earliest()); }

  /// Takes one of those that act at the earliest time off the order; there is one. If there are
  /// several, `choose` says which of that many: in an order that is the same whenever the same was
  /// inserted and taken before.
  template <class Choose>
  [[nodiscard]] std::uint32_t take(Choose choose) {
    const std::uint64_t far_ns = far_.earliest();
    floor_ns_ = std::min(front_ns_, far_ns);
    const std::uint32_t near = count_near();
    const std::uint32_t all = near + (far_ns == floor_ns_ ? far_.count() : 0);
    const std::uint32_t nth = all > 1 ? choose(all) : 0;
    if (nth >= near) {
      const std::uint32_t processor = far_.find(nth - near);
      far_.set(processor, kNever);
      return processor;
    }
    return nth == 0 ? take_front() : take_near(nth - 1);
  }

  /// Whether only the first is before a processor that acts at this time, or with it: exchange()
  /// is then insert() and take().
  [[nodiscard]] bool is_between_two(std::uint64_t at_ns) const {
    return at_ns >= front_ns_ && at_ns < near_ns_ && at_ns < far_.earliest();
  }
  template <class Choose>
  [[nodiscard]] std::uint32_t exchange(std::uint32_t processor, std::uint64_t at_ns,
                                       Choose choose) {
    const std::uint32_t first = front_;
    floor_ns_ = front_ns_;
    if (at_ns == front_ns_) {
      // The other is the first then, whoever it is: there is nothing to branch on.
      const std::uint32_t change = (first ^ processor) & (0 - choose(2));
      front_ = processor ^ change;
      return first ^ change;
    }
    front_ = processor;
    front_ns_ = at_ns;
    return first;
  }

 private:
  /// A place holds numbers of processors from its lowest bits up, each plus one; 0 is none.
  static constexpr std::uint32_t kBits = 64 / kRoom;
  static constexpr std::uint64_t kMask = (std::uint64_t{1} << kBits) - 1;
  static constexpr std::uint64_t kWords = kWheelNs / 64;
  static_assert(kWords == 32);

  static std::uint32_t count_of(std::uint64_t place) {
    return (static_cast<std::uint32_t>(std::bit_width(place)) + kBits - 1) / kBits;
  }

  /// Behind the first.
  void put(std::uint32_t processor, std::uint64_t at_ns) {
    const std::uint64_t place = at_ns % kWheelNs;
    const std::uint64_t there = wheel_[place];
    if (at_ns - floor_ns_ >= kWheelNs || (there >> (kBits * (kRoom - 1))) != 0) [[unlikely]] {
      far_.set(processor, at_ns);
      return;
    }
    wheel_[place] = there | (std::uint64_t{processor + 1} << (kBits * count_of(there)));
    words_[place / 64] |= std::uint64_t{1} << (place % 64);
    occupied_ |= std::uint32_t{1} << (place / 64);
    near_ns_ = std::min(near_ns_, at_ns);
  }

  /// How many at the front and on the wheel act at the earliest time.
  [[nodiscard]] std::uint32_t count_near() const {
    if (front_ns_ != floor_ns_) {
      return 0;
    }
    return 1 + (near_ns_ == floor_ns_ ? count_of(wheel_[near_ns_ % kWheelNs]) : 0);
  }

  std::uint32_t take_front() {
    const std::uint32_t processor = front_;
    front_ns_ = near_ns_;
    if (near_ns_ != kNever) {
      front_ = take_near(0);
    }
    return processor;
  }

  /// Of those at the earliest place of the wheel.
  std::uint32_t take_near(std::uint32_t nth) {
    const std::uint64_t place = near_ns_ % kWheelNs;
    const std::uint64_t there = wheel_[place];
    const std::uint32_t shift = kBits * nth;
    const std::uint64_t before = there & ((std::uint64_t{1} << shift) - 1);
    const std::uint64_t from = there >> shift;
    wheel_[place] = before | ((from >> kBits) << shift);
    if (wheel_[place] == 0) {
      leave(place);
    }
    return static_cast<std::uint32_t>(from & kMask) - 1;
  }

  /// Nobody is at the earliest place any more.
  void leave(std::uint64_t place) {
    const std::uint64_t word = place / 64;
    const std::uint64_t others = words_[word] & ~(std::uint64_t{1} << (place % 64));
    words_[word] = others;
    occupied_ &= ~(std::uint32_t{others == 0} << word);
    if (const std::uint64_t after = others >> (place % 64); after != 0) {
      near_ns_ += static_cast<std::uint64_t>(std::countr_zero(after));
    } else if (occupied_ != 0) {
      // From the next word on, and around; this one is the last, for what lies before the place.
      const auto turn = static_cast<int>((word + 1) % kWords);
      const auto ahead = static_cast<std::uint64_t>(std::countr_zero(std::rotr(occupied_, turn)));
      const std::uint64_t next = (word + 1 + ahead) % kWords;
      const auto bit = static_cast<std::uint64_t>(std::countr_zero(words_[next]));
      near_ns_ += (next * 64 + bit - place) % kWheelNs;
    } else {
      near_ns_ = kNever;
    }
  }

  /// Who acts later.
  Tournament far_;
  /// Nobody in the order acts before this.
  std::uint64_t floor_ns_ = 0;
  /// The first; nobody on the wheel is earlier, and if there is none, the wheel is empty.
  std::uint64_t front_ns_ = kNever;
  std::uint32_t front_ = 0;
  /// A bit for each word of places that is not zero.
  std::uint32_t occupied_ = 0;
  /// The earliest on the wheel.
  std::uint64_t near_ns_ = kNever;
  /// A bit for each place that is taken.
  std::array<std::uint64_t, kWords> words_{};
  std::array<std::uint64_t, kWheelNs> wheel_{};
};

}  // namespace sim
