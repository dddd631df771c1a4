// Messages, events and doorbells (TLFS "Inter-Partition Communication").
#include <bit>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/processor/doorbells.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/port_routes.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

/// The virtual processor of a child that the caller reaches without a port. Under the management
/// lock.
std::expected<VirtualProcessor*, Status> find_direct_target(CallContext& context, PartitionId id,
                                                            VpIndex vp) {
  const auto target = find_active_target(context, id, SelfAllowed::kNever);
  if (!target) {
    return std::unexpected(target.error());
  }
  VirtualProcessor* const found = (*target)->vp(vp);
  if (found == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  return found;
}

}  // namespace

CallOutcome post_message(CallContext& context) {
  const auto& input = context.header_in_place<PostMessageInput>();
  if (const Status status = check_message(input.type, input.payload_size);
      status != Status::kSuccess) {
    return fail(status);
  }
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  const auto route = find_route(context.caller, input.connection, PortType::kMessage);
  if (!route) {
    return fail(route.error());
  }
  Port& port = *route->port;
  const auto payload = std::as_bytes(std::span(input.payload)).first(input.payload_size);
  const Status status = try_receivers(*route->owner, port.info, [&](VirtualProcessor& vp) {
    return post_message_of_port(context.hypervisor, vp, port, input.type, payload);
  });
  port.post_count += status == Status::kSuccess ? 1 : 0;
  return fail(status);
}

CallOutcome signal_event(CallContext& context) {
  const auto input = context.header<SignalEventInput>();
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  return fail(signal_through(context.hypervisor, context.caller, input.connection, input.flag));
}

CallOutcome signal_event_direct(CallContext& context) {
  const auto input = context.header<SignalEventDirectInput>();
  if (input.target_vtl != 0 || input.sint >= kSintCount || input.flag >= kEventFlagsPerSint) {
    return fail(Status::kInvalidParameter);
  }
  SignalEventDirectOutput output;
  {
    const machine::LockGuard guard(context.hypervisor.management_lock);
    const auto target = find_direct_target(context, input.partition, input.vp);
    if (!target) {
      return fail(target.error());
    }
    const SignalResult result =
        hv::signal_event(context.hypervisor, **target, input.sint, input.flag);
    if (result.status != Status::kSuccess) {
      return fail(result.status);
    }
    output.newly_signaled = result.newly_set ? 1 : 0;
  }
  return fail(context.put_output(output));
}

CallOutcome post_message_direct(CallContext& context) {
  const auto input = context.header<PostMessageDirectInput>();
  const auto content = std::bit_cast<Message>(input.message);
  const MessageHeader& header = content.header;
  if (input.target_vtl != 0 || input.sint >= kSintCount || header.type == MessageType::kNone ||
      header.payload_size > kMessagePayloadBytes) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_direct_target(context, input.partition, input.vp);
  if (!target) {
    return fail(target.error());
  }
  QueuedMessage message;
  message.header = header;
  message.payload = content.payload.data();
  return fail(hv::post_message_at_once(context.hypervisor, **target, input.sint, message));
}

CallOutcome notify_port_ring_empty(CallContext& context) {
  const auto input = context.header<NotifyPortRingEmptyInput>();
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  if (input.sint >= kSintCount || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  refill_event_ring(context.hypervisor, context.vp, input.sint);
  return {};
}

}  // namespace hv::calls
