#include "sim/watch/race_detector.h"

#include <algorithm>

namespace sim::watch {

namespace {

constexpr std::uintptr_t kCellSize = 8;

thread_local RaceDetector* current = nullptr;

}  // namespace

RaceDetector* current_detector() { return current; }

void set_current_detector(RaceDetector* detector) { current = detector; }

void VectorClock::advance(ActorIndex actor) {
  if (actor >= ticks_.size()) {
    ticks_.resize(actor + 1);
  }
  ++ticks_[actor];
}

void VectorClock::join(const VectorClock& other) {
  if (ticks_.size() < other.ticks_.size()) {
    ticks_.resize(other.ticks_.size());
  }
  for (std::size_t actor = 0; actor < other.ticks_.size(); ++actor) {
    ticks_[actor] = std::max(ticks_[actor], other.ticks_[actor]);
  }
}

VectorClock& RaceDetector::clock_of(ActorIndex actor) {
  while (clocks_.size() <= actor) {
    clocks_.emplace_back();
    clocks_.back().advance(static_cast<ActorIndex>(clocks_.size() - 1));
  }
  return clocks_[actor];
}

void RaceDetector::switch_to(ActorIndex actor) {
  current_ = actor;
  borrowed_bytes_ = 0;
  clock_of(actor);
}

void RaceDetector::switch_to_borrower(ActorIndex actor, std::uintptr_t stack,
                                      std::size_t size_bytes) {
  switch_to(actor);
  borrowed_stack_ = stack;
  borrowed_bytes_ = size_bytes;
}

void RaceDetector::acquire(std::uintptr_t object) {
  if (const auto found = published_.find(object); found != published_.end()) {
    clock_of(current_).join(found->second);
  }
}

void RaceDetector::release(std::uintptr_t object) {
  published_[object].join(clock_of(current_));
  clock_of(current_).advance(current_);
}

void RaceDetector::begin(ActorIndex actor) {
  VectorClock& beginning = clock_of(actor);
  for (ActorIndex other = 0; other < clocks_.size(); ++other) {
    if (other != actor) {
      beginning.join(clocks_[other]);
      clocks_[other].advance(other);
    }
  }
}

void RaceDetector::forget(std::uintptr_t address, std::size_t size_bytes) {
  cells_.erase(cells_.lower_bound(address & ~(kCellSize - 1)),
               cells_.lower_bound(address + size_bytes));
}

void RaceDetector::access(std::uintptr_t address, std::size_t size_bytes, bool is_write,
                          std::uintptr_t program_counter) {
  ++accesses_;
  if (address - borrowed_stack_ < borrowed_bytes_) {
    return;
  }
  const std::uintptr_t end = address + size_bytes;
  for (std::uintptr_t cell = address & ~(kCellSize - 1); cell < end; cell += kCellSize) {
    const std::uintptr_t first = std::max(address, cell) - cell;
    const std::uintptr_t last = std::min(end, cell + kCellSize) - cell;
    const auto bytes = static_cast<std::uint8_t>((1u << last) - (1u << first));
    access_cell(cell,
                {current_, clock_of(current_).of(current_), bytes, is_write, program_counter});
  }
}

void RaceDetector::access_cell(std::uintptr_t cell_address, const PlainAccess& access) {
  Cell& cell = cells_[cell_address];
  const VectorClock& known = clock_of(access.actor);
  for (const PlainAccess& earlier : cell) {
    const bool conflict = (earlier.bytes & access.bytes) != 0 &&
                          (earlier.is_write || access.is_write) && earlier.actor != access.actor;
    if (conflict && earlier.tick > known.of(earlier.actor)) {
      report(earlier, access);
    }
  }
  // What this access covers and comes after can race with nothing that this access does not.
  std::erase_if(cell, [&](const PlainAccess& earlier) {
    const bool covered = (earlier.bytes & ~access.bytes) == 0;
    const bool ordered = earlier.actor == access.actor || earlier.tick <= known.of(earlier.actor);
    return covered && ordered && (access.is_write || !earlier.is_write);
  });
  cell.push_back(access);
}

void RaceDetector::report(const PlainAccess& earlier, const PlainAccess& later) {
  const bool known = std::ranges::any_of(races_, [&](const Race& race) {
    return race.earlier.program_counter == earlier.program_counter &&
           race.later.program_counter == later.program_counter;
  });
  if (!known) {
    races_.push_back({earlier, later});
  }
}

}  // namespace sim::watch
