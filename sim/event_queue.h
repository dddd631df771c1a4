// What will happen in a world without a processor's doing: ordered by virtual time, then by the
// order of scheduling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace sim {

inline constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

class EventHandler {
 public:
  /// `token` is what schedule() was given.
  virtual void happen(std::uint64_t token) = 0;

 protected:
  ~EventHandler() = default;
};

class EventQueue {
 public:
  /// Nothing is ever taken back: a handler ignores what is no longer wanted.
  void schedule(std::uint64_t at_ns, EventHandler& handler, std::uint64_t token) {
    heap_.push_back({at_ns, next_sequence_++, &handler, token});
    std::push_heap(heap_.begin(), heap_.end(), later);
    next_ns_ = heap_[0].at_ns;
  }

  [[nodiscard]] std::uint64_t next_ns() const { return next_ns_; }

  /// Takes the next event off the queue and lets it happen.
  void run_next() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    next_ns_ = heap_.empty() ? kNever : heap_[0].at_ns;
    entry.handler->happen(entry.token);
  }

 private:
  struct Entry {
    std::uint64_t at_ns;
    std::uint64_t sequence;
    EventHandler* handler;
    std::uint64_t token;
  };
  static bool later(const Entry& left, const Entry& right) {
    return left.at_ns != right.at_ns ? left.at_ns > right.at_ns : left.sequence > right.sequence;
  }

  std::vector<Entry> heap_;
  std::uint64_t next_ns_ = kNever;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace sim
