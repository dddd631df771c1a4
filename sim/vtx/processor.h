// The VT-x parts of one logical processor, at the level of VMCS fields: VMX instructions, VM-entry
// checks, what exits from non-root mode and how, EPT with a TLB that stays stale, event priority.
//
// It owns the current-VMCS pointer, the guest state while in non-root mode, and the TLB. The
// simulator's processor calls it for each operation of the hypervisor and of guests; it knows
// nothing of fibers, scheduling, costs or devices, and reaches memory through Platform alone.
// General registers are not its business.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "machine/address.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "sim/vtx/capabilities.h"
#include "sim/vtx/ept.h"
#include "sim/vtx/exits.h"
#include "sim/vtx/platform.h"
#include "sim/vtx/tlb.h"
#include "sim/vtx/vmcs.h"

namespace sim::vtx {

enum class EntryOutcome : std::uint8_t {
  /// VMfailInvalid: no current VMCS. VMfailValid: the VM-instruction error says why. No guest ran.
  kFailInvalid,
  kFailValid,
  /// The entry failed past the control checks: the exit information is in the VMCS (reason bit 31)
  /// and the processor is in root mode, as after an exit.
  kFailedEntry,
  /// The processor is in non-root mode.
  kEntered,
};

struct EntryResult {
  EntryOutcome outcome = EntryOutcome::kFailInvalid;
  /// After kEntered: deliver this through the guest's IDT before anything else; when it has been,
  /// call event_delivered().
  std::optional<Event> event;
};

/// The part of the guest state that instructions change all the time. It is loaded by enter() and
/// saved by exit(); between them the simulator reads and writes it.
struct GuestState {
  std::uint64_t rip = 0;
  std::uint64_t rsp = 0;
  std::uint64_t rflags = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t pending_debug_exceptions = 0;
  std::uint32_t interruptibility = 0;
  std::uint32_t activity = 0;
};

class Processor {
 public:
  Processor(Platform& platform, VmcsTable& vmcss, const Capabilities& capabilities,
            std::uint32_t index);
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  /// RDMSR of IA32_FEATURE_CONTROL and the VMX capability MSRs; nullopt for any other.
  [[nodiscard]] std::optional<std::uint64_t> read_capability_msr(std::uint32_t msr) const {
    return capabilities_.read(msr);
  }
  [[nodiscard]] const Capabilities& capabilities() const { return capabilities_; }

  // --- VMX instructions, in root operation (SDM vol. 3 30.3) -------------------------------------

  [[nodiscard]] bool in_vmx_operation() const { return vmx_operation_; }
  [[nodiscard]] machine::VmxResult vmxon(machine::Spa region);
  machine::VmxResult vmxoff();
  [[nodiscard]] machine::VmxResult vmclear(machine::Spa region);
  [[nodiscard]] machine::VmxResult vmptrld(machine::Spa region);
  [[nodiscard]] machine::VmxResult invept(std::uint64_t kind, std::uint64_t eptp);
  [[nodiscard]] machine::VmxResult invvpid(std::uint64_t kind, std::uint16_t vpid,
                                           std::uint64_t linear_address);

  /// VMREAD. nullopt is VMfail: no current VMCS, or (with the VM-instruction error set) a field
  /// that the processor does not have.
  [[nodiscard]] std::optional<std::uint64_t> vmread(std::uint32_t encoding) {
    const FieldInfo info = find_field(encoding);
    if (current_ == nullptr || !info.exists() || (encoding & 1) != 0) [[unlikely]] {
      return vmread_slow(encoding);
    }
    return current_->values[info.slot];
  }
  /// The same without an optional, which the host would put together in memory: false is VMfail.
  [[nodiscard]] bool vmread_to(std::uint32_t encoding, std::uint64_t& value) {
    const FieldInfo info = find_field(encoding);
    if (current_ == nullptr || !info.exists() || (encoding & 1) != 0) [[unlikely]] {
      const std::optional<std::uint64_t> found = vmread_slow(encoding);
      value = found.value_or(0);
      return found.has_value();
    }
    value = current_->values[info.slot];
    return true;
  }
  /// VMWRITE. The value is cut to the field's width.
  machine::VmxResult vmwrite(std::uint32_t encoding, std::uint64_t value) {
    const FieldInfo info = find_field(encoding);
    if (current_ == nullptr || !info.exists() || info.read_only || (encoding & 1) != 0)
        [[unlikely]] {
      return vmwrite_slow(encoding, value);
    }
    current_->values[info.slot] = value & (~std::uint64_t{0} >> (64 - info.width_bits));
    current_->unchecked_groups |= info.group;
    return machine::VmxResult::kSucceed;
  }
  /// The current VMCS; null if there is none.
  [[nodiscard]] const Vmcs* current_vmcs() const { return current_; }

  // --- Transitions -------------------------------------------------------------------------------

  /// VMLAUNCH or VMRESUME (SDM vol. 3 chapter 26). `now_tsc` starts the preemption timer.
  [[nodiscard]] EntryResult enter(machine::EntryKind kind, std::uint64_t now_tsc);
  /// A VM exit (SDM vol. 3 chapter 27): saves guest state and exit information to the VMCS, and is
  /// in root mode after. RIP is saved as guest().rip has it: at the instruction that caused the
  /// exit, past the one that completed before an event.
  void exit(const Exit& cause, std::uint64_t now_tsc) {
    exit(cause, cause.instruction_length, now_tsc);
  }
  /// The same, with the length of the instruction that caused it.
  void exit(const Exit& cause, std::uint32_t instruction_length, std::uint64_t now_tsc);
  [[nodiscard]] bool in_non_root_mode() const { return non_root_; }

  // --- The guest, in non-root mode ---------------------------------------------------------------

  [[nodiscard]] GuestState& guest() { return guest_; }
  [[nodiscard]] const GuestState& guest() const { return guest_; }
  [[nodiscard]] std::uint64_t guest_cr0() const;
  [[nodiscard]] std::uint64_t guest_cr4() const;
  [[nodiscard]] bool interrupts_enabled() const;

  /// The value that RDMSR gives without an exit, for the MSRs that VT-x switches (EFER, PAT,
  /// DEBUGCTL, SYSENTER, FS and GS base); nullopt for any other. WRMSR: false is #GP(0).
  [[nodiscard]] std::optional<std::uint64_t> guest_msr(std::uint32_t msr) const;
  [[nodiscard]] bool set_guest_msr(std::uint32_t msr, std::uint64_t value);
  /// What RDTSC (and RDMSR of IA32_TSC) reads in the guest (SDM vol. 3 25.3).
  [[nodiscard]] std::uint64_t guest_tsc(std::uint64_t now_tsc) const;

  // Whether an operation exits (SDM vol. 3 25.1). nullopt: it is executed in the guest.
  [[nodiscard]] std::optional<Exit> cpuid() const {
    return Exit{.reason = machine::vmx::ExitReason::kCpuid};
  }
  [[nodiscard]] std::optional<Exit> rdmsr(std::uint32_t msr) const;
  [[nodiscard]] std::optional<Exit> wrmsr(std::uint32_t msr) const;
  [[nodiscard]] std::optional<Exit> io(const IoAccess& access) const;
  [[nodiscard]] std::optional<Exit> hlt() const;
  [[nodiscard]] std::optional<Exit> pause() const;
  [[nodiscard]] std::optional<Exit> rdtsc() const;
  [[nodiscard]] std::optional<Exit> rdtscp() const;
  [[nodiscard]] std::optional<Exit> rdpmc() const;
  [[nodiscard]] std::optional<Exit> invlpg(std::uint64_t linear_address) const;
  [[nodiscard]] std::optional<Exit> wbinvd() const;
  [[nodiscard]] std::optional<Exit> monitor() const;
  [[nodiscard]] std::optional<Exit> mwait() const;
  [[nodiscard]] std::optional<Exit> mov_to_cr(ControlRegisterAccess access,
                                              std::uint64_t value) const;
  [[nodiscard]] std::optional<Exit> mov_from_cr(ControlRegisterAccess access) const;
  [[nodiscard]] std::optional<Exit> mov_dr(std::uint8_t debug_register, std::uint8_t gpr,
                                           bool from_dr) const;
  /// VMCALL and the other instructions that always exit: INVD, XSETBV, every VMX instruction.
  [[nodiscard]] std::optional<Exit> unconditional(machine::vmx::ExitReason reason) const;
  /// An exception of the guest: by the exception bitmap, page faults by mask and match too.
  /// `address` is CR2 of a page fault.
  [[nodiscard]] std::optional<Exit> exception(const Event& event, std::uint64_t address = 0) const;
  [[nodiscard]] Exit triple_fault() const;

  /// Completes a MOV to CR that did not exit: false is #GP(0) and changes nothing. MOV to CR3
  /// drops the VPID's combined mappings (SDM vol. 3 28.4.3.1).
  [[nodiscard]] bool write_cr(std::uint8_t control_register, std::uint64_t value);
  /// What MOV from CR0 or CR4 reads through mask and shadow (SDM vol. 3 25.3).
  [[nodiscard]] std::uint64_t read_cr(std::uint8_t control_register) const;
  /// Completes an INVLPG that did not exit.
  void drop_linear(std::uint64_t linear_address);

  /// Where a guest-physical access goes, or the EPT violation or misconfiguration that it is.
  /// An access must not cross a page. The linear address is taken to equal the guest-physical one.
  [[nodiscard]] std::expected<machine::Spa, Exit> translate(
      machine::Gpa address, Access access, Through through = Through::kLinearAddress) {
    if (through == Through::kLinearAddress) [[likely]] {
      if (const std::optional<machine::Spa> hit = find_translation(address, access)) [[likely]] {
        return *hit;
      }
    }
    return translate_slow(address, access, through);
  }
  /// What translate() answers for a linear address that the small cache has; nothing otherwise.
  [[nodiscard]] std::optional<machine::Spa> find_translation(machine::Gpa address,
                                                             Access access) const {
    return tlb_.find_fast(address, access);
  }

  // --- Events ------------------------------------------------------------------------------------

  /// What comes before the guest's next instruction. The answer can change only with the pins, with
  /// guest() (RFLAGS.IF, blocking, activity) and when the preemption deadline is reached. Ask again
  /// after each event it names.
  [[nodiscard]] NextEvent next_event(PendingSignals pending, std::uint64_t now_tsc) const;
  /// The TSC at which the preemption timer expires; all-ones if it is not active.
  [[nodiscard]] std::uint64_t preemption_deadline_tsc() const { return preemption_deadline_tsc_; }
  /// The exit for what next_event() named. `vector`: the acknowledged one, by the processor's
  /// interrupt controller, if acknowledges_interrupts(); ignored otherwise.
  [[nodiscard]] Exit exit_for(NextEvent event, std::uint8_t vector = 0) const;
  /// Whether an external-interrupt exit acknowledges the interrupt controller (SDM vol. 3 24.7.1).
  [[nodiscard]] bool acknowledges_interrupts() const;

  /// An event goes through the guest's IDT: wakes from HLT, ends blocking by STI and MOV SS, clears
  /// RFLAGS.IF for interrupts and exceptions (the model's gates are interrupt gates), blocks NMIs
  /// after an NMI. RFLAGS of before is for the frame: read it first.
  void event_delivered(const Event& event);
  /// IRET: NMIs are no longer blocked. RFLAGS are the caller's to restore.
  void iret();

  // --- For tests and tools -----------------------------------------------------------------------

  /// The hypervisor's own MOV SS shadow, which refuses an entry (SDM vol. 3 26.1).
  void set_root_blocking_by_mov_ss(bool blocking) { root_mov_ss_blocking_ = blocking; }
  [[nodiscard]] Tlb& tlb() { return tlb_; }

 private:
  [[nodiscard]] machine::VmxResult fail(std::uint32_t error);
  [[nodiscard]] std::optional<std::uint64_t> vmread_slow(std::uint32_t encoding);
  [[nodiscard]] machine::VmxResult vmwrite_slow(std::uint32_t encoding, std::uint64_t value);
  [[nodiscard]] bool is_region(machine::Spa region) const;

  [[nodiscard]] EntryResult fail_entry(std::uint32_t error);
  [[nodiscard]] EntryResult fail_guest_state(machine::vmx::ExitReason reason,
                                             std::uint64_t qualification);
  [[nodiscard]] bool refuses_entry(machine::EntryKind kind, EntryResult& result);
  [[nodiscard]] bool checks_pass(EntryResult& result);
  void load_guest_state(std::uint64_t now_tsc);
  [[nodiscard]] Event take_injected_event();
  void save_guest_state(std::uint64_t now_tsc);
  void load_host_state();
  void write_exit_information(const Exit& cause, std::uint32_t instruction_length);

  [[nodiscard]] std::optional<Exit> when(bool exits, machine::vmx::ExitReason reason,
                                         std::uint64_t qualification = 0) const;
  [[nodiscard]] bool msr_bit(std::uint32_t msr, bool write) const;
  [[nodiscard]] std::expected<CachedPage, Exit> find_page(machine::Gpa address, Access access,
                                                          Through through);
  [[nodiscard]] bool uses_combined(Through through) const;
  void remember(std::uint64_t guest_page, Walk& walk, Access access);
  [[nodiscard]] std::expected<machine::Spa, Exit> translate_slow(machine::Gpa address,
                                                                 Access access, Through through);

  Platform& platform_;
  VmcsTable& vmcss_;
  const Capabilities& capabilities_;
  const std::uint32_t index_;

  bool vmx_operation_ = false;
  bool non_root_ = false;
  bool root_mov_ss_blocking_ = false;
  machine::Spa vmxon_region_;
  Vmcs* current_ = nullptr;

  // The controls in force, decoded at entry: valid in non-root mode.
  std::uint32_t pin_controls_ = 0;
  std::uint32_t processor_controls_ = 0;
  std::uint32_t secondary_controls_ = 0;

  GuestState guest_;
  // MSRs that transitions may switch; their values at power-up, in 64-bit mode.
  std::uint64_t efer_ = machine::x86::kEferLme | machine::x86::kEferLma | machine::x86::kEferNxe;
  std::uint64_t pat_ = 0x0007'0406'0007'0406;
  std::uint64_t debugctl_ = 0;
  std::uint64_t preemption_deadline_tsc_ = ~std::uint64_t{0};
  Tlb tlb_;
};

}  // namespace sim::vtx
