#include "hv/processor/logical_processor.h"

#include "hv/hypervisor.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/processor/physical_apic.h"
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

void LogicalProcessor::run(std::uint64_t vmxon_page_spa) {
  machine::set_processor_local(this);
  physical_apic::enable(index_ == 0);
  const std::optional<vtx::Capabilities> capabilities = vtx::read_capabilities();
  INVARIANT(capabilities.has_value());
  capabilities_ = *capabilities;
  INVARIANT(vtx::enter_vmx_operation(capabilities_, vmxon_page_spa));
  if (index_ == 0) {
    hypervisor_.create_root();
  }
  for (;;) {
    Schedulable* next = nullptr;
    const std::uint64_t now = machine::read_tsc();
    {
      const machine::LockGuard guard(hypervisor_.scheduler_lock);
      next = hypervisor_.scheduler.pick(index_, now);
    }
    if (next == nullptr) {
      idle();
    } else {
      run_virtual_processor(static_cast<VirtualProcessor&>(*next));
    }
  }
}

void LogicalProcessor::install_interrupt_handlers() {
  for (unsigned vector = physical_apic::kFirstInterruptVector; vector <= 0xFF; ++vector) {
    machine::set_interrupt_handler(static_cast<std::uint8_t>(vector), on_interrupt);
  }
}

void LogicalProcessor::request_attention() { attention_.exchange(1); }

void LogicalProcessor::give_way() {
  const std::uint64_t now = machine::read_tsc();
  {
    const machine::LockGuard guard(hypervisor_.scheduler_lock);
    hypervisor_.scheduler.give_way(index_, now);
  }
  attention_.store(1);
}

void LogicalProcessor::interrupt() const { physical_apic::kick(apic_id_); }

void LogicalProcessor::take_physical_interrupt(std::uint8_t vector) {
  if (vector >= physical_apic::kFirstHypervisorVector) {
    // Whoever sent it has left word in attention_; a timer's time is looked at anyway.
    if (vector != physical_apic::kSpuriousVector) {
      physical_apic::end_of_interrupt();
    }
    return;
  }
  hypervisor_.deliver_device_interrupt(vector);
}

void LogicalProcessor::reload_current_context() {
  if (current_vp_ != nullptr) {
    current_vp_->context.load(index_);
  }
}

// Interrupts are disabled from looking for work to sleeping, so that whoever brings work after the
// look finds this processor asleep and wakes it.
void LogicalProcessor::idle() {
  const std::uint64_t now = machine::read_tsc();
  (void)service_scheduler(now);
  std::uint64_t deadline = kNoDeadline;
  {
    const machine::LockGuard guard(hypervisor_.scheduler_lock);
    if (!hypervisor_.scheduler.is_idle(index_)) {
      return;
    }
    deadline = hypervisor_.scheduler.next_deadline(index_);
  }
  physical_apic::set_timer(deadline == kNoDeadline ? 0 : deadline);
  if (attention_.load() == 0) {
    machine::sti_hlt();
  }
  attention_.store(0);
}

void LogicalProcessor::run_virtual_processor(VirtualProcessor& vp) {
  vp.context.load(index_);
  vp.attention.store(1);
  current_vp_ = &vp;
  Next next = Next::kEnter;
  while (next == Next::kEnter) {
    const std::uint64_t now = machine::read_tsc();
    next = prepare(vp, now);
    if (next == Next::kEnter) {
      enter(vp, now);
    }
  }
  put_down(vp, next == Next::kPutDownReady);
}

LogicalProcessor::Next LogicalProcessor::prepare(VirtualProcessor& vp, std::uint64_t now) {
  if (now >= service_at_ || attention_.load() != 0) {
    attention_.exchange(0);
    if (service_scheduler(now)) {
      return Next::kPutDownReady;
    }
  }
  if (now >= vp.look_again_at || vp.attention.load() != 0) {
    vp.attention.exchange(0);
    if (!prepare_to_run(vp, now)) {
      return Next::kPutDownStopped;
    }
  }
  return Next::kEnter;
}

bool LogicalProcessor::service_scheduler(std::uint64_t now) {
  const std::uint64_t tick = hypervisor_.information().tsc_frequency_hz / kTicksPerSecond;
  Scheduler& scheduler = hypervisor_.scheduler;
  for (;;) {
    std::uint32_t nudged = kNoLp;
    {
      const machine::LockGuard guard(hypervisor_.scheduler_lock);
      Schedulable* expired = scheduler.take_expired(index_, now);
      if (expired == nullptr) {
        const std::uint64_t deadline = scheduler.next_deadline(index_);
        service_at_ = deadline < now + tick ? deadline : now + tick;
        return scheduler.should_yield(index_, now);
      }
      nudged = scheduler.wake(*expired, now);
    }
    if (nudged != kNoLp && nudged != index_) {
      hypervisor_.nudge(nudged);
    }
  }
}

void LogicalProcessor::enter(VirtualProcessor& vp, std::uint64_t now) {
  if (vp.pending_event.valid) {
    vtx::inject(vp.pending_event);
  }
  const std::uint64_t until = service_at_ < vp.look_again_at ? service_at_ : vp.look_again_at;
  vtx::set_preemption_timer(capabilities_, until > now ? until - now : 0);
  // The epoch is odd from before the last look at what others ask to after the exit: whoever asks
  // later sees it and interrupts.
  guest_epoch_.exchange(++epoch_);
  if (attention_.load() != 0 || vp.attention.load() != 0) {
    guest_epoch_.store(++epoch_);
    vtx::cancel_injection();
    return;
  }
  drop_stale_translations(vp);
  vp.pending_event = {};
  const vtx::Exit exit = vp.context.enter();
  guest_epoch_.store(++epoch_);
  vtx::dispatch_exit(*this, vp, exit);
}

void LogicalProcessor::drop_stale_translations(VirtualProcessor& vp) {
  Partition& partition = vp.partition;
  const std::uint64_t generation = partition.translation_generation.load();
  std::uint64_t& dropped = partition.dropped_through[index_];
  if (dropped != generation) {
    vtx::invalidate_translations(capabilities_, partition.ept_pointer);
    dropped = generation;
  }
}

void LogicalProcessor::put_down(VirtualProcessor& vp, bool runnable) {
  vp.context.unload();
  current_vp_ = nullptr;
  const std::uint64_t now = machine::read_tsc();
  const std::uint64_t deadline = runnable ? kNoDeadline : vp.wake_at;
  std::uint32_t nudged = kNoLp;
  {
    const machine::LockGuard guard(hypervisor_.scheduler_lock);
    nudged = hypervisor_.scheduler.put_down(index_, now, runnable);
    if (vp.state == RunState::kStopped && !vp.wake_pending) {
      hypervisor_.scheduler.set_deadline(vp, deadline);
    }
  }
  if (nudged != kNoLp) {
    hypervisor_.nudge(nudged);
  }
}

}  // namespace hv
