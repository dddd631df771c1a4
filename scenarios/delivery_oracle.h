// The standing oracle of what must arrive. Of the rings: what one end of a channel sends, the other
// receives once, in order and unaltered, and within its time. Of the disks: no command takes long
// or has to be rescued by its timeout, unless disks may fail. Fed with the trace events of both
// ends (vmbus/packet_trace.h) and of the disks' driver.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "sim/world.h"

namespace scenarios {

class DeliveryOracle {
 public:
  /// Whoever gets nothing done for so long has missed a signal or an interrupt, and was woken by
  /// something else. No device or processor takes half as long; the timeout of the disks' driver,
  /// which would hide it, is longer.
  static constexpr std::uint64_t kLongestWaitNs = 5'000'000'000;
  /// The same where disks fail, which others wait for: several such timeouts in a row.
  static constexpr std::uint64_t kLongestWaitForFailingNs = 120'000'000'000;

  explicit DeliveryOracle(bool disks_fail = false)
      : disks_fail_(disks_fail),
        longest_wait_ns_(disks_fail ? kLongestWaitForFailingNs : kLongestWaitNs) {}

  void take(const sim::TraceEvent& event);

  /// After the run: puts what was checked, and what was found, into its result. `may_be_cut_short`
  /// as in Expectation.
  void conclude(sim::RunResult& result, bool may_be_cut_short) const;

 private:
  struct Packet {
    std::uint64_t digest = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t sent_ns = 0;
  };
  /// One direction of a channel.
  struct Ring {
    std::deque<Packet> under_way;
    std::uint64_t received = 0;
    bool closed = false;
  };
  using Name = std::pair<std::uint64_t, bool>;  // the channel's track; whether to the server

  void end_rings(std::uint64_t track, bool opens_again);
  void send(const Name& name, const sim::TraceEvent& event);
  void receive(const Name& name, const sim::TraceEvent& event);
  void report(const char* property, std::uint64_t virtual_ns, std::string message);

  bool disks_fail_;
  std::uint64_t longest_wait_ns_;
  std::map<Name, Ring> rings_;
  std::map<std::uint64_t, std::uint64_t> issued_ns_;  // by the disks' interrupt line
  std::uint64_t disk_commands_ = 0;
  std::uint64_t received_ = 0;
  std::vector<sim::Violation> violations_;
};

}  // namespace scenarios
