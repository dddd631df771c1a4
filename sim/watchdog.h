// Ends a run whose program does not reach the seam, by wall time. It stands outside of the
// simulated state: it can only give a run up, never change what a run does.
#pragma once

namespace sim {

class Computer;

class Watchdog {
 public:
  /// Watches the run on the calling thread until destroyed.
  explicit Watchdog(const Computer& computer);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  const Computer& computer_;
};

}  // namespace sim
