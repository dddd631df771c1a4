#include "hv/processor/doorbells.h"

#include "hv/hypervisor.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/memory_access.h"
#include "hv/synic/doorbell_table.h"
#include "hv/vtx/guest_context.h"

namespace hv {
namespace {

/// Under the communication lock. kInvalidSynicState: the VP does not listen.
Status ring_at(Hypervisor& hypervisor, Partition& root, VirtualProcessor& vp, Port& port) {
  bool put = false;
  SintSet interrupts;
  Status status = Status::kSuccess;
  {
    const machine::LockGuard guard(vp.lock);
    status = vp.synic.ring(port.info.sint, port.id, put, interrupts);
    request_sints(vp, interrupts);
  }
  if (!interrupts.empty()) {
    hypervisor.notify(vp);
  }
  if (status == Status::kSuccess && !put) {
    root.ports.wait_for_ring(port, vp.index);
  }
  return status;
}

bool ring_port(Hypervisor& hypervisor, Partition& root, Port& port) {
  if (port.info.vp != kVpIndexAny) {
    VirtualProcessor* const vp = root.vp(port.info.vp);
    return vp != nullptr && ring_at(hypervisor, root, *vp, port) == Status::kSuccess;
  }
  for (VirtualProcessor* vp : root.vps) {
    if (vp != nullptr && ring_at(hypervisor, root, *vp, port) == Status::kSuccess) {
      return true;
    }
  }
  return false;
}

/// Whether it is worth finding out what the guest writes.
bool has_doorbells(Hypervisor& hypervisor, const VirtualProcessor& vp) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  return !vp.partition.doorbells.empty();
}

bool ring_doorbell(Hypervisor& hypervisor, VirtualProcessor& vp, const GuestStore& store) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  const Doorbell* const doorbell = vp.partition.doorbells.find(store);
  if (doorbell == nullptr) {
    return false;
  }
  Port& port = *doorbell->port;
  if (!ring_port(hypervisor, hypervisor.root(), port)) {
    return false;
  }
  ++port.post_count;
  return true;
}

}  // namespace

bool emulate_doorbell(Hypervisor& hypervisor, VirtualProcessor& vp, machine::Gpa gpa,
                      const vtx::EptViolation& violation) {
  if (!violation.write || !has_doorbells(hypervisor, vp)) {
    return false;
  }
  const RefusedAccess access = decode_refused_access(vp, gpa, violation);
  if (access.kind != RefusedAccess::Kind::kDecoded) {
    return access.kind == RefusedAccess::Kind::kChanged;
  }
  const MemoryInstruction& instruction = access.instruction;
  if (gpa.offset_in_page() + instruction.size_bytes > machine::kPageSize) {
    return false;  // the rest of it goes elsewhere
  }
  const GuestStore store{
      gpa.value(), instruction.size_bytes,
      stored_value(instruction, vp.context.general_register(instruction.register_number))};
  if (!ring_doorbell(hypervisor, vp, store)) {
    return false;
  }
  vtx::complete_instruction(instruction.length);
  return true;
}

void refill_event_ring(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint32_t sint) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  Partition& root = vp.partition;
  while (Port* const port = root.ports.take_waiting(vp.index, sint)) {
    if (ring_at(hypervisor, root, vp, *port) != Status::kSuccess) {
      root.ports.wait_for_ring(*port, vp.index);
    }
    if (port->waits()) {
      return;  // full again, or not listening: and so it is for the others
    }
  }
}

}  // namespace hv
