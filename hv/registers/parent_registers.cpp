#include "hv/registers/parent_registers.h"

#include "hv/cpuid/cpuid_subject.h"
#include "hv/hypercall/property_table.h"
#include "hv/hypervisor.h"
#include "hv/processor/asked_events.h"
#include "hv/tlfs/cpuid.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t number(RegisterName name) { return static_cast<std::uint32_t>(name); }

RegisterValue from_number(std::uint64_t value) { return {value, 0}; }

/// The place of a register among `count` that follow `first`.
std::optional<std::size_t> place(RegisterName name, RegisterName first, std::size_t count) {
  const std::uint32_t distance = number(name) - number(first);
  return distance < count ? std::optional<std::size_t>(distance) : std::nullopt;
}

std::optional<std::size_t> event_place(RegisterName name) {
  return place(name, RegisterName::kPendingEvent0, 2);
}

/// The CPUID leaf that a register shows.
std::optional<std::uint32_t> leaf_of(RegisterName name) {
  switch (name) {
    case RegisterName::kHypervisorVersion:
      return kCpuidVersion;
    case RegisterName::kPrivilegesAndFeatures:
      return kCpuidFeatures;
    case RegisterName::kFeatures:
      return kCpuidRecommendations;
    case RegisterName::kImplementationLimits:
      return kCpuidLimits;
    case RegisterName::kHardwareFeatures:
      return kCpuidHardwareFeatures;
    default:
      return std::nullopt;
  }
}

RegisterValue leaf_value(VirtualProcessor& vp, std::uint32_t leaf) {
  const CpuidSubject subject = cpuid_subject(this_processor(), vp, leaf);
  const machine::CpuidResult result = answer_cpuid(subject, leaf, 0);
  return {result.eax | (static_cast<std::uint64_t>(result.ebx) << 32),
          result.ecx | (static_cast<std::uint64_t>(result.edx) << 32)};
}

std::optional<std::uint64_t> read_memory_type(const MemoryTypeRegisters& types, RegisterName name) {
  if (name == RegisterName::kMtrrCap) {
    return MemoryTypeRegisters::kCapabilities;
  }
  if (name == RegisterName::kMtrrDefType) {
    return types.default_type();
  }
  using Types = MemoryTypeRegisters;
  if (const auto range = place(name, RegisterName::kMtrrPhysBase0, Types::kVariableRanges)) {
    return types.base(*range);
  }
  if (const auto range = place(name, RegisterName::kMtrrPhysMask0, Types::kVariableRanges)) {
    return types.mask(*range);
  }
  if (const auto range = place(name, RegisterName::kMtrrFixed64K, Types::kFixedRanges)) {
    return types.fixed(*range);
  }
  return std::nullopt;
}

std::optional<Status> write_memory_type(MemoryTypeRegisters& types, RegisterName name,
                                        std::uint64_t value) {
  const auto done = [](bool legal) {
    return legal ? Status::kSuccess : Status::kInvalidRegisterValue;
  };
  if (name == RegisterName::kMtrrCap) {
    return Status::kInvalidParameter;
  }
  if (name == RegisterName::kMtrrDefType) {
    return done(types.set_default_type(value));
  }
  using Types = MemoryTypeRegisters;
  if (const auto range = place(name, RegisterName::kMtrrPhysBase0, Types::kVariableRanges)) {
    return done(types.set_base(*range, value));
  }
  if (const auto range = place(name, RegisterName::kMtrrPhysMask0, Types::kVariableRanges)) {
    return done(types.set_mask(*range, value));
  }
  if (const auto range = place(name, RegisterName::kMtrrFixed64K, Types::kFixedRanges)) {
    return done(types.set_fixed(*range, value));
  }
  return std::nullopt;
}

/// What is read without anything of its own behind it.
std::optional<std::uint64_t> read_derived(VirtualProcessor& vp, RegisterName name) {
  switch (name) {
    case RegisterName::kIntermediateCr0:
      return vtx::read_cr0();
    case RegisterName::kIntermediateCr3:
      return vtx::read_cr3();
    case RegisterName::kIntermediateCr4:
      return vtx::read_cr4();
    case RegisterName::kIntermediateCr8:
      return vp.apic.cr8();
    case RegisterName::kVpRootSignalCount:
      return 0;  // the hypervisor schedules; nobody is signalled
    case RegisterName::kRegisterPage:
      return vp.records.register_page.is_mapped()
                 ? OverlayPageRegister(vp.records.register_page.place, true).value()
                 : 0;
    case RegisterName::kInstructionEmulationHints:
    case RegisterName::kTscVirtualOffset:
    case RegisterName::kTscAdjust:
      return 0;  // no hints; the guest's TSC is the processor's
    default:
      return std::nullopt;
  }
}

std::optional<Status> write_derived(RegisterName name, std::uint64_t value) {
  switch (name) {
    case RegisterName::kIntermediateCr0:
    case RegisterName::kIntermediateCr3:
    case RegisterName::kIntermediateCr4:
    case RegisterName::kIntermediateCr8:
    case RegisterName::kVpRootSignalCount:
    case RegisterName::kRegisterPage:
      return Status::kInvalidParameter;
    case RegisterName::kInstructionEmulationHints:
    case RegisterName::kTscVirtualOffset:
    case RegisterName::kTscAdjust:
      return value == 0 ? Status::kSuccess : Status::kInvalidRegisterValue;
    default:
      return std::nullopt;
  }
}

/// The property of the partition that a register is; null if it is none.
const PropertyDescription* property_of(RegisterName name) {
  switch (name) {
    case RegisterName::kEmulatedTimerPeriod:
      return find_property(PartitionProperty::kEmulatedTimerPeriod);
    case RegisterName::kEmulatedTimerControl:
      return find_property(PartitionProperty::kEmulatedTimerControl);
    case RegisterName::kPmTimerAssist:
      return find_property(PartitionProperty::kPmTimerAssist);
    default:
      return nullptr;
  }
}

Status write_property(Hypervisor& hypervisor, VirtualProcessor& vp,
                      const PropertyDescription& property, std::uint64_t value) {
  const machine::LockGuard guard(hypervisor.management_lock);
  const Status status = property.write({this_processor(), vp.partition}, value);
  return status == Status::kPropertyValueOutOfRange ? Status::kInvalidRegisterValue : status;
}

/// Exceptions and external interrupts; the other types only the hypervisor makes.
bool is_legal_event(const RegisterValue& value) {
  const PendingEvent event{value};
  constexpr std::uint64_t kExceptionBits = 0xFFFF'FFFF'FFFF'010F;
  constexpr std::uint64_t kExternalBits = 0xFF0F;
  switch (event.type()) {
    case kPendingEventTypeException:
      return (value.low & ~kExceptionBits) == 0 && event.vector() != machine::x86::kVectorNmi &&
             vtx::can_be_injected(asked_exception(event));
    case kPendingEventTypeExtInt:
      return (value.low & ~kExternalBits) == 0 && value.high == 0;
    default:
      return false;
  }
}

Status write_event(VirtualProcessor& vp, std::size_t which, const RegisterValue& value) {
  const bool pending = (value.low & kPendingEventPresent) != 0;
  if (pending && !is_legal_event(value)) {
    return Status::kInvalidRegisterValue;
  }
  vp.records.pending_events[which] = pending ? value : RegisterValue{};
  vp.events_asked_for = true;
  return Status::kSuccess;
}

Status write_deliverability(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t value) {
  constexpr std::uint64_t kPriority = 0xFull << kNotifyPriorityShift;
  constexpr std::uint64_t kSints = 0xFFFFull << kNotifySintShift;
  if ((value & ~(kNotifyNmi | kNotifyInterrupt | kPriority | kSints)) != 0) {
    return Status::kInvalidRegisterValue;
  }
  {
    const machine::LockGuard guard(vp.lock);
    vp.records.deliverability = value;
    vp.deliverability_awaited = (value & ~kPriority) != 0;
  }
  hypervisor.notify(vp);
  return Status::kSuccess;
}

Status write_dispatch_suspend(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t value) {
  if (value > kSuspended) {
    return Status::kInvalidRegisterValue;
  }
  {
    const machine::LockGuard guard(vp.lock);
    vp.suspend.dispatch = value != 0;
  }
  hypervisor.notify(vp);
  return Status::kSuccess;
}

}  // namespace

std::optional<RegisterValue> read_parent_register(Hypervisor& hypervisor, VirtualProcessor& vp,
                                                  RegisterName name) {
  if (const auto which = event_place(name)) {
    return vp.records.pending_events[*which];
  }
  if (name == RegisterName::kDeliverabilityNotifications ||
      name == RegisterName::kDispatchSuspend) {
    const machine::LockGuard guard(vp.lock);
    return from_number(name == RegisterName::kDispatchSuspend ? (vp.suspend.dispatch ? 1 : 0)
                                                              : vp.records.deliverability);
  }
  if (const auto leaf = leaf_of(name)) {
    return leaf_value(vp, *leaf);
  }
  if (const PropertyDescription* const property = property_of(name)) {
    const machine::LockGuard guard(hypervisor.management_lock);
    return from_number(property->read({this_processor(), vp.partition}));
  }
  if (const auto value = read_memory_type(vp.records.memory_types, name)) {
    return from_number(*value);
  }
  if (const auto value = read_derived(vp, name)) {
    return from_number(*value);
  }
  return std::nullopt;
}

std::optional<Status> write_parent_register(Hypervisor& hypervisor, VirtualProcessor& vp,
                                            RegisterName name, const RegisterValue& value) {
  if (const auto which = event_place(name)) {
    return write_event(vp, *which, value);
  }
  if (name == RegisterName::kDeliverabilityNotifications) {
    return write_deliverability(hypervisor, vp, value.low);
  }
  if (name == RegisterName::kDispatchSuspend) {
    return write_dispatch_suspend(hypervisor, vp, value.low);
  }
  if (leaf_of(name)) {
    return Status::kInvalidParameter;
  }
  if (const PropertyDescription* const property = property_of(name)) {
    return write_property(hypervisor, vp, *property, value.low);
  }
  if (const auto written = write_memory_type(vp.records.memory_types, name, value.low)) {
    return written;
  }
  return write_derived(name, value.low);
}

void end_flush_inhibition(Hypervisor& hypervisor, VirtualProcessor& vp) {
  {
    const machine::LockGuard guard(vp.lock);
    if (!vp.tlb_flush_inhibited) {
      return;
    }
    vp.tlb_flush_inhibited = false;
  }
  const machine::LockGuard guard(hypervisor.communication_lock);
  for (VirtualProcessor* other : vp.partition.vps) {
    if (other == nullptr) {
      continue;
    }
    bool waited = false;
    {
      const machine::LockGuard vp_guard(other->lock);
      waited = other->suspend.flush;
      other->suspend.flush = false;
    }
    if (waited) {
      hypervisor.notify(*other);
    }
  }
}

}  // namespace hv
