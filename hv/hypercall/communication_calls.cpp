// Ports, connections, messages and events (TLFS "Inter-Partition Communication").
#include <algorithm>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

bool is_id(std::uint32_t id) { return id <= kPortIdMax; }

/// The other side of a port or connection: any active partition that the caller may name.
std::expected<Partition*, Status> find_peer(const CallContext& context, PartitionId id) {
  Partition* found =
      id == kPartitionIdSelf ? &context.caller : context.hypervisor.find_partition(id);
  if (found == nullptr) {
    return std::unexpected(Status::kInvalidPartitionId);
  }
  if (found->state != PartitionState::kActive) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  return found;
}

void drop_messages(Partition& partition, const Port& port) {
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const machine::LockGuard guard(vp->lock);
      vp->synic.drop(port.messages);
    }
  }
}

/// Whether a VP takes what a port of this type sends to its SINT.
bool takes(VirtualProcessor& vp, const PortInfo& info) {
  const machine::LockGuard guard(vp.lock);
  return info.type == PortType::kMessage ? vp.synic.accepts_messages(info.sint)
                                         : vp.synic.accepts_events(info.sint);
}

/// The virtual processor that a port's messages or events go to.
std::expected<VirtualProcessor*, Status> find_receiver(const Partition& partition,
                                                       const PortInfo& info) {
  if (info.vp != kVpIndexAny) {
    VirtualProcessor* vp = partition.vp(info.vp);
    if (vp == nullptr) {
      return std::unexpected(Status::kInvalidVpIndex);
    }
    if (!takes(*vp, info)) {
      return std::unexpected(Status::kInvalidSynicState);
    }
    return vp;
  }
  bool any = false;
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr && takes(*vp, info)) {
      return vp;
    }
    any = any || vp != nullptr;
  }
  return std::unexpected(any ? Status::kInvalidSynicState : Status::kInvalidVpIndex);
}

struct Route {
  Port* port = nullptr;
  VirtualProcessor* receiver = nullptr;
};

/// From a connection of the caller to where it leads. Under the communication lock.
std::expected<Port*, Status> find_port(CallContext& context, ConnectionId id, PortType type) {
  const Connection* connection =
      is_id(static_cast<std::uint32_t>(id)) ? context.caller.connections.find(id) : nullptr;
  if (connection == nullptr) {
    return std::unexpected(Status::kInvalidConnectionId);
  }
  if (connection->port == nullptr || connection->port->info.type != type) {
    return std::unexpected(Status::kInvalidPortId);
  }
  return connection->port;
}

std::expected<Route, Status> find_route(CallContext& context, Port& port) {
  const Partition* owner = context.hypervisor.find_partition(port.partition);
  if (owner == nullptr) {
    return std::unexpected(Status::kInvalidPortId);
  }
  const auto receiver = find_receiver(*owner, port.info);
  if (!receiver) {
    return std::unexpected(receiver.error());
  }
  return Route{&port, *receiver};
}

}  // namespace

CallOutcome create_port(CallContext& context) {
  const auto input = context.header<CreatePortInput>();
  if (const Status status = check_port(input.port, input.info); status != Status::kSuccess) {
    return fail(status);
  }
  if (input.port_vtl != 0 || input.min_connection_vtl != 0 || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, input.port_partition, Privilege::kCreatePort);
  if (!owner) {
    return fail(owner.error());
  }
  const auto peer = find_peer(context, input.connection_partition);
  if (!peer) {
    return fail(peer.error());
  }
  if (*peer == *owner) {
    return fail(Status::kInvalidPartitionId);
  }
  if (input.info.vp != kVpIndexAny && (*owner)->vp(input.info.vp) == nullptr) {
    return fail(Status::kInvalidVpIndex);
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  const auto port = (*owner)->ports.create(input.port, (*owner)->id, (*peer)->id, input.info);
  return fail(port ? Status::kSuccess : port.error());
}

CallOutcome delete_port(CallContext& context) {
  const auto input = context.header<DeletePortInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, input.partition, Privilege::kCreatePort);
  if (!owner) {
    return fail(owner.error());
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  Port* port =
      is_id(static_cast<std::uint32_t>(input.port)) ? (*owner)->ports.find(input.port) : nullptr;
  if (port == nullptr) {
    return fail(Status::kInvalidPortId);
  }
  drop_messages(**owner, *port);
  (*owner)->ports.remove(*port);
  return {};
}

CallOutcome connect_port(CallContext& context) {
  const auto input = context.header<ConnectPortInput>();
  if (const Status status = check_connection(input.connection, input.info);
      status != Status::kSuccess) {
    return fail(status);
  }
  if (input.connection_vtl != 0 || input.reserved1 != 0) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, input.connection_partition, Privilege::kConnectPort);
  if (!owner) {
    return fail(owner.error());
  }
  const auto peer = find_peer(context, input.port_partition);
  if (!peer) {
    return fail(peer.error());
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  Port* port =
      is_id(static_cast<std::uint32_t>(input.port)) ? (*peer)->ports.find(input.port) : nullptr;
  if (port == nullptr) {
    return fail(Status::kInvalidPortId);
  }
  return fail((*owner)->connections.connect(input.connection, (*owner)->id, input.info, *port));
}

CallOutcome disconnect_port(CallContext& context) {
  const auto input = context.header<DisconnectPortInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, input.partition, Privilege::kConnectPort);
  if (!owner) {
    return fail(owner.error());
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  Connection* connection = is_id(static_cast<std::uint32_t>(input.connection))
                               ? (*owner)->connections.find(input.connection)
                               : nullptr;
  // A doorbell is not among the connections that this hypervisor has.
  if (connection == nullptr || (input.flags & DisconnectPortInput::kDoorbell) != 0) {
    return fail(Status::kInvalidConnectionId);
  }
  (*owner)->connections.remove(*connection);
  return {};
}

CallOutcome post_message(CallContext& context) {
  const auto input = context.header<PostMessageInput>();
  if (const Status status = check_message(input.type, input.payload_size);
      status != Status::kSuccess) {
    return fail(status);
  }
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  const auto port = find_port(context, input.connection, PortType::kMessage);
  if (!port) {
    return fail(port.error());
  }
  const auto route = find_route(context, **port);
  if (!route) {
    return fail(route.error());
  }
  const auto message =
      (*port)->fill_buffer(input.type, std::span(input.payload).first(input.payload_size));
  if (!message) {
    return fail(message.error());
  }
  hv::post_message(context.hypervisor, *route->receiver, (*port)->info.sint, **message);
  return {};
}

CallOutcome signal_event(CallContext& context) {
  const auto input = context.header<SignalEventInput>();
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  const auto port = find_port(context, input.connection, PortType::kEvent);
  if (!port) {
    return fail(port.error());
  }
  const PortInfo& info = (*port)->info;
  if (input.flag >= info.flag_count) {
    return fail(Status::kInvalidParameter);
  }
  const auto route = find_route(context, **port);
  if (!route) {
    return fail(route.error());
  }
  const std::uint32_t flag = static_cast<std::uint32_t>(info.base_flag) + input.flag;
  return fail(hv::signal_event(context.hypervisor, *route->receiver, info.sint, flag));
}

}  // namespace hv::calls
