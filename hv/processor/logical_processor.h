// One logical processor and the loop it spends its life in: pick a virtual processor, run it from
// exit to exit, put it down, sleep when there is nothing to run.
//
// Called by boot() once; never returns. It knows virtual processors, not what their exits mean
// (vtx/exit_dispatch.cpp), and the scheduling policy only by its interface.
#pragma once

#include <array>
#include <cstdint>

#include "hv/vtx/capabilities.h"
#include "hv/vtx/extended_state.h"
#include "hv/vtx/switched_msrs.h"
#include "machine/shared.h"
#include "machine/vmx_architecture.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;
struct StatisticsMapping;

/// What a logical processor did since boot, for its statistics.
struct LogicalProcessorFigures {
  std::uint64_t run_ticks = 0;
  std::uint64_t hardware_interrupts = 0;
  std::uint64_t context_switches = 0;
};

class LogicalProcessor {
 public:
  LogicalProcessor(Hypervisor& hypervisor, std::uint32_t index, std::uint32_t apic_id);
  LogicalProcessor(const LogicalProcessor&) = delete;
  LogicalProcessor& operator=(const LogicalProcessor&) = delete;

  /// For all processors of the hypervisor; before any of them runs.
  static void install_interrupt_handlers();

  /// Takes the processor over: x2APIC, VMX operation with the VMXON region at
  /// `vmxon_page_spa`. Then runs virtual processors for ever.
  [[noreturn]] void run(std::uint64_t vmxon_page_spa);

  [[nodiscard]] Hypervisor& hypervisor() const { return hypervisor_; }
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] std::uint32_t apic_id() const { return apic_id_; }
  [[nodiscard]] const vtx::Capabilities& capabilities() const { return capabilities_; }

  /// What a processor can be asked for; bits of one word.
  static constexpr std::uint64_t kLookAtSlot = 1u << 0;  // its place in the scheduler
  static constexpr std::uint64_t kLookAtVp = 1u << 1;    // the virtual processor that it runs
  static constexpr std::uint64_t kDropTranslations = 1u << 2;
  /// Another processor (or this one) asks: done before it enters a guest again. Whoever cannot wait
  /// until it leaves the guest that it is in interrupts it after.
  void request(std::uint64_t what) { requests_.fetch_or(what); }

  /// Its current virtual processor lets others go first, if any wait. For the processor itself.
  void give_way();

  /// Odd while the processor is in a guest or about to enter one; changes at every entry and exit.
  [[nodiscard]] std::uint64_t guest_epoch() const { return guest_epoch_.load(); }
  /// Interrupts the processor without asking anything of it.
  void interrupt() const;

  /// How long it has had something to run since boot, in TSC ticks. Takes the scheduler lock.
  [[nodiscard]] std::uint64_t busy_ticks(std::uint64_t now) const;

  /// An external interrupt that the processor has acknowledged.
  void take_physical_interrupt(std::uint8_t vector);

  /// Runs `action`, which may load and unload other virtual processors' contexts here.
  template <class Action>
  void run_with_other_context(Action action) {
    action();
    reload_current_context();
  }

  /// The virtual processor that it runs; null if none. For the processor itself only.
  [[nodiscard]] VirtualProcessor* current_vp() const { return current_vp_; }

  /// For the processor itself only.
  [[nodiscard]] LogicalProcessorFigures figures(std::uint64_t now) const;
  /// Where they are published; under the scheduler lock.
  StatisticsMapping* statistics_mappings = nullptr;

 private:
  /// Whether the virtual processor at hand goes on.
  enum class Next : std::uint8_t { kEnter, kPutDownReady, kPutDownStopped };

  void reload_current_context();
  /// Puts the one that ran down, and takes up the next; null if there is nothing to run.
  [[nodiscard]] VirtualProcessor* choose_next(VirtualProcessor* leaving, bool runnable);
  void wake_expired(std::uint64_t now);
  void plan_service(std::uint64_t now);
  void note_busy(bool busy, std::uint64_t now);
  void sleep();
  /// Runs it until it has to make way; true if it could go on.
  [[nodiscard]] bool run_virtual_processor(VirtualProcessor& vp);
  [[nodiscard]] Next prepare(VirtualProcessor& vp, std::uint64_t now);
  [[nodiscard]] Next run_from_exit_to_exit(VirtualProcessor& vp);
  [[nodiscard]] bool look_at_its_last(VirtualProcessor& vp, Next next);
  [[nodiscard]] std::uint64_t next_look(const VirtualProcessor& vp) const;
  void take_requests(VirtualProcessor& vp);
  void enter(VirtualProcessor& vp, std::uint64_t ticks);
  void drop_stale_translations(VirtualProcessor& vp);

  Hypervisor& hypervisor_;
  std::uint32_t index_;
  std::uint32_t apic_id_;
  vtx::Capabilities capabilities_{};
  vtx::ExtendedUnit extended_unit_{};
  vtx::MsrUnit msr_unit_{};
  VirtualProcessor* current_vp_ = nullptr;
  machine::Shared<std::uint64_t> guest_epoch_{0};
  machine::Shared<std::uint64_t> requests_{0};
  /// The value of guest_epoch_, which only this processor writes.
  std::uint64_t epoch_ = 0;
  /// When the scheduler slot has to be looked at even if nobody asks, in TSC ticks.
  std::uint64_t service_at_ = 0;
  /// The earliest deadline of a virtual processor that blocked here.
  std::uint64_t sleep_until_ = 0;
  // Under the scheduler lock: the time it had something to run, up to when it last began to.
  std::uint64_t busy_ticks_ = 0;
  std::uint64_t busy_since_ = 0;
  bool busy_ = false;
  /// The longest stay in a guest, in TSC ticks.
  std::uint64_t tick_;
  /// When it took up the virtual processor that it runs, and what it did up to then.
  std::uint64_t taken_up_at_ = 0;
  LogicalProcessorFigures figures_;
};

}  // namespace hv
