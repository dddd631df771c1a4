// The standing oracle of the rings: what one end of a channel sends, the other receives once, in
// order and unaltered, and within its time. Fed with the trace events of both ends
// (vmbus/packet_trace.h).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "sim/world.h"

namespace scenarios {

class PacketOracle {
 public:
  /// A reader that gets nothing done for so long has missed its signal. No device or processor
  /// takes half as long.
  static constexpr std::uint64_t kLongestWaitNs = 60'000'000'000;

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
  };
  using Name = std::pair<std::uint64_t, bool>;  // the channel's track; whether to the server

  void send(const Name& name, const sim::TraceEvent& event);
  void receive(const Name& name, const sim::TraceEvent& event);
  void report(const char* property, std::uint64_t virtual_ns, std::string message);

  std::map<Name, Ring> rings_;
  std::uint64_t received_ = 0;
  std::vector<sim::Violation> violations_;
};

}  // namespace scenarios
