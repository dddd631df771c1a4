// Interrupts of devices (TLFS HvCallMapDeviceInterrupt, HvCallUnmapDeviceInterrupt,
// HvCallRetargetDeviceInterrupt).
#include <bit>
#include <optional>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/hypercall/vp_set.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

using Target = DeviceInterruptTarget;

/// A partition acts on its own interrupts only.
Status check_caller(const CallContext& context, PartitionId id) {
  if (id == kPartitionIdSelf || id == context.caller.id) {
    return Status::kSuccess;
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  return context.hypervisor.find_partition(id) != nullptr ? Status::kAccessDenied
                                                          : Status::kInvalidPartitionId;
}

bool is_legal(const Target& target) {
  return target.vector >= Target::kMinVector && target.vector <= Target::kMaxVector &&
         (target.flags & ~(Target::kMulticast | Target::kProcessorSet)) == 0;
}

bool is_legal(const InterruptEntry& entry) {
  const bool known =
      entry.source == InterruptSource::kMsi || entry.source == InterruptSource::kIoApic;
  return known && entry.reserved == 0 && DeviceInterrupts::has(entry.vector());
}

/// The VPs that there can be, as the bits of the one bank that has any. The variable header of a
/// set begins with its bank mask.
std::expected<std::uint64_t, Status> processors_of(const CallContext& context,
                                                   const Target& target) {
  const std::uint32_t qwords = context.variable_qword_count();
  if ((target.flags & Target::kProcessorSet) == 0) {
    return qwords == 0 ? std::expected<std::uint64_t, Status>(target.processors)
                       : std::unexpected(Status::kInvalidHypercallInput);
  }
  if (target.processors == VpSet::kFormatAll) {
    return ~std::uint64_t{0};
  }
  if (target.processors != VpSet::kFormatSparse) {
    return std::unexpected(Status::kInvalidParameter);
  }
  const std::uint64_t mask = qwords != 0 ? context.variable_qword(0) : 0;
  if (qwords != 1 + call_arithmetic::count_bits(mask)) {
    return std::unexpected(Status::kInvalidHypercallInput);
  }
  constexpr std::uint64_t kFirstBank = 1;
  return (mask & kFirstBank) != 0 ? context.variable_qword(1) : 0;
}

/// Of a legal target.
std::expected<DeviceInterruptRoute, Status> route_to(const CallContext& context,
                                                     const Target& target) {
  const auto processors = processors_of(context, target);
  if (!processors) {
    return std::unexpected(processors.error());
  }
  return DeviceInterruptRoute{*processors, static_cast<std::uint8_t>(target.vector),
                              (target.flags & Target::kMulticast) != 0};
}

/// Under the communication lock.
bool reaches_any(const Partition& partition, const DeviceInterruptRoute& route) {
  bool found = false;
  for_each_bit(route.processors, [&](std::uint32_t index) {
    found = found || partition.vp(VpIndex{index}) != nullptr;
  });
  return found;
}

bool is_legal(const MapDeviceInterruptInput& input) {
  using Input = MapDeviceInterruptInput;
  return input.flags == 0 && input.interrupt_type == Input::kFixed &&
         input.trigger_mode <= Input::kLevel && std::has_single_bit(input.vector_count) &&
         input.vector_count <= Input::kMaxVectors && input.reserved == 0 &&
         is_legal(input.target) &&
         input.target.vector + input.vector_count - 1 <= Target::kMaxVector;
}

/// A message is an edge, and an entry of an IOAPIC has one vector.
bool can_signal(InterruptSource source, const MapDeviceInterruptInput& input) {
  return source == InterruptSource::kMsi ? input.trigger_mode == MapDeviceInterruptInput::kEdge
                                         : input.vector_count == 1;
}

/// The first processor takes the interrupts of devices (SDM vol. 3 10.11).
InterruptEntry entry_for(const CallContext& context, InterruptSource source, std::uint8_t vector,
                         Trigger trigger) {
  constexpr std::uint64_t kEntryLevel = 1u << 15;
  constexpr std::uint64_t kMessageAddress = 0xFEE0'0000;
  constexpr unsigned kMessageDestinationShift = 12;
  constexpr unsigned kEntryDestinationShift = 56;
  const std::uint64_t destination = context.hypervisor.processor(0).apic_id();
  const std::uint64_t data = source == InterruptSource::kMsi
                                 ? (std::uint64_t{vector} << 32) | kMessageAddress |
                                       (destination << kMessageDestinationShift)
                                 : (destination << kEntryDestinationShift) | vector |
                                       (trigger == Trigger::kLevel ? kEntryLevel : 0);
  return {source, 0, data};
}

/// Nothing for a device that signals in neither way.
std::optional<InterruptSource> source_of(std::uint64_t device) {
  switch (device_type(device)) {
    case DeviceType::kPci:
      return InterruptSource::kMsi;
    case DeviceType::kIoApic:
      return InterruptSource::kIoApic;
    case DeviceType::kLogical:
    case DeviceType::kAcpi:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

CallOutcome map_device_interrupt(CallContext& context) {
  const auto input = context.header<MapDeviceInterruptInput>();
  if (const Status status = check_caller(context, input.partition); status != Status::kSuccess) {
    return fail(status);
  }
  if (!is_legal(input)) {
    return fail(Status::kInvalidParameter);
  }
  const std::optional<InterruptSource> source = source_of(input.device);
  if (!source) {
    return fail(Status::kInvalidDeviceId);
  }
  if (!can_signal(*source, input)) {
    return fail(Status::kInvalidParameter);
  }
  const auto route = route_to(context, input.target);
  if (!route) {
    return fail(route.error());
  }
  const Trigger trigger =
      input.trigger_mode == MapDeviceInterruptInput::kLevel ? Trigger::kLevel : Trigger::kEdge;
  const DeviceInterruptSource mapped{input.device, trigger,
                                     static_cast<std::uint8_t>(input.vector_count)};
  std::optional<std::uint8_t> vector;
  {
    const machine::LockGuard guard(context.hypervisor.communication_lock);
    if (!reaches_any(context.caller, *route)) {
      return fail(Status::kInvalidVpIndex);
    }
    vector = context.hypervisor.device_interrupts.map(mapped, *route);
  }
  if (!vector) {
    return fail(Status::kNoResources);
  }
  MapDeviceInterruptOutput output;
  output.entry = entry_for(context, *source, *vector, trigger);
  return fail(context.put_output(output));
}

CallOutcome unmap_device_interrupt(CallContext& context) {
  const auto input = context.header<UnmapDeviceInterruptInput>();
  if (const Status status = check_caller(context, input.partition); status != Status::kSuccess) {
    return fail(status);
  }
  if (!is_legal(input.entry)) {
    return fail(Status::kInvalidParameter);
  }
  DeviceInterrupts& interrupts = context.hypervisor.device_interrupts;
  {
    const machine::LockGuard guard(context.hypervisor.communication_lock);
    if (!interrupts.is_first_of(input.entry.vector(), input.device)) {
      return fail(Status::kInvalidDeviceId);
    }
    interrupts.unmap(input.entry.vector());
  }
  if (interrupts.any_held()) {
    end_device_interrupts(context.hypervisor);
  }
  return {};
}

/// All devices are the root's. What a child names is a device that its parent has to know.
CallOutcome retarget_device_interrupt(CallContext& context) {
  const auto input = context.header<RetargetDeviceInterruptInput>();
  if (const Status status = check_caller(context, input.partition); status != Status::kSuccess) {
    return fail(status);
  }
  if (!is_legal(input.entry) || !is_legal(input.target) || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  const auto route = route_to(context, input.target);
  if (!route) {
    return fail(route.error());
  }
  if (!context.caller.is_root()) {
    return fail(Status::kInvalidDeviceId);
  }
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  DeviceInterrupts& interrupts = context.hypervisor.device_interrupts;
  const std::uint8_t vector = input.entry.vector();
  if (interrupts.device(vector).value_or(input.device) != input.device) {
    return fail(Status::kInvalidDeviceId);
  }
  if (!reaches_any(context.caller, *route)) {
    return fail(Status::kInvalidVpIndex);
  }
  interrupts.retarget(vector, *route);
  return {};
}

}  // namespace hv::calls
