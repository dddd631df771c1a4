// The pages of monitor ports (TLFS 2.0a "Monitored Notifications"): the port's owner pays for one,
// and it and the sender see the same page, each as an overlay where it said.
//
// All under the management lock, without the communication lock, which these take.
#pragma once

#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/status.h"

namespace hv {

class Connection;
class Hypervisor;
class Partition;
class Port;

/// A monitor port of `owner` for `sender`, with its page. PortTable::create()'s statuses, and
/// GpaSpace::show_overlay()'s for its place. Nothing changed if it fails.
[[nodiscard]] Status create_monitor_port(Hypervisor& hypervisor, Partition& owner, PortId id,
                                         const Partition& sender, const PortInfo& info);

/// Connects `sender` to a monitor port, and shows it the page. ConnectionTable::connect()'s
/// statuses, and GpaSpace::show_overlay()'s. Nothing changed if it fails.
[[nodiscard]] Status connect_monitor(Hypervisor& hypervisor, Partition& sender, ConnectionId id,
                                     const ConnectionInfo& info, Port& port);

/// Ends a port of any type: its messages are dropped, its connection leads nowhere from now on.
/// What was pending in a monitor's page is passed on first; then nobody sees the page any more.
void end_port(Hypervisor& hypervisor, Partition& owner, Port& port);

/// Ends a connection of any type; what was pending in a monitor's page is passed on.
void end_connection(Hypervisor& hypervisor, Partition& sender, Connection& connection);

}  // namespace hv
