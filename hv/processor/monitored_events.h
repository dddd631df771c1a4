// Passes on what guests signal by bits in a monitor page (TLFS 2.0a "Monitored Notifications").
//
// Who sets bits is the sender: its pages are looked at while one of its virtual processors runs, at
// the least latency of the groups that are enabled and at least once a tick, and once more whenever
// one is put down. Nothing looks while none runs, but for bits of groups that are disabled, which
// wait for their group: for those a virtual processor that halts wakes once a tick.
#pragma once

#include <cstdint>

namespace hv {

class Connection;
class Hypervisor;
class Partition;

struct MonitorLook {
  /// In 100 ns, of the groups that are enabled; 0 if none has one.
  std::uint16_t least_latency = 0;
  /// Bits are set in a group that is disabled.
  bool some_wait = false;
};

/// Passes on what is pending in the groups that are enabled: as SignalEvent by `sender` through the
/// connection that the page names, or lost where SignalEvent would be refused. Nothing is done for
/// a connection that leads nowhere. Under the communication lock.
MonitorLook pass_on_monitored(Hypervisor& hypervisor, Partition& sender, Connection& monitor);

/// Looks at all monitor pages of a sender that has some, and notes when to look again
/// (Partition::monitors_due). Takes the communication lock. Whether some bits wait for their group.
bool look_at_monitors(Hypervisor& hypervisor, Partition& sender, std::uint64_t now);

}  // namespace hv
