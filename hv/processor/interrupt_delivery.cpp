#include "hv/processor/interrupt_delivery.h"

#include <bit>

#include "hv/hypervisor.h"
#include "hv/processor/asked_events.h"
#include "hv/processor/lazy_end_of_interrupt.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint16_t kRealModeCode = 0x9B;

/// Of the virtual processor that runs here: nobody else changes what counts its time.
std::uint64_t own_run_time_100ns(const VirtualProcessor& vp, std::uint64_t now) {
  const std::uint64_t ran = now > vp.running_since ? now - vp.running_since : 0;
  return reference_time(vp.run_time + ran, vp.partition.clock.scale(), 0);
}

void expire_unhalted_timer(VirtualProcessor& vp, std::uint64_t now) {
  UnhaltedTimer& timer = vp.records.unhalted_timer;
  const auto vector = timer.runs() ? timer.expire(own_run_time_100ns(vp, now)) : std::nullopt;
  if (!vector) {
    return;
  }
  if (vp.vp_assist.enabled()) {
    machine::store_u8(machine::Spa(vp.pages.assist) + UnhaltedTimerConfig::kExpiredOffset, 1);
  }
  if (*vector == UnhaltedTimerConfig::kNmi) {
    vp.nmi_pending = true;
  } else {
    (void)vp.apic.request(*vector);
  }
}

void expire_timers(VirtualProcessor& vp, std::uint64_t now) {
  expire_unhalted_timer(vp, now);
  const std::optional<std::uint64_t> apic_due = vp.apic.timer_deadline();
  if (apic_due && *apic_due <= now) {
    (void)vp.apic.expire_timer(now);
  }
  const std::uint64_t time = vp.partition.clock.time_at(now);
  while (const std::optional<TimerExpiration> expired = vp.timers.expire(time)) {
    if (expired->direct) {
      (void)vp.apic.request(expired->vector);
    } else {
      request_sints(vp, vp.synic.post(expired->sint, *expired->message, time));
    }
  }
}

/// A deadline so many ticks from now, however far away.
std::uint64_t after(std::uint64_t distance, std::uint64_t now) {
  return distance < kNoDeadline - now ? now + distance : kNoDeadline - 1;
}

/// When the next timer of the VP is due, in TSC ticks. A lazy timer is due only while the VP runs.
std::uint64_t next_timer(const VirtualProcessor& vp, std::uint64_t now, bool running) {
  std::uint64_t due = vp.apic.timer_deadline().value_or(kNoDeadline);
  const std::uint64_t time = vp.partition.clock.time_at(now);
  if (const std::optional<std::uint64_t> synthetic = vp.timers.next_due(time, running)) {
    const std::uint64_t at = after(vp.partition.clock.ticks_until(*synthetic, now), now);
    due = at < due ? at : due;
  }
  const UnhaltedTimer& unhalted = vp.records.unhalted_timer;
  if (running && unhalted.runs()) {
    const std::uint64_t left = *unhalted.left_100ns(own_run_time_100ns(vp, now));
    // What is half of all time away is not the past.
    const std::uint64_t ahead = left >> 63 == 0 ? left : left >> 1;
    const std::uint64_t at = after(vp.partition.clock.ticks_until(time + ahead, now), now);
    due = at < due ? at : due;
  }
  return due;
}

bool has_external(const VirtualProcessor& vp) {
  for (const std::uint64_t word : vp.external_vectors) {
    if (word != 0) {
      return true;
    }
  }
  return false;
}

std::uint8_t take_external(VirtualProcessor& vp) {
  for (std::size_t word = 0; word < vp.external_vectors.size(); ++word) {
    std::uint64_t& bits = vp.external_vectors[word];
    if (bits != 0) {
      const auto bit = static_cast<unsigned>(std::countr_zero(bits));
      bits &= bits - 1;
      return static_cast<std::uint8_t>(word * 64 + bit);
    }
  }
  INVARIANT(false);
  return 0;
}

void choose_event(VirtualProcessor& vp) {
  if (vp.events_asked_for) {
    take_asked_events(vp);
  }
  if (!vp.pending_event.valid && vp.nmi_pending && !vtx::nmis_blocked() &&
      !vtx::has_interrupt_shadow()) {
    vp.nmi_pending = false;
    vp.pending_event = {
        .type = vtx::EventType::kNmi, .vector = machine::x86::kVectorNmi, .valid = true};
  }
  bool waiting = has_external(vp) || vp.apic.deliverable().has_value();
  if (waiting && !vp.pending_event.valid && vtx::accepts_interrupt()) {
    std::uint8_t vector = 0;
    if (has_external(vp)) {
      vector = take_external(vp);
      vp.external_acknowledged = true;
    } else {
      vector = *vp.apic.deliverable();
      vp.apic.acknowledge(vector);
      offer_lazy_end(vp, vector);
    }
    vp.pending_event = {
        .type = vtx::EventType::kExternalInterrupt, .vector = vector, .valid = true};
    waiting = has_external(vp) || vp.apic.deliverable().has_value();
  }
  waiting = waiting || awaits_interrupt_window(vp);
  if (waiting != vp.interrupt_window) {
    vtx::set_interrupt_window_exiting(waiting);
    vp.interrupt_window = waiting;
  }
}

/// INIT: everything but the local APIC's id and mode starts anew. The bootstrap processor goes on
/// at its reset vector, others wait for a startup interrupt (SDM vol. 3 8.4.2, 10.4.7.3).
void carry_out_init(VirtualProcessor& vp) {
  vp.init_pending = false;
  withdraw_lazy_end(vp);
  vp.apic.init();
  vp.pending_event = {};
  vp.interrupt_window = false;
  vp.suspend.halt = false;
  vp.suspend.idle = false;
  vp.suspend.startup = vp.index != VpIndex{0};
  vp.context.reset_state();
}

void carry_out_startup(VirtualProcessor& vp) {
  const std::uint8_t page = *vp.startup_vector;
  vp.startup_vector.reset();
  if (!vp.suspend.startup) {
    return;  // only the first of a series counts
  }
  vp.suspend.startup = false;
  SegmentRegister code;
  code.base = static_cast<std::uint64_t>(page) << machine::kPageShift;
  code.limit = 0xFFFF;
  code.selector = static_cast<std::uint16_t>(page << 8);
  code.attributes = kRealModeCode;
  vtx::write_segment(vtx::SegmentName::kCs, code);
  vtx::write_rip(0);
}

/// Whether an interrupt would wake it from HLT or idle.
bool is_woken(const VirtualProcessor& vp) {
  if (vp.nmi_pending || vp.pending_event.valid || vp.events_asked_for) {
    return true;
  }
  if (!has_external(vp) && !vp.apic.deliverable().has_value()) {
    return false;
  }
  // Idle ends with any interrupt, HLT only with one that is taken (TLFS "Guest Idle", SDM HLT).
  return vp.suspend.idle || (vtx::read_rflags() & machine::x86::kRflagsIf) != 0;
}

void deliver_command(Hypervisor& hypervisor, VirtualProcessor& target,
                     const InterruptCommand& command) {
  {
    const machine::LockGuard guard(target.lock);
    switch (command.delivery) {
      case InterruptDelivery::kFixed:
      case InterruptDelivery::kLowestPriority:
        if (command.deassert) {
          target.apic.withdraw_level_triggered();
        } else {
          (void)target.apic.request(command.vector,
                                    command.level ? Trigger::kLevel : Trigger::kEdge);
        }
        break;
      case InterruptDelivery::kNmi:
        target.nmi_pending = true;
        break;
      case InterruptDelivery::kInit:
        target.init_pending = true;
        target.startup_vector.reset();  // what came before it is over
        break;
      case InterruptDelivery::kStartup:
        target.startup_vector = command.vector;
        break;
      case InterruptDelivery::kSmi:
      case InterruptDelivery::kRemoteRead:
      case InterruptDelivery::kExtInt:
        return;  // nothing that a virtual processor has
    }
  }
  hypervisor.notify(target);
}

bool has_acknowledged_external(Partition& partition) {
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const machine::LockGuard guard(vp->lock);
      if (vp->external_acknowledged) {
        return true;
      }
    }
  }
  return false;
}

bool is_destination(const VirtualProcessor* source, VirtualProcessor& target,
                    const InterruptCommand& command) {
  InterruptDestination destination{.id = InterruptDestination::kBroadcast};
  switch (command.shorthand) {
    case DestinationShorthand::kSelf:
      if (&target != source) {
        return false;
      }
      break;
    case DestinationShorthand::kAllWithSelf:
      break;
    case DestinationShorthand::kAllButSelf:
      if (&target == source) {
        return false;
      }
      break;
    case DestinationShorthand::kNone:
      destination = command.destination;
      break;
  }
  const machine::LockGuard guard(target.lock);
  return target.apic.is_addressed_by(destination);
}

/// Of the destinations that take interrupts, the one whose processor does the least urgent work
/// (SDM vol. 3 10.6.2.4); null if there is none. `any`: whether there are destinations at all.
VirtualProcessor* least_urgent(Partition& partition, const VirtualProcessor* source,
                               const InterruptCommand& command, bool& any) {
  VirtualProcessor* found = nullptr;
  unsigned least = ~0u;
  for (VirtualProcessor* target : partition.vps) {
    if (target == nullptr || !is_destination(source, *target, command)) {
      continue;
    }
    any = true;
    const machine::LockGuard guard(target->lock);
    const unsigned priority = target->apic.processor_priority();
    if (target->apic.enabled() && priority < least) {
      least = priority;
      found = target;
    }
  }
  return found;
}

bool deliver_to_destinations(Hypervisor& hypervisor, Partition& partition,
                             const VirtualProcessor* source, const InterruptCommand& command) {
  bool any = false;
  const machine::LockGuard guard(hypervisor.communication_lock);
  if (command.delivery == InterruptDelivery::kLowestPriority && !command.deassert) {
    VirtualProcessor* const target = least_urgent(partition, source, command, any);
    if (target != nullptr) {
      deliver_command(hypervisor, *target, command);
    }
    return any;
  }
  for (VirtualProcessor* target : partition.vps) {
    if (target != nullptr && is_destination(source, *target, command)) {
      deliver_command(hypervisor, *target, command);
      any = true;
    }
  }
  return any;
}

}  // namespace

bool prepare_to_run(VirtualProcessor& vp, std::uint64_t now) {
  const machine::LockGuard guard(vp.lock);
  vp.suspend.halt = vp.suspend.halt || vp.halts;
  vp.halts = false;
  if (vp.init_pending) {
    carry_out_init(vp);
  }
  if (vp.startup_vector) {
    carry_out_startup(vp);
  }
  vp.wake_at = kNoDeadline;
  if (vp.suspend.stopped() || vp.partition.suspended.load() != 0) {
    return false;
  }
  expire_timers(vp, now);
  settle_lazy_end(vp);
  if (vp.suspend.waits_for_interrupt()) {
    if (!is_woken(vp)) {
      vp.wake_at = next_timer(vp, now, false);
      return false;
    }
    vp.suspend.halt = false;
    vp.suspend.idle = false;
  }
  choose_event(vp);
  vp.look_again_at = next_timer(vp, now, true);
  return true;
}

std::uint64_t run_time_100ns(Hypervisor& hypervisor, const VirtualProcessor& vp) {
  const std::uint64_t now = machine::read_tsc();
  std::uint64_t ticks = 0;
  {
    const machine::LockGuard guard(hypervisor.scheduler_lock);
    ticks = vp.run_time;
    if (vp.state == RunState::kRunning && now > vp.running_since) {
      ticks += now - vp.running_since;
    }
  }
  return reference_time(ticks, vp.partition.clock.scale(), 0);
}

void request_sints(VirtualProcessor& vp, SintSet requested) {
  if (requested.empty()) {
    return;
  }
  const SintSet sints = vp.synic.intercept(requested);
  for (unsigned left = sints.bits(); left != 0; left &= left - 1) {
    const SintRegister setting = vp.synic.sint(static_cast<std::uint32_t>(std::countr_zero(left)));
    (void)vp.apic.request(setting.vector(), Trigger::kEdge, setting.auto_eoi());
  }
}

void deliver_messages(VirtualProcessor& vp) {
  if (vp.synic.any_queued()) {
    const std::uint64_t now = machine::read_tsc();
    request_sints(vp, vp.synic.deliver(vp.partition.clock.time_at(now)));
  }
}

void post_message(Hypervisor& hypervisor, VirtualProcessor& target, std::uint32_t sint,
                  QueuedMessage& message) {
  const std::uint64_t now = machine::read_tsc();
  SintSet sints;
  {
    const machine::LockGuard guard(target.lock);
    sints = target.synic.post(sint, message, target.partition.clock.time_at(now));
    request_sints(target, sints);
  }
  if (!sints.empty()) {
    hypervisor.notify(target);
  }
}

Status post_message_of_port(Hypervisor& hypervisor, VirtualProcessor& target, Port& port,
                            MessageType type, std::span<const std::byte> payload) {
  const std::uint32_t sint = port.info.sint;
  SintSet sints;
  {
    const machine::LockGuard guard(target.lock);
    Synic& synic = target.synic;
    if (!synic.accepts_messages(sint)) {
      return Status::kInvalidSynicState;
    }
    if (!port.has_free_buffer()) {
      return Status::kInsufficientBuffers;
    }
    QueuedMessage direct;
    direct.header.type = type;
    direct.header.payload_size = static_cast<std::uint8_t>(payload.size());
    direct.header.origination = static_cast<std::uint64_t>(port.id);
    direct.payload = payload.data();
    if (const std::optional<SintSet> posted = synic.post_past_queue(sint, direct)) {
      sints = *posted;
    } else {
      const auto message = port.fill_buffer(type, payload);
      if (!message) {
        return message.error();
      }
      const std::uint64_t now = machine::read_tsc();
      sints = synic.post(sint, **message, target.partition.clock.time_at(now));
    }
    request_sints(target, sints);
  }
  if (!sints.empty()) {
    hypervisor.notify(target);
  }
  return Status::kSuccess;
}

Status post_message_at_once(Hypervisor& hypervisor, VirtualProcessor& target, std::uint32_t sint,
                            const QueuedMessage& message) {
  SintSet sints;
  Status status = Status::kSuccess;
  {
    const machine::LockGuard guard(target.lock);
    status = target.synic.post_at_once(sint, message, sints);
    request_sints(target, sints);
  }
  if (!sints.empty()) {
    hypervisor.notify(target);
  }
  return status;
}

SignalResult signal_event(Hypervisor& hypervisor, VirtualProcessor& target, std::uint32_t sint,
                          std::uint32_t flag) {
  Synic::EventOutcome outcome;
  Status status = Status::kSuccess;
  {
    const machine::LockGuard guard(target.lock);
    status = target.synic.signal(sint, flag, outcome);
    request_sints(target, outcome.interrupts);
  }
  if (!outcome.interrupts.empty()) {
    hypervisor.notify(target);
  }
  return {status, outcome.newly_set};
}

void request_interrupt(Hypervisor& hypervisor, VirtualProcessor& target, std::uint8_t vector,
                       Trigger trigger) {
  {
    const machine::LockGuard guard(target.lock);
    (void)target.apic.request(vector, trigger);
  }
  hypervisor.notify(target);
}

void send_interrupt(Hypervisor& hypervisor, VirtualProcessor& source,
                    const InterruptCommand& command) {
  if (!command.goes_nowhere) {
    (void)deliver_to_destinations(hypervisor, source.partition, &source, command);
  }
}

bool send_interrupt(Hypervisor& hypervisor, Partition& partition, const InterruptCommand& command) {
  return deliver_to_destinations(hypervisor, partition, nullptr, command);
}

std::optional<VpIndex> only_destination(Hypervisor& hypervisor, VirtualProcessor& source,
                                        const InterruptCommand& command) {
  std::optional<VpIndex> found;
  const machine::LockGuard guard(hypervisor.communication_lock);
  for (VirtualProcessor* target : source.partition.vps) {
    if (target != nullptr && is_destination(&source, *target, command)) {
      found = found ? kVpIndexAny : target->index;
    }
  }
  return found;
}

Status signal_local_pin(Hypervisor& hypervisor, Partition& partition, std::uint32_t pin,
                        const InterruptCommand& command) {
  Status status = Status::kInvalidVpIndex;
  const machine::LockGuard guard(hypervisor.communication_lock);
  for (VirtualProcessor* target : partition.vps) {
    if (target == nullptr || !is_destination(nullptr, *target, command)) {
      continue;
    }
    std::optional<InterruptCommand> meant;
    {
      const machine::LockGuard vp_guard(target->lock);
      meant = target->apic.local_interrupt(pin);
    }
    Status signalled = Status::kSuccess;
    if (meant && meant->delivery == InterruptDelivery::kExtInt) {
      const auto vector = command.deassert ? std::nullopt : std::optional(command.vector);
      signalled = assert_external(hypervisor, *target, vector);
    } else if (meant && !command.deassert) {
      deliver_command(hypervisor, *target, *meant);
    } else if (meant && meant->level) {
      // What others assert is none of this pin's business.
      const machine::LockGuard vp_guard(target->lock);
      target->apic.withdraw_level_triggered(meant->vector);
    }
    status = status == Status::kAcknowledged ? status : signalled;
  }
  return status;
}

Status assert_external(Hypervisor& hypervisor, VirtualProcessor& target,
                       std::optional<std::uint8_t> vector) {
  if (vector && has_acknowledged_external(target.partition)) {
    return Status::kAcknowledged;
  }
  {
    const machine::LockGuard guard(target.lock);
    target.external_vectors = {};
    if (vector) {
      target.external_vectors[*vector / 64u] = 1ull << (*vector % 64u);
    }
  }
  hypervisor.notify(target);
  return Status::kSuccess;
}

Status clear_external(Partition& partition) {
  Status status = Status::kNotAcknowledged;
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const machine::LockGuard guard(vp->lock);
      status = vp->external_acknowledged ? Status::kSuccess : status;
      vp->external_acknowledged = false;
    }
  }
  return status;
}

}  // namespace hv
