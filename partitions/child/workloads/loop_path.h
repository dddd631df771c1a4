// What is kept of one loop-back connection: what each VP has sent through it, and what has come.
//
// Senders and receivers are on any VP; the words that they share say what was begun before the
// hypervisor was called, so that whatever comes must have been begun.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hv/tlfs/messages.h"
#include "machine/shared.h"
#include "partitions/kernel/heap.h"
#include "partitions/kernel/loop_connection.h"

namespace child {

inline constexpr std::uint32_t kMaxLoopSenders = 8;
inline constexpr std::uint32_t kMaxLoopMessages = 1000;

/// A message as its connection, its sender and its number determine it. It begins with the latter
/// two.
struct LoopMessage {
  LoopMessage(std::uint64_t connection_seed, std::uint32_t sender, std::uint32_t number);
  [[nodiscard]] std::span<const std::byte> content() const { return std::span(bytes).first(size); }

  std::array<std::byte, hv::kMessagePayloadBytes> bytes{};
  std::size_t size = 0;
};

class LoopPath {
 public:
  LoopPath(kernel::Heap& heap, const kernel::LoopConnection& connection, std::uint64_t seed);

  [[nodiscard]] const kernel::LoopConnection& connection() const { return connection_; }
  [[nodiscard]] bool carries_events() const { return connection_.flags != 0; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  // --- Messages, numbered from 1 for each sender.
  void message_begun(std::uint32_t sender, std::uint32_t number) {
    senders_[sender].begun.store(number);
  }
  /// False if it was not sent, or has come before.
  [[nodiscard]] bool take(std::uint32_t sender, std::uint32_t number);
  [[nodiscard]] std::uint32_t messages_come() const { return come_.load(); }

  // --- Events.
  void signal_begun(std::uint32_t flag) { flags_[flag].begun.fetch_add(1); }
  /// The flag was set and has been cleared. False if it has now come more often than it was
  /// signalled: a signal to a flag that is set merges, but none comes twice.
  [[nodiscard]] bool see(std::uint32_t flag);
  /// Whether each flag has come since its last signal was begun.
  [[nodiscard]] bool all_seen() const;
  /// Whether a flag has come less often than it was signalled; once nothing is under way.
  [[nodiscard]] bool signals_merged() const;

 private:
  static constexpr std::size_t kNumbersPerWord = 64;
  struct Sender {
    machine::Shared<std::uint32_t> begun{0};
    std::array<machine::Shared<std::uint64_t>, kMaxLoopMessages / kNumbersPerWord + 1> come;
  };
  struct Flag {
    machine::Shared<std::uint32_t> begun{0};
    machine::Shared<std::uint32_t> sightings{0};
    /// What `begun` was at the newest sighting. Some of those signals may still have been on their
    /// way to the flag, so this bounds no later sighting.
    machine::Shared<std::uint32_t> begun_when_seen{0};
  };

  const kernel::LoopConnection connection_;
  const std::uint64_t seed_;
  std::array<Sender, kMaxLoopSenders> senders_;
  machine::Shared<std::uint32_t> come_{0};
  std::span<Flag> flags_;
};

}  // namespace child
