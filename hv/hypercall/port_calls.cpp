// Ports and connections (TLFS "Inter-Partition Communication").
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/processor/monitor_pages.h"
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

Port* find_port(Partition& owner, PortId id) {
  return is_id(static_cast<std::uint32_t>(id)) ? owner.ports.find(id) : nullptr;
}

/// Whether a port may name this virtual processor.
bool is_target(const Partition& owner, VpIndex vp) {
  return vp == kVpIndexAny || owner.vp(vp) != nullptr;
}

/// Runs action(owner, port), which answers a status, on a port that the caller may name. Under the
/// management lock.
template <class Action>
Status with_port(CallContext& context, PartitionId partition, PortId id, const Action& action) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, partition, Privilege::kCreatePort);
  if (!owner) {
    return owner.error();
  }
  Port* const port = find_port(**owner, id);
  return port == nullptr ? Status::kInvalidPortId : action(**owner, *port);
}

/// A monitor port has no target.
std::expected<std::uint64_t, Status> read_property(const Port& port, PortProperty property) {
  switch (property) {
    case PortProperty::kPostCount:
      return port.post_count;
    case PortProperty::kPreferredTargetVp:
      if (port.info.type != PortType::kMonitor) {
        return static_cast<std::uint64_t>(port.info.vp);
      }
      break;
  }
  return std::unexpected(Status::kUnknownProperty);  // a guest chose the number
}

Status write_property(const Partition& owner, Port& port, PortProperty property,
                      std::uint64_t value) {
  const auto known = read_property(port, property);
  if (!known) {
    return known.error();
  }
  if (property == PortProperty::kPostCount) {
    port.post_count = value;
    return Status::kSuccess;
  }
  const auto vp = VpIndex{static_cast<std::uint32_t>(value)};
  if ((value >> 32) != 0 || !is_target(owner, vp)) {
    return Status::kInvalidVpIndex;
  }
  port.info.vp = vp;
  return Status::kSuccess;
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
  // Nobody connects to itself by itself; its parent may do that for it.
  if (*peer == *owner && *owner == &context.caller) {
    return fail(Status::kInvalidPartitionId);
  }
  if (input.info.type == PortType::kDoorbell && !(*owner)->is_root()) {
    return fail(Status::kInvalidParameter);
  }
  if (input.info.type == PortType::kMonitor) {
    return fail(create_monitor_port(context.hypervisor, **owner, input.port, **peer, input.info));
  }
  if (!is_target(**owner, input.info.vp)) {
    return fail(Status::kInvalidVpIndex);
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  const auto port = (*owner)->ports.create(input.port, (*owner)->id, (*peer)->id, input.info);
  if (!port) {
    return fail(port.error());
  }
  (*port)->owner = *owner;
  return {};
}

CallOutcome delete_port(CallContext& context) {
  const auto input = context.header<DeletePortInput>();
  if (input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  return fail(with_port(context, input.partition, input.port, [&](Partition& owner, Port& port) {
    end_port(context.hypervisor, owner, port);
    return Status::kSuccess;
  }));
}

CallOutcome connect_port(CallContext& context) {
  const auto input = context.header<ConnectPortInput>();
  if (const Status status = check_connection(input.connection, input.info);
      status != Status::kSuccess) {
    return fail(status);
  }
  if (input.connection_vtl != 0 || input.reserved1 != 0 ||
      input.reserved0 != std::array<std::uint8_t, 3>{}) {
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
  Port* const port = find_port(**peer, input.port);
  if (port == nullptr) {
    return fail(Status::kInvalidPortId);
  }
  if (input.info.type == PortType::kMonitor) {
    return fail(connect_monitor(context.hypervisor, **owner, input.connection, input.info, *port));
  }
  const machine::LockGuard communication(context.hypervisor.communication_lock);
  if (input.info.type == PortType::kDoorbell) {
    return fail((*owner)->doorbells.connect(input.connection, (*owner)->id, input.info, *port));
  }
  return fail((*owner)->connections.connect(input.connection, (*owner)->id, input.info, *port));
}

CallOutcome disconnect_port(CallContext& context) {
  const auto input = context.header<DisconnectPortInput>();
  if ((input.flags & ~DisconnectPortInput::kDoorbell) != 0) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_owner(context, input.partition, Privilege::kConnectPort);
  if (!owner) {
    return fail(owner.error());
  }
  if ((input.flags & DisconnectPortInput::kDoorbell) != 0) {
    const machine::LockGuard communication(context.hypervisor.communication_lock);
    Doorbell* const doorbell = (*owner)->doorbells.find(input.connection);
    if (doorbell == nullptr) {
      return fail(Status::kInvalidConnectionId);
    }
    (*owner)->doorbells.remove(*doorbell);
    return {};
  }
  Connection* connection = is_id(static_cast<std::uint32_t>(input.connection))
                               ? (*owner)->connections.find(input.connection)
                               : nullptr;
  if (connection == nullptr) {
    return fail(Status::kInvalidConnectionId);
  }
  end_connection(context.hypervisor, **owner, *connection);
  return {};
}

CallOutcome get_port_property(CallContext& context) {
  const auto input = context.header<GetPortPropertyInput>();
  if (input.reserved0 != 0 || input.reserved1 != 0) {
    return fail(Status::kInvalidParameter);
  }
  GetPortPropertyOutput output;
  const Status status =
      with_port(context, input.partition, input.port, [&](Partition&, const Port& port) {
        const machine::LockGuard communication(context.hypervisor.communication_lock);
        const auto value = read_property(port, input.property);
        output.value = value.value_or(0);
        return value ? Status::kSuccess : value.error();
      });
  return fail(status == Status::kSuccess ? context.put_output(output) : status);
}

/// What comes through the port from now on goes to another virtual processor; what the old one has
/// got stays there.
CallOutcome set_port_property(CallContext& context) {
  const auto input = context.header<SetPortPropertyInput>();
  if (input.reserved0 != 0 || input.reserved1 != 0) {
    return fail(Status::kInvalidParameter);
  }
  return fail(with_port(context, input.partition, input.port, [&](Partition& owner, Port& port) {
    const machine::LockGuard communication(context.hypervisor.communication_lock);
    return write_property(owner, port, input.property, input.value);
  }));
}

}  // namespace hv::calls
