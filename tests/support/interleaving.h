// Every interleaving of two programs that share a ring, one access at a time, under sequential
// consistency or with a store buffer for each (x86-TSO). Programs are ordinary code over a memory
// policy; to take one step, a program is run again from its start with what it has read so far, up
// to its next access. States that were met before are not explored again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "vmbus/ring_memory.h"

namespace interleaving {

enum class Order : std::uint8_t { kSequential, kStoreBuffers };

/// How the memory policy breaks the code that runs over it.
struct Mutation {
  /// The fence that follows a store to this word does nothing.
  std::optional<vmbus::RingWord> skipped_fence;
  /// The write index becomes visible before the data.
  bool index_before_data = false;
};

constexpr std::size_t kActors = 2;
constexpr std::size_t kWordCount = 17;  // offsets 0 to 64 of the control page

struct Store {
  std::uint32_t offset = 0;  // of a word: its index; of data: kWordCount and up
  std::vector<std::uint8_t> bytes;
  std::uint32_t value = 0;
};

struct Actor {
  std::vector<std::uint64_t> history;  // what each access so far returned
  std::deque<Store> buffer;
  bool finished = false;
  bool next_is_fence = false;
  bool next_is_sleep = false;
};

struct State {
  std::array<std::uint32_t, kWordCount> words{};
  std::vector<std::uint8_t> data;
  std::array<bool, kActors> signalled{};
  std::array<Actor, kActors> actors;
};

/// The policy that a program runs over, and its way to sleep and to signal.
class Port {
 public:
  struct Stop {};  // thrown at the access after the last one granted

  Port(State& state, std::size_t actor, Order order, Mutation mutation, bool grant);

  [[nodiscard]] std::uint32_t data_size() const;
  std::uint32_t load_u32(vmbus::RingWord word);
  void store_u32(vmbus::RingWord word, std::uint32_t value);
  void fence();
  void copy_in(std::uint32_t offset, std::span<const std::byte> from);
  void copy_out(std::uint32_t offset, std::span<std::byte> to);

  /// Waits for the other's signal and takes it.
  void sleep();
  /// Signals the other.
  void signal();

 private:
  /// Whether this access was done in an earlier step; its results are taken from the history.
  bool replayed(bool is_fence, bool is_sleep);
  void record(std::uint64_t result);
  std::uint64_t next_result();
  void put(Store store);

  State& state_;
  Actor& actor_;
  std::size_t index_;
  Order order_;
  Mutation mutation_;
  bool grant_;
  std::size_t position_ = 0;
  vmbus::RingWord last_stored_ = vmbus::RingWord::kFeatureBits;
  std::vector<Store> held_back_;
};

/// Ring code takes its policy by value: a handle to the port of the step.
class PortMemory {
 public:
  explicit PortMemory(Port& port) : port_(&port) {}
  [[nodiscard]] std::uint32_t data_size() const { return port_->data_size(); }
  std::uint32_t load_u32(vmbus::RingWord word) { return port_->load_u32(word); }
  void store_u32(vmbus::RingWord word, std::uint32_t value) { port_->store_u32(word, value); }
  void fence() { port_->fence(); }
  void copy_in(std::uint32_t offset, std::span<const std::byte> from) {
    port_->copy_in(offset, from);
  }
  void copy_out(std::uint32_t offset, std::span<std::byte> to) { port_->copy_out(offset, to); }

 private:
  Port* port_;
};

/// Thrown by a program that sees what must not be.
struct Violation {
  std::string what;
};

using Program = std::function<void(Port&)>;

struct Outcome {
  std::size_t states = 0;
  /// Somebody sleeps and nobody will signal.
  bool lost_wake_up = false;
  std::optional<std::string> violation;
  [[nodiscard]] bool clean() const { return !lost_wake_up && !violation; }
};

/// Explores everything, or up to the first failure.
[[nodiscard]] Outcome explore(State start, const std::array<Program, kActors>& programs,
                              Order order, Mutation mutation);

}  // namespace interleaving
