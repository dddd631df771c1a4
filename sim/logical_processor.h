// One logical processor: its time, what it runs, its VT-x model, its local APIC.
#pragma once

#include <cstdint>

#include "machine/vmx_root.h"
#include "sim/context.h"
#include "sim/event_queue.h"
#include "sim/local_apic.h"
#include "sim/vtx/platform.h"
#include "sim/vtx/processor.h"

namespace sim {

class Computer;

class LogicalProcessor final : private vtx::Platform, private ApicHost, private EventHandler {
 public:
  LogicalProcessor(Computer& computer, std::uint32_t number);
  LogicalProcessor(const LogicalProcessor&) = delete;
  LogicalProcessor& operator=(const LogicalProcessor&) = delete;

  /// An interrupt from a processor is on its way and arrives at `at_ns`.
  void deliver_later(std::uint64_t at_ns, const InterruptCommand& command);
  /// Sleeps no longer than until `at_ns`.
  void wake(std::uint64_t at_ns);
  /// When it acts next; kNever while nothing but an interrupt can wake it.
  [[nodiscard]] std::uint64_t next_ns() const { return sleeping ? wake_ns : now; }

  const std::uint32_t index;
  std::uint64_t now = 0;
  /// Operations that others can see go on without a look around while `now` is before this.
  std::uint64_t horizon = 0;
  std::uint64_t next_stall = 0;
  bool sleeping = true;
  std::uint64_t wake_ns = kNever;
  /// Of the hypervisor; a guest's is in its RFLAGS.
  bool interrupts_enabled = false;
  bool nmi_pending = false;
  Context* running = nullptr;
  Context* hypervisor = nullptr;
  /// While a guest runs: its registers as the last exit or entry had them.
  machine::GuestRegisters registers;
  /// When the preemption timer of the running guest ends it.
  std::uint64_t preemption_ns = kNever;
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

  void happen(std::uint64_t token) override;

  Computer& computer_;
  std::uint32_t timer_generation_ = 0;
};

}  // namespace sim
