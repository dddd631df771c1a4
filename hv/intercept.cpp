#include "hv/intercept.h"

#include <cstring>
#include <span>

#include "hv/hypervisor.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t kInterceptSint = 0;
constexpr std::uint32_t kInterceptBuffer = 0;
constexpr std::uint32_t kCacheTypeWriteBack = 6;
constexpr machine::Site kInterceptRaised{"hv.intercept"};

/// The parent's virtual processor that hears of it: the first that listens.
VirtualProcessor* listener(Partition& parent) {
  for (VirtualProcessor* vp : parent.vps) {
    if (vp == nullptr) {
      continue;
    }
    const machine::LockGuard guard(vp->lock);
    if (vp->synic.accepts_messages(kInterceptSint)) {
      return vp;
    }
  }
  return parent.vp(VpIndex{0});
}

/// A parent that let the VP run on before it took the last message loses that message.
void take_back_last_message(Partition& parent, VirtualProcessor& vp) {
  if (!vp.intercept_owner.is_busy(kInterceptBuffer)) {
    return;
  }
  for (VirtualProcessor* target : parent.vps) {
    if (target != nullptr) {
      const machine::LockGuard guard(target->lock);
      target->synic.drop(vp.intercept_owner);
    }
  }
}

void raise(Hypervisor& hypervisor, VirtualProcessor& vp, MessageType type,
           std::span<const std::byte> payload) {
  Partition* parent = vp.partition.parent;
  machine::trace(kInterceptRaised, machine::Track::kPartition,
                 static_cast<std::uint64_t>(vp.partition.id), static_cast<std::uint64_t>(type),
                 static_cast<std::uint64_t>(vp.index));
  if (parent == nullptr) {
    machine::stop(kStopRootCrashed);
  }
  {
    const machine::LockGuard guard(vp.lock);
    vp.suspend.intercept = true;
  }
  vp.changed = true;
  const machine::LockGuard guard(hypervisor.communication_lock);
  take_back_last_message(*parent, vp);
  INVARIANT(payload.size() <= vp.records.intercept_payload.size());
  std::memcpy(vp.records.intercept_payload.data(), payload.data(), payload.size());
  vp.intercept_entry.header = MessageHeader{};
  vp.intercept_entry.header.type = type;
  vp.intercept_entry.header.payload_size = static_cast<std::uint8_t>(payload.size());
  vp.intercept_entry.header.origination = static_cast<std::uint64_t>(vp.partition.id);
  vp.intercept_owner.set_busy(kInterceptBuffer);
  VirtualProcessor* target = listener(*parent);
  INVARIANT(target != nullptr);
  post_message(hypervisor, *target, kInterceptSint, vp.intercept_entry);
}

template <class Payload>
void raise(Hypervisor& hypervisor, VirtualProcessor& vp, MessageType type, const Payload& payload) {
  raise(hypervisor, vp, type, std::as_bytes(std::span(&payload, 1)));
}

InterceptHeader make_header(const VirtualProcessor& vp, InterceptAccess access,
                            std::uint32_t instruction_length) {
  InterceptHeader header;
  header.vp = vp.index;
  header.length_and_cr8 =
      static_cast<std::uint8_t>((instruction_length & 0xF) | (std::uint32_t{vp.apic.cr8()} << 4));
  header.access = access;
  std::uint32_t state = vtx::privilege_level();
  state |= vtx::in_protected_mode() ? InterceptHeader::kCr0Pe : 0;
  state |= (vtx::read_efer() & machine::x86::kEferLma) != 0 ? InterceptHeader::kEferLma : 0;
  state |= vp.pending_event.valid ? InterceptHeader::kInterruptionPending : 0;
  state |= vtx::has_interrupt_shadow() ? InterceptHeader::kInterruptShadow : 0;
  header.execution_state = static_cast<std::uint16_t>(state);
  header.cs = vtx::read_segment(vtx::SegmentName::kCs);
  header.rip = vtx::read_rip();
  header.rflags = vtx::read_rflags();
  return header;
}

MessageType memory_message(bool mapped) {
  return mapped ? MessageType::kGpaIntercept : MessageType::kUnmappedGpa;
}

}  // namespace

void intercept_memory(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                      const vtx::EptViolation& violation) {
  const InterceptAccess access = violation.fetch   ? InterceptAccess::kExecute
                                 : violation.write ? InterceptAccess::kWrite
                                                   : InterceptAccess::kRead;
  MemoryIntercept message;
  message.header = make_header(vp, access, 0);
  message.cache_type = kCacheTypeWriteBack;
  message.tpr_priority = vp.apic.cr8();
  message.gpa = gpa;
  if (violation.linear_address_valid && violation.translated) {
    message.access_info = MemoryIntercept::kGvaValid | MemoryIntercept::kGvaGpaValid;
    message.gva = vtx::exit_guest_linear_address();
  }
  raise(hypervisor, vp, memory_message(violation.mapped), message);
}

void intercept_parameter_access(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t gpa,
                                InterceptAccess access) {
  MemoryIntercept message;
  message.header = make_header(vp, access, 0);
  message.cache_type = kCacheTypeWriteBack;
  message.gpa = gpa;
  raise(hypervisor, vp, memory_message(false), message);
}

void intercept_io(Hypervisor& hypervisor, VirtualProcessor& vp, const vtx::IoExit& access) {
  IoPortIntercept message;
  message.header = make_header(vp, access.in ? InterceptAccess::kRead : InterceptAccess::kWrite,
                               vtx::exit_instruction_length());
  message.port = access.port;
  message.access_info =
      static_cast<std::uint8_t>(access.size_bytes | (access.string ? IoPortIntercept::kString : 0) |
                                (access.repeated ? IoPortIntercept::kRep : 0));
  const machine::GuestRegisters& registers = vp.context.registers();
  message.rax = registers.rax;
  if (access.string) {
    message.ds = vtx::read_segment(vtx::SegmentName::kDs);
    message.es = vtx::read_segment(vtx::SegmentName::kEs);
    message.rcx = registers.rcx;
    message.rsi = registers.rsi;
    message.rdi = registers.rdi;
  }
  raise(hypervisor, vp, MessageType::kX64IoPortIntercept, message);
}

void intercept_msr(Hypervisor& hypervisor, VirtualProcessor& vp, InterceptAccess access) {
  MsrIntercept message;
  message.header = make_header(vp, access, vtx::exit_instruction_length());
  message.msr = static_cast<std::uint32_t>(vp.context.registers().rcx);
  message.rdx = vp.context.registers().rdx;
  message.rax = vp.context.registers().rax;
  raise(hypervisor, vp, MessageType::kX64MsrIntercept, message);
}

void intercept_cpuid(Hypervisor& hypervisor, VirtualProcessor& vp,
                     const machine::CpuidResult& default_result) {
  CpuidIntercept message;
  message.header = make_header(vp, InterceptAccess::kExecute, vtx::exit_instruction_length());
  message.rax = vp.context.registers().rax;
  message.rcx = vp.context.registers().rcx;
  message.rdx = vp.context.registers().rdx;
  message.rbx = vp.context.registers().rbx;
  message.default_rax = default_result.eax;
  message.default_rcx = default_result.ecx;
  message.default_rdx = default_result.edx;
  message.default_rbx = default_result.ebx;
  raise(hypervisor, vp, MessageType::kX64CpuidIntercept, message);
}

void intercept_unrecoverable_exception(Hypervisor& hypervisor, VirtualProcessor& vp) {
  BareIntercept message;
  message.header = make_header(vp, InterceptAccess::kExecute, 0);
  raise(hypervisor, vp, MessageType::kUnrecoverableException, message);
}

void intercept_invalid_register_value(Hypervisor& hypervisor, VirtualProcessor& vp) {
  InvalidVpRegisterValueMessage message;
  message.vp = vp.index;
  raise(hypervisor, vp, MessageType::kInvalidVpRegisterValue, message);
}

void intercept_unsupported_feature(Hypervisor& hypervisor, VirtualProcessor& vp,
                                   std::uint32_t code) {
  UnsupportedFeatureMessage message;
  message.vp = vp.index;
  message.code = code;
  raise(hypervisor, vp, MessageType::kUnsupportedFeature, message);
}

void report_end_of_interrupt(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint8_t vector) {
  Partition* const parent = vp.partition.parent;
  if (parent == nullptr || !vp.ended_interrupts.add(vector)) {
    return;
  }
  const machine::LockGuard guard(hypervisor.communication_lock);
  VirtualProcessor* const target = listener(*parent);
  INVARIANT(target != nullptr);
  QueuedMessage& message = vp.ended_interrupts.message();
  message.header.origination = static_cast<std::uint64_t>(vp.partition.id);
  post_message(hypervisor, *target, kInterceptSint, message);
}

}  // namespace hv
