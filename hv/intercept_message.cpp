#include "hv/intercept_message.h"

#include <cstring>

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/register_page.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t kInterceptSint = 0;
constexpr std::uint32_t kInterceptBuffer = 0;
constexpr machine::Site kInterceptRaised{"hv.intercept"};

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

MessageHeader make_message_header(const VirtualProcessor& vp, MessageType type,
                                  std::size_t payload_size) {
  MessageHeader header;
  header.type = type;
  header.payload_size = static_cast<std::uint8_t>(payload_size);
  header.origination = static_cast<std::uint64_t>(vp.partition.id);
  return header;
}

/// The whole message goes where the parent reads it; what SINT0 gets only says of whom.
void write_message_page(const VirtualProcessor& vp, const MessageHeader& header,
                        std::span<const std::byte> payload) {
  const machine::Spa page(vp.records.message_page.page);
  machine::fill_memory(page, kMessageSlotBytes, 0);
  machine::write_memory(page, std::as_bytes(std::span(&header, 1)));
  machine::write_memory(page + offsetof(Message, payload), payload);
}

}  // namespace

VirtualProcessor* intercept_listener(Partition& parent) {
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

InterceptHeader make_intercept_header(const VirtualProcessor& vp, InterceptAccess access,
                                      std::uint32_t instruction_length) {
  constexpr std::uint64_t kAlignmentMask = 1u << 18;   // CR0.AM
  constexpr std::uint64_t kBreakpointsEnabled = 0xFF;  // of DR7
  InterceptHeader header;
  header.vp = vp.index;
  header.length_and_cr8 =
      static_cast<std::uint8_t>((instruction_length & 0xF) | (std::uint32_t{vp.apic.cr8()} << 4));
  header.access = access;
  const std::uint64_t cr0 = vtx::read_cr0();
  std::uint32_t state = vtx::privilege_level();
  state |= (cr0 & machine::x86::kCr0Pe) != 0 ? InterceptHeader::kCr0Pe : 0;
  state |= (cr0 & kAlignmentMask) != 0 ? InterceptHeader::kCr0Am : 0;
  state |= (vtx::read_efer() & machine::x86::kEferLma) != 0 ? InterceptHeader::kEferLma : 0;
  state |= (vtx::read_dr7() & kBreakpointsEnabled) != 0 ? InterceptHeader::kDebugActive : 0;
  state |= vp.pending_event.valid ? InterceptHeader::kInterruptionPending : 0;
  state |= vtx::has_interrupt_shadow() ? InterceptHeader::kInterruptShadow : 0;
  header.execution_state = static_cast<std::uint16_t>(state);
  header.cs = vtx::read_segment(vtx::SegmentName::kCs);
  header.rip = vtx::read_rip();
  header.rflags = vtx::read_rflags();
  return header;
}

void raise_intercept(Hypervisor& hypervisor, VirtualProcessor& vp, MessageType type,
                     std::span<const std::byte> payload) {
  Partition* const parent = vp.partition.parent;
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
  vp.statistics.count_message(type);
  const machine::LockGuard guard(hypervisor.communication_lock);
  take_back_last_message(*parent, vp);
  INVARIANT(payload.size() <= vp.records.intercept_payload.size());
  vp.intercept_entry.header = make_message_header(vp, type, payload.size());
  fill_register_page(vp);
  const OpaqueInterceptMessage opaque{vp.index};
  if (vp.records.message_page.is_mapped()) {
    write_message_page(vp, vp.intercept_entry.header, payload);
    payload = std::as_bytes(std::span(&opaque, 1));
    vp.intercept_entry.header =
        make_message_header(vp, MessageType::kOpaqueIntercept, payload.size());
  }
  std::memcpy(vp.records.intercept_payload.data(), payload.data(), payload.size());
  vp.intercept_owner.set_busy(kInterceptBuffer);
  VirtualProcessor* const target = intercept_listener(*parent);
  INVARIANT(target != nullptr);
  post_message(hypervisor, *target, kInterceptSint, vp.intercept_entry);
}

}  // namespace hv
