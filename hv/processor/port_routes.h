// From a connection to the virtual processor that takes what is sent through it.
#pragma once

#include <cstdint>
#include <expected>

#include "hv/hypervisor.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/synic/port.h"

namespace hv {

/// Finds the virtual processor of a port that takes what the port sends: try_one(vp) answers
/// kInvalidSynicState if that one does not, and for a port to any the next is tried.
template <class TryOne>
Status try_receivers(const Partition& partition, const PortInfo& info, const TryOne& try_one) {
  if (info.vp != kVpIndexAny) {
    VirtualProcessor* const vp = partition.vp(info.vp);
    return vp == nullptr ? Status::kInvalidVpIndex : try_one(*vp);
  }
  Status status = Status::kInvalidVpIndex;
  for (VirtualProcessor* vp : partition.vps) {
    if (vp == nullptr) {
      continue;
    }
    status = try_one(*vp);
    if (status != Status::kInvalidSynicState) {
      return status;
    }
  }
  return status;
}

struct Route {
  Port* port = nullptr;
  const Partition* owner = nullptr;
};

/// From a connection of `sender` to where it leads. Under the communication lock.
/// kInvalidConnectionId, kInvalidPortId.
[[nodiscard, gnu::always_inline]] inline std::expected<Route, Status> find_route(Partition& sender,
                                                                                 ConnectionId id,
                                                                                 PortType type) {
  const Connection* connection =
      static_cast<std::uint32_t>(id) <= kConnectionIdMax ? sender.connections.find(id) : nullptr;
  if (connection == nullptr) {
    return std::unexpected(Status::kInvalidConnectionId);
  }
  Port* const port = connection->port;
  if (port == nullptr || port->info.type != type) {
    return std::unexpected(Status::kInvalidPortId);
  }
  const Partition* const owner = port->owner;
  if (owner->state != PartitionState::kActive) {
    return std::unexpected(Status::kInvalidPortId);
  }
  return Route{port, owner};
}

/// SignalEvent by `sender`, with its statuses. Under the communication lock.
[[nodiscard, gnu::always_inline]] inline Status signal_through(Hypervisor& hypervisor,
                                                               Partition& sender, ConnectionId id,
                                                               std::uint16_t flag) {
  const auto route = find_route(sender, id, PortType::kEvent);
  if (!route) {
    return route.error();
  }
  Port& port = *route->port;
  if (flag >= port.info.flag_count) {
    return Status::kInvalidParameter;
  }
  const std::uint32_t number = static_cast<std::uint32_t>(port.info.base_flag) + flag;
  const Status status = try_receivers(*route->owner, port.info, [&](VirtualProcessor& vp) {
    return signal_event(hypervisor, vp, port.info.sint, number).status;
  });
  port.post_count += status == Status::kSuccess ? 1 : 0;
  return status;
}

}  // namespace hv
