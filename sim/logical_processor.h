// One logical processor: its time, what it runs, its VT-x model, its local APIC.
#pragma once

#include <cstdint>
#include <string>

#include "machine/vmx_root.h"
#include "sim/context.h"
#include "sim/event_queue.h"
#include "sim/extended_registers.h"
#include "sim/local_apic.h"
#include "sim/vtx/platform.h"
#include "sim/vtx/processor.h"

namespace sim {

class Computer;

/// MSRs of a processor that VM entries and exits leave as they are, and SWAPGS, SYSCALL and RDTSCP
/// use.
struct SwitchedMsrs {
  std::uint64_t star = 0;
  std::uint64_t lstar = 0;
  std::uint64_t cstar = 0;
  std::uint64_t sfmask = 0;
  std::uint64_t kernel_gs_base = 0;
  std::uint64_t tsc_aux = 0;

  /// Null for another MSR.
  [[nodiscard]] std::uint64_t* find(std::uint32_t msr);
};

class LogicalProcessor final : private vtx::Platform, private ApicHost, private EventHandler {
 public:
  LogicalProcessor(Computer& computer, std::uint32_t number);
  LogicalProcessor(const LogicalProcessor&) = delete;
  LogicalProcessor& operator=(const LogicalProcessor&) = delete;

  /// An interrupt from a processor is on its way and arrives at `at_ns`.
  void deliver_later(std::uint64_t at_ns, const InterruptCommand& command);
  /// Sleeps no longer than until `at_ns`; if it does not sleep, looks around at once.
  void wake(std::uint64_t at_ns);
  /// The next operation that others can see looks around before.
  void look_soon() {
    look_ns = 0;
    horizon = 0;
  }

  /// Executes the context from now on.
  void run(Context& context) {
    running = &context;
    in_guest = context.is_guest();
  }

  // What every turn needs, on one line of the host's cache.
  alignas(64) std::uint64_t now = 0;
  /// Operations that others can see go on while `now` is before this: then it is the turn of
  /// another processor or of an event, or look_ns has come.
  std::uint64_t horizon = 0;
  /// When the processor itself has to look around: for interrupts, timers of its guest, stalls.
  std::uint64_t look_ns = 0;
  std::uint64_t next_stall = 0;
  std::uint64_t wake_ns = kNever;
  Context* running = nullptr;
  /// When the preemption timer of the running guest ends it.
  std::uint64_t preemption_ns = kNever;
  const std::uint32_t index;
  bool sleeping = true;
  bool in_guest = false;
  /// Of the hypervisor; a guest's is in its RFLAGS.
  bool interrupts_enabled = false;
  bool nmi_pending = false;

  Context* hypervisor = nullptr;
  /// The stay in a guest that a trace shows next.
  struct Span {
    std::uint64_t entered_ns = 0;
    std::string guest;
  };
  Span span;
  /// While a guest runs: its registers as the last exit or entry had them.
  machine::GuestRegisters registers;
  /// Of whoever runs: VM entries and exits leave them as they are.
  ExtendedRegisters extended;
  SwitchedMsrs switched_msrs;
  LocalApic apic;
  vtx::Processor vtx;

 private:
  [[nodiscard]] std::uint8_t load_u8(machine::Spa address) override;
  [[nodiscard]] std::uint32_t load_u32(machine::Spa address) override;
  [[nodiscard]] std::uint64_t load_u64(machine::Spa address) override;
  void fetch_or_u64(machine::Spa address, std::uint64_t bits) override;
  void store_u64(machine::Spa address, std::uint64_t value) override;
  void misuse(const char* rule) override;

  void send_interrupt(const InterruptCommand& command) override;
  void set_timer(std::uint64_t at_tsc) override;
  void interrupt_request_changed() override;
  [[nodiscard]] std::uint64_t now_tsc() override;
  [[nodiscard]] std::uint8_t acknowledge_external() override;
  void broadcast_end_of_interrupt(std::uint8_t vector) override;

  void happen(std::uint64_t token) override;

  Computer& computer_;
  std::uint32_t timer_generation_ = 0;
};

}  // namespace sim
