#include "hv/processor/logical_processor.h"

#include <algorithm>

#include "hv/hypervisor.h"
#include "hv/processor/asked_events.h"
#include "hv/processor/exception_exits.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/monitored_events.h"
#include "hv/processor/physical_apic.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/exit_dispatch.h"
#include "machine/machine.h"

namespace hv {
namespace {

/// The longest stay in a guest: how late a request from another processor is noticed even if its
/// interrupt did not make the guest exit.
constexpr std::uint64_t kTicksPerSecond = 1000;

void on_interrupt(const machine::InterruptFrame& frame) {
  this_processor().take_physical_interrupt(static_cast<std::uint8_t>(frame.vector));
}

}  // namespace

LogicalProcessor& this_processor() {
  return *static_cast<LogicalProcessor*>(machine::processor_local());
}

LogicalProcessor::LogicalProcessor(Hypervisor& hypervisor, std::uint32_t index,
                                   std::uint32_t apic_id)
    : hypervisor_(hypervisor),
      index_(index),
      apic_id_(apic_id),
      tick_(hypervisor.information().tsc_frequency_hz / kTicksPerSecond) {
  INVARIANT(tick_ >> 32 == 0);
}

void LogicalProcessor::run(std::uint64_t vmxon_page_spa) {
  machine::set_processor_local(this);
  physical_apic::enable(index_ == 0);
  const std::optional<vtx::Capabilities> capabilities = vtx::read_capabilities();
  INVARIANT(capabilities.has_value());
  capabilities_ = *capabilities;
  INVARIANT(vtx::enter_vmx_operation(capabilities_, vmxon_page_spa));
  vtx::enable_extended_state(capabilities_, extended_unit_);
  vtx::clear_switched_msrs(capabilities_, msr_unit_);
  if (index_ == 0) {
    hypervisor_.create_root();
  }
  for (VirtualProcessor* next = choose_next(nullptr, false);;) {
    if (next == nullptr) {
      sleep();
      next = choose_next(nullptr, false);
    } else {
      const bool runnable = run_virtual_processor(*next);
      next = choose_next(next, runnable);
    }
  }
}

void LogicalProcessor::install_interrupt_handlers() {
  for (unsigned vector = physical_apic::kFirstInterruptVector; vector <= 0xFF; ++vector) {
    machine::set_interrupt_handler(static_cast<std::uint8_t>(vector), on_interrupt);
  }
}

void LogicalProcessor::give_way() {
  const std::uint64_t now = machine::read_tsc();
  {
    const machine::LockGuard guard(hypervisor_.scheduler_lock);
    hypervisor_.scheduler.give_way(index_, now);
  }
  service_at_ = now;
}

void LogicalProcessor::interrupt() const { physical_apic::kick(apic_id_); }

LogicalProcessorFigures LogicalProcessor::figures(std::uint64_t now) const {
  LogicalProcessorFigures figures = figures_;
  figures.run_ticks += current_vp_ != nullptr ? now - taken_up_at_ : 0;
  return figures;
}

void LogicalProcessor::take_physical_interrupt(std::uint8_t vector) {
  ++figures_.hardware_interrupts;
  if (vector >= physical_apic::kFirstHypervisorVector) {
    // Whoever sent it has left word in requests_; a timer's time is looked at anyway.
    if (vector != physical_apic::kSpuriousVector) {
      physical_apic::end_of_interrupt();
    }
    if (hypervisor_.device_interrupts.any_held()) {
      end_own_device_interrupts(hypervisor_);
    }
    return;
  }
  if (hypervisor_.has_root()) {  // else nobody has programmed a device yet
    deliver_device_interrupt(hypervisor_, vector);
  }
}

void LogicalProcessor::reload_current_context() {
  if (current_vp_ != nullptr) {
    current_vp_->context.load(index_);
  }
}

/// Wakes whose deadline has come. Under the scheduler lock.
void LogicalProcessor::wake_expired(std::uint64_t now) {
  Scheduler& scheduler = hypervisor_.scheduler;
  while (Schedulable* expired = scheduler.take_expired(index_, now)) {
    const std::uint32_t nudged = scheduler.wake(*expired, now);
    if (nudged != kNoLp && nudged != index_) {
      hypervisor_.nudge(nudged);
    }
  }
}

/// When the scheduler has something to say again. Under its lock.
void LogicalProcessor::plan_service(std::uint64_t now) {
  const Scheduler& scheduler = hypervisor_.scheduler;
  sleep_until_ = scheduler.next_deadline(index_);
  const std::uint64_t look_again_at = scheduler.look_again_at(index_, now);
  service_at_ = std::min({sleep_until_, look_again_at, now + tick_});
}

VirtualProcessor* LogicalProcessor::choose_next(VirtualProcessor* leaving, bool runnable) {
  const std::uint64_t now = machine::read_tsc();
  Scheduler& scheduler = hypervisor_.scheduler;
  const machine::LockGuard guard(hypervisor_.scheduler_lock);
  if (leaving != nullptr) {
    figures_.run_ticks += now - taken_up_at_;
    const std::uint32_t nudged = scheduler.put_down(index_, now, runnable);
    publish_statistics(*leaving, now);
    if (leaving->state == RunState::kStopped && !leaving->wake_pending) {
      scheduler.set_deadline(*leaving, leaving->wake_at);
    }
    if (nudged != kNoLp) {
      hypervisor_.nudge(nudged);
    }
  }
  wake_expired(now);
  Schedulable* const next = scheduler.pick(index_, now);
  const std::uint32_t idle = scheduler.idle_for_waiting(now);
  if (idle != kNoLp) {
    hypervisor_.nudge(idle);
  }
  plan_service(now);
  note_busy(next != nullptr, now);
  publish_statistics(*this, now);
  taken_up_at_ = now;
  return static_cast<VirtualProcessor*>(next);
}

/// Under the scheduler lock.
void LogicalProcessor::note_busy(bool busy, std::uint64_t now) {
  if (busy && !busy_) {
    busy_since_ = now;
  } else if (!busy && busy_) {
    busy_ticks_ += now - busy_since_;
  }
  busy_ = busy;
}

std::uint64_t LogicalProcessor::busy_ticks(std::uint64_t now) const {
  const machine::LockGuard guard(hypervisor_.scheduler_lock);
  // It may have begun after `now` was looked up.
  return busy_ticks_ + (busy_ && now > busy_since_ ? now - busy_since_ : 0);
}

// Interrupts are disabled from choose_next(), which found nothing to run, to here. So whoever
// brings work after that look finds this processor asleep, or about to be, and wakes it.
void LogicalProcessor::sleep() {
  physical_apic::set_timer(sleep_until_ == kNoDeadline ? 0 : sleep_until_);
  if (requests_.load() == 0) {
    machine::sti_hlt();
  }
  // Whatever was asked for is done where a virtual processor is taken up.
  requests_.store(0);
}

inline LogicalProcessor::Next LogicalProcessor::run_from_exit_to_exit(VirtualProcessor& vp) {
  for (;;) {
    const std::uint64_t now = machine::read_tsc();
    std::uint64_t until = next_look(vp);
    if (vp.changed || now >= until) [[unlikely]] {
      const Next next = prepare(vp, now);
      if (next != Next::kEnter) {
        return next;
      }
      until = next_look(vp);
      until = until > now ? until : now;
    }
    enter(vp, until - now);
  }
}

bool LogicalProcessor::run_virtual_processor(VirtualProcessor& vp) {
  vp.context.load(index_);
  vp.extended.load(extended_unit_);
  vp.switched_msrs.load(msr_unit_);
  vp.changed = true;
  current_vp_ = &vp;
  ++figures_.context_switches;
  vp.statistics.count_dispatch();
  drop_stale_translations(vp);
  service_at_ = std::min(service_at_, vp.partition.monitors_due.load());
  Next next{};
  do {
    next = run_from_exit_to_exit(vp);
  } while (look_at_its_last(vp, next));
  vp.switched_msrs.unload();
  vp.extended.unload();
  vp.context.unload();
  current_vp_ = nullptr;
  return next == Next::kPutDownReady;
}

/// Whoever is about to be put down sets no more bits in a monitor page until it runs again. True if
/// it has signalled itself, and so may go on.
bool LogicalProcessor::look_at_its_last(VirtualProcessor& vp, Next next) {
  Partition& partition = vp.partition;
  if (partition.monitors_due.load() == kNoDeadline) [[likely]] {
    return false;
  }
  if (look_at_monitors(hypervisor_, partition, machine::read_tsc())) {
    vp.wake_at = std::min(vp.wake_at, partition.monitors_due.load());
  }
  return next == Next::kPutDownStopped && vp.changed;
}

LogicalProcessor::Next LogicalProcessor::prepare(VirtualProcessor& vp, std::uint64_t now) {
  if (now >= service_at_) {
    if (vp.partition.monitors_due.load() <= now) {
      (void)look_at_monitors(hypervisor_, vp.partition, now);
    }
    if (hypervisor_.device_interrupts.any_held()) {
      end_device_interrupts(hypervisor_);
    }
    const machine::LockGuard guard(hypervisor_.scheduler_lock);
    wake_expired(now);
    publish_statistics(vp, now);
    publish_statistics(*this, now);
    if (hypervisor_.scheduler.should_yield(index_, now)) {
      return Next::kPutDownReady;
    }
    plan_service(now);
    service_at_ = std::min(service_at_, vp.partition.monitors_due.load());
  }
  if (vp.changed || now >= vp.look_again_at) {
    vp.changed = false;
    apply_exception_intercepts(vp);
    const bool ready = prepare_to_run(vp, now);
    if (vp.deliverability_awaited && report_deliverability(hypervisor_, vp)) {
      return Next::kPutDownStopped;
    }
    if (!ready) {
      return Next::kPutDownStopped;
    }
  }
  return Next::kEnter;
}

/// When prepare() has something to do even if nothing changes: at most a tick after its last look.
inline std::uint64_t LogicalProcessor::next_look(const VirtualProcessor& vp) const {
  return service_at_ < vp.look_again_at ? service_at_ : vp.look_again_at;
}

/// What others asked for since the last look. The word is cleared before what it asks for is done.
void LogicalProcessor::take_requests(VirtualProcessor& vp) {
  const std::uint64_t asked = requests_.exchange(0);
  if ((asked & kLookAtSlot) != 0) {
    service_at_ = 0;
  }
  if ((asked & kLookAtVp) != 0) {
    vp.changed = true;
  }
  if ((asked & kDropTranslations) != 0) {
    drop_stale_translations(vp);
  }
}

// Every exit passes here and through dispatch_exit(): what is added costs each of them.
inline void LogicalProcessor::enter(VirtualProcessor& vp, std::uint64_t ticks) {
  vtx::set_preemption_timer(capabilities_, ticks);
  // The epoch is odd from before the last look at what others ask to after the exit: whoever asks
  // later sees it and interrupts.
  const std::uint64_t inside = epoch_ + 1;
  epoch_ = inside + 1;
  guest_epoch_.exchange(inside);
  if (requests_.load() != 0) [[unlikely]] {
    take_requests(vp);
    guest_epoch_.store(inside + 1);
    return;
  }
  if (vp.pending_event.valid) [[unlikely]] {
    vtx::inject(vp.pending_event);
    if (vp.pending_event.type == vtx::EventType::kExternalInterrupt) {
      vp.statistics.count_virtual_interrupt();
    }
    vp.pending_event = {};
  }
  const vtx::Exit exit = vp.context.enter();
  guest_epoch_.store(inside + 1);
  vtx::dispatch_exit(*this, vp, exit);
}

void LogicalProcessor::drop_stale_translations(VirtualProcessor& vp) {
  Partition& partition = vp.partition;
  const std::uint64_t ept_pointer = partition.ept_pointer.load();
  vp.context.use_ept_pointer(ept_pointer);
  const std::uint64_t mark = 1ull << index_;
  if ((partition.stale_processors.load() & mark) != 0) {
    // The mark goes first: what is taken away from here on marks us again.
    partition.stale_processors.fetch_and(~mark);
    vtx::invalidate_translations(capabilities_, ept_pointer);
  }
}

}  // namespace hv
