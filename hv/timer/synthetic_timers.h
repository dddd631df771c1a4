// The synthetic timers of one virtual processor (TLFS "Timers"), and reference time.
//
// A state machine over reference time: the run loop writes registers, asks when the next timer is
// due, and calls expire() then; what comes back are vectors to request and messages to post. It
// reads no clock and touches no guest memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/synic/queued_message.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/timers.h"

namespace hv {

/// What an expired timer asks for: an interrupt with a vector, or that a message be posted.
struct TimerExpiration {
  std::uint32_t timer = 0;
  bool direct = false;
  std::uint8_t vector = 0;
  std::uint8_t sint = 0;
  QueuedMessage* message = nullptr;
};

class SyntheticTimers {
 public:
  SyntheticTimers();
  SyntheticTimers(const SyntheticTimers&) = delete;
  SyntheticTimers& operator=(const SyntheticTimers&) = delete;

  /// All timers stopped. Their queued messages must have been dropped (message_owner()).
  void reset();

  /// STIMER0_CONFIG..STIMER3_COUNT.
  [[nodiscard]] static constexpr bool has_msr(std::uint32_t msr) {
    return msr >= kMsrStimer0Config && msr <= kMsrStimer3Count;
  }
  /// `msr` is one of has_msr().
  [[nodiscard]] std::uint64_t read(std::uint32_t msr) const;
  /// False for #GP: a reserved bit is set, and nothing changed. Afterwards call expire(): a timer
  /// may be due at once.
  [[nodiscard]] bool write(std::uint32_t msr, std::uint64_t value, std::uint64_t now_100ns);

  /// When expire() has something to do; nothing if no timer runs. Lazy timers count only while the
  /// processor runs. A timer whose message is still under way does not count: call expire() again
  /// when Synic::deliver() was called.
  [[nodiscard]] std::optional<std::uint64_t> next_due(std::uint64_t now_100ns,
                                                      bool include_lazy) const;

  /// The next timer that is due, with its state already moved on; nothing when none is. The caller
  /// repeats until then, and posts each message (its buffer is marked busy) before the next call.
  [[nodiscard]] std::optional<TimerExpiration> expire(std::uint64_t now_100ns);

  /// What HvCallGetVpState answers.
  void save(SyntheticTimersState& state) const;
  /// Whether restore() takes it: no reserved bit is set.
  [[nodiscard]] static bool is_restorable(const SyntheticTimersState& state);
  /// False, and nothing changed: it is not restorable. The timers' queued messages must have been
  /// dropped; those that `state` holds come back from expire(), which must be called afterwards.
  [[nodiscard]] bool restore(const SyntheticTimersState& state, std::uint64_t now_100ns);

  /// Owns the timers' messages in the queues of the Synic.
  [[nodiscard]] MessageOwner& message_owner() { return message_owner_; }

 private:
  struct Timer {
    TimerConfig config;
    std::uint64_t count = 0;
    /// When it should expire, and when it does: the latter may be later, after missed periods.
    std::uint64_t due = 0;
    std::uint64_t signal_at = 0;
    bool armed = false;
    /// Restored with a message that waits to be posted.
    bool undelivered = false;
    QueuedMessage message;
    TimerExpiredPayload payload;
  };

  void write_config(Timer& timer, std::uint64_t value, std::uint64_t now);
  void write_count(Timer& timer, std::uint64_t value, std::uint64_t now);
  void evaluate(Timer& timer, std::uint64_t now);
  void advance(Timer& timer, std::uint64_t now);
  [[nodiscard]] bool is_blocked(std::uint32_t index) const;
  [[nodiscard]] TimerExpiration message_of(std::uint32_t index);

  std::array<Timer, kSyntheticTimerCount> timers_{};
  MessageOwner message_owner_;
};
static_assert(sizeof(SyntheticTimers) <= 456);

}  // namespace hv
