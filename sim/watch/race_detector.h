// The watch on plain memory: what passes neither the seam nor the EPT.
//
// Code above the seam that was built with -fsanitize=thread reports each of its plain accesses here
// (thread_sanitizer_abi.cpp); the simulator reports what orders them: locks, shared words, words of
// simulated memory, interrupts. Two accesses to one byte by two actors, one of them a write, that
// nothing orders are a race. A run has one schedule, so what is found is found again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace sim::watch {

/// A processor as a program sees it: the hypervisor on one logical processor, or one VP's guest.
/// Dense, from 0.
using ActorIndex = std::uint32_t;

/// For each actor, how much of its past is known to have happened before.
class VectorClock {
 public:
  [[nodiscard]] std::uint32_t of(ActorIndex actor) const {
    return actor < ticks_.size() ? ticks_[actor] : 0;
  }
  void advance(ActorIndex actor);
  void join(const VectorClock& other);

 private:
  std::vector<std::uint32_t> ticks_;
};

struct PlainAccess {
  ActorIndex actor = 0;
  std::uint32_t tick = 0;
  /// Which bytes of the aligned 8 the access touched, a bit each.
  std::uint8_t bytes = 0;
  bool is_write = false;
  /// Return address into the code that made the access.
  std::uintptr_t program_counter = 0;
};

struct Race {
  PlainAccess earlier;
  PlainAccess later;
};

class RaceDetector {
 public:
  /// The accesses that follow are made by `actor`.
  void switch_to(ActorIndex actor);
  /// The same, but its frames lie on the stack of another: what it touches there is its own, and
  /// has nothing to do with what the other had at the same place.
  void switch_to_borrower(ActorIndex actor, std::uintptr_t stack, std::size_t size_bytes);

  /// A plain access of up to 4096 bytes at any alignment.
  void access(std::uintptr_t address, std::size_t size_bytes, bool is_write,
              std::uintptr_t program_counter);

  /// The current actor has seen whatever was published through `object` (an address or any key).
  void acquire(std::uintptr_t object);
  /// The current actor publishes its past through `object`.
  void release(std::uintptr_t object);
  /// A new program begins on `actor`: everything that any actor did before is visible to it.
  void begin(ActorIndex actor);
  /// The bytes are new: what was there before is no longer of interest.
  void forget(std::uintptr_t address, std::size_t size_bytes);

  /// Each pair of places once, in order of discovery.
  [[nodiscard]] const std::vector<Race>& races() const { return races_; }
  [[nodiscard]] std::uint64_t accesses() const { return accesses_; }

 private:
  using Cell = std::vector<PlainAccess>;

  VectorClock& clock_of(ActorIndex actor);
  void access_cell(std::uintptr_t cell_address, const PlainAccess& access);
  void report(const PlainAccess& earlier, const PlainAccess& later);

  ActorIndex current_ = 0;
  std::uintptr_t borrowed_stack_ = 0;
  std::size_t borrowed_bytes_ = 0;
  std::uint64_t accesses_ = 0;
  std::vector<VectorClock> clocks_;
  std::map<std::uintptr_t, VectorClock> published_;
  // Looked up only, never walked: the order of addresses has no effect.
  std::map<std::uintptr_t, Cell> cells_;
  std::vector<Race> races_;
};

/// The detector of the world that this operating system thread runs; null where nothing is watched.
[[nodiscard]] RaceDetector* current_detector();
void set_current_detector(RaceDetector* detector);

}  // namespace sim::watch
