// The operations of machine/testing.h: decisions, properties, traces, lock order.
#include "machine/testing.h"

#include <algorithm>
#include <string>

#include "sim/computer.h"
#include "sim/trace_recorder.h"

namespace machine {

using sim::Computer;
using sim::Operation;

namespace {

Computer& computer() { return *sim::current_computer; }

}  // namespace

std::uint32_t choose(const Site& site, std::uint32_t domain) {
  Computer& self = computer();
  if (domain == 0) {
    self.violation("the seam is used as declared", std::string("an empty choice: ") + site.name());
  }
  const std::uint32_t value = self.decide(site, domain);
  return static_cast<std::uint32_t>(self.record(Operation::kChoose, site.id(), domain, value)) %
         domain;
}

void always(const Site& property, bool condition, std::uint64_t a, std::uint64_t b) {
  Computer& self = computer();
  ++self.properties().always.at(property).reached;
  self.record(Operation::kAlways, property.id(), a, condition ? 1 : 0);
  if (!condition) [[unlikely]] {
    self.violation(property.name(), "a = " + std::to_string(a) + ", b = " + std::to_string(b));
  }
}

void sometimes(const Site& property, bool condition) {
  Computer& self = computer();
  sim::SiteCounters::Counter& counter = self.properties().sometimes.at(property);
  ++counter.reached;
  counter.held += condition ? 1 : 0;
  self.record(Operation::kSometimes, property.id(), 0, condition ? 1 : 0);
}

void trace(const Site& event, Track track, std::uint64_t id, std::uint64_t a, std::uint64_t b) {
  Computer& self = computer();
  sim::SiteCounters::Counter& counter = self.properties().traces.at(event);
  ++counter.reached;
  counter.sum += b;
  self.record(Operation::kTrace, event.id() ^ id, a, b);
  if (self.configuration().on_trace) {
    self.configuration().on_trace({event, track, id, a, b, self.now_ns()});
  }
  if (sim::TraceRecorder* const recorder = self.trace_recorder()) {
    recorder->add(self.now_ns(), event, track, track == Track::kProcessor ? self.here().index : id,
                  a, b);
  }
}

void lock_wanted(std::uint32_t rank) {
  Computer& self = computer();
  self.record(Operation::kLockWanted, rank, 0, 0);
  const std::vector<sim::HeldLock>& held = self.context().locks;
  if (rank == 0) {
    self.violation("lock order", "rank 0 is reserved");
  }
  if (!held.empty() && held.back().rank >= rank) {
    self.violation("lock order", "a lock of rank " + std::to_string(rank) +
                                     " is wanted while one of rank " +
                                     std::to_string(held.back().rank) + " is held");
  }
}

void lock_acquired(std::uint32_t rank, const void* lock) {
  Computer& self = computer();
  self.record(Operation::kLockAcquired, rank, 0, 0);
  self.context().locks.push_back({rank, lock});
}

void lock_released(std::uint32_t rank, const void* lock) {
  Computer& self = computer();
  self.record(Operation::kLockReleased, rank, 0, 0);
  std::vector<sim::HeldLock>& held = self.context().locks;
  const auto found = std::ranges::find(held, lock, &sim::HeldLock::lock);
  if (found == held.end()) {
    self.violation("lock order", "a lock of rank " + std::to_string(rank) +
                                     " is released by a processor that does not hold it");
  }
  held.erase(found);
}

}  // namespace machine
