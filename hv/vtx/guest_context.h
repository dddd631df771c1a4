// The processor's side of one virtual processor: its VMCS and the registers that the VMCS leaves
// out. A context is *loaded* on at most one logical processor; everything but construction,
// load() and registers() needs it loaded on the executing one.
#pragma once

#include <cstdint>
#include <optional>

#include "hv/tlfs/register_values.h"
#include "hv/vtx/capabilities.h"
#include "hv/vtx/exit.h"
#include "machine/address.h"
#include "machine/invariant.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {

enum class SegmentName : std::uint8_t { kEs, kCs, kSs, kDs, kFs, kGs, kLdtr, kTr };

/// Where the pages lie that contexts share.
struct SharedPages {
  machine::Spa io_bitmap_a{};
  machine::Spa io_bitmap_b{};
  machine::Spa msr_bitmap{};
};

class GuestContext {
 public:
  explicit GuestContext(machine::Spn vmcs_page) : vmcs_page_(vmcs_page) {}
  GuestContext(const GuestContext&) = delete;
  GuestContext& operator=(const GuestContext&) = delete;

  /// Programs the VMCS for a guest in the state after INIT (SDM vol. 3 table 9-1), and leaves it
  /// unloaded. `capabilities` are those of all processors and stay; `eptp` is the EPT pointer of
  /// its partition.
  void initialize(const Capabilities& capabilities, const SharedPages& pages, std::uint64_t eptp);

  /// The state after INIT again, for a loaded context.
  void reset_state();

  /// The EPT pointer from the next entry on, of a loaded context.
  void use_ept_pointer(std::uint64_t eptp);

  /// Makes the VMCS current on the executing processor, number `lp`, which becomes its host.
  void load(std::uint32_t lp);
  /// Writes the VMCS back to memory, so that any processor may load it.
  void unload();

  /// Runs the guest until the next exit, which it returns. A refusal of the processor to enter is
  /// a defect of the hypervisor and ends the run; a failed check of guest state comes back as an
  /// exit with entry_failed.
  [[nodiscard]] Exit enter() {
    const machine::EntryKind kind =
        launched_ ? machine::EntryKind::kResume : machine::EntryKind::kLaunch;
    const machine::VmxResult result = machine::enter_guest(kind, registers_);
    INVARIANT(result == machine::VmxResult::kSucceed);
    const Exit exit{machine::vmread(machine::VmcsReadOnly32::kExitReason)};
    // A failed entry leaves the launch state as it was (SDM vol. 3 26.8).
    if (kind == machine::EntryKind::kLaunch) [[unlikely]] {
      launched_ = !exit.entry_failed();
    }
    return exit;
  }

  [[nodiscard]] machine::GuestRegisters& registers() { return registers_; }
  [[nodiscard]] const machine::GuestRegisters& registers() const { return registers_; }
  /// A general register by its number in the instruction set (0 RAX ... 4 RSP ... 15 R15).
  [[nodiscard]] std::uint64_t general_register(std::uint8_t number) const;
  void set_general_register(std::uint8_t number, std::uint64_t value);

 private:
  machine::GuestRegisters registers_{};
  machine::Spn vmcs_page_;
  const Capabilities* capabilities_ = nullptr;
  bool launched_ = false;
  std::uint64_t ept_pointer_ = 0;
  /// Whose host state the VMCS holds.
  std::uint32_t host_lp_ = ~0u;
};

// --- The loaded context's state in the VMCS ------------------------------------------------------

[[nodiscard]] SegmentRegister read_segment(SegmentName name);
void write_segment(SegmentName name, const SegmentRegister& segment);
[[nodiscard]] TableRegister read_gdtr();
[[nodiscard]] TableRegister read_idtr();
void write_gdtr(const TableRegister& table);
void write_idtr(const TableRegister& table);

[[nodiscard]] std::uint64_t read_rip();
[[nodiscard]] std::uint64_t read_rsp();
[[nodiscard]] std::uint64_t read_rflags();
void write_rip(std::uint64_t value);
void write_rsp(std::uint64_t value);
void write_rflags(std::uint64_t value);

/// Control registers as the guest sees them; the bits that VMX operation fixes are kept apart.
[[nodiscard]] std::uint64_t read_cr0();
[[nodiscard]] std::uint64_t read_cr3();
[[nodiscard]] std::uint64_t read_cr4();
/// CR4.OSXSAVE, which VMX operation leaves alone.
[[nodiscard]] inline bool xsave_enabled() {
  return (machine::vmread(machine::VmcsNatural::kGuestCr4) & machine::x86::kCr4Osxsave) != 0;
}
[[nodiscard]] bool is_legal_cr0(std::uint64_t value);
[[nodiscard]] bool is_legal_cr4(const Capabilities& capabilities, std::uint64_t value);
[[nodiscard]] bool is_legal_efer(std::uint64_t value);
/// False, with nothing changed, for a value that the guest's processor refuses.
[[nodiscard]] bool write_cr0(const Capabilities& capabilities, std::uint64_t value);
[[nodiscard]] bool write_cr4(const Capabilities& capabilities, std::uint64_t value);
void write_cr3(std::uint64_t value);
[[nodiscard]] std::uint64_t read_efer();
/// Keeps LMA in step with LME and CR0.PG.
[[nodiscard]] bool write_efer(std::uint64_t value);
[[nodiscard]] std::uint64_t read_dr7();
void write_dr7(std::uint64_t value);
[[nodiscard]] std::uint64_t read_pat();
void write_pat(std::uint64_t value);
[[nodiscard]] std::uint64_t read_sysenter_cs();
[[nodiscard]] std::uint64_t read_sysenter_eip();
[[nodiscard]] std::uint64_t read_sysenter_esp();
void write_sysenter_cs(std::uint64_t value);
void write_sysenter_eip(std::uint64_t value);
void write_sysenter_esp(std::uint64_t value);

/// Privilege level (CPL) and whether the guest runs 64-bit code.
struct CodeMode {
  std::uint8_t privilege_level = 0;
  bool wide = false;
};
[[nodiscard]] std::uint8_t privilege_level();
// Access rights of a segment (SDM vol. 3 table 24-2): the code segment is for 64-bit code; is a
// code segment, and conforming; its DPL.
inline constexpr std::uint16_t kSegmentLong = 1u << 13;
inline constexpr std::uint16_t kSegmentConforming = (1u << 3) | (1u << 2);
inline constexpr std::uint32_t kDplShift = 5;
[[nodiscard]] inline CodeMode code_mode() {
  const std::uint32_t rights = machine::vmread(machine::Vmcs32::kGuestCsAccessRights);
  const std::uint64_t efer = machine::vmread(machine::Vmcs64::kGuestEfer);
  // Kernel code of 64 bits, that does not conform: as most of it is.
  constexpr std::uint32_t kTold = kSegmentLong | (3u << kDplShift) | kSegmentConforming;
  constexpr std::uint32_t kCode = 1u << 3;
  if ((rights & kTold) == (kSegmentLong | kCode) && (efer & machine::x86::kEferLma) != 0)
      [[likely]] {
    return {.privilege_level = 0, .wide = true};
  }
  CodeMode mode;
  mode.wide = (rights & kSegmentLong) != 0 && (efer & machine::x86::kEferLma) != 0;
  // The DPL of a code segment is the CPL, unless it conforms to its callers' (SDM vol. 3 5.5).
  const bool conforms = (rights & kSegmentConforming) == kSegmentConforming;
  mode.privilege_level =
      conforms ? privilege_level() : static_cast<std::uint8_t>((rights >> kDplShift) & 3);
  return mode;
}
[[nodiscard]] bool in_64_bit_code();
[[nodiscard]] bool in_protected_mode();
/// Paging with PAE outside of long mode: the processor holds the four entries that CR3 points to.
[[nodiscard]] bool uses_pae_paging();

/// Whether an instruction ended whose successor takes no interrupt (STI, MOV SS).
[[nodiscard]] inline bool has_interrupt_shadow() {
  return (machine::vmread(machine::Vmcs32::kGuestInterruptibilityState) &
          (machine::vmx::kBlockingBySti | machine::vmx::kBlockingByMovSs)) != 0;
}
void set_interrupt_shadow(bool shadow);
[[nodiscard]] bool nmis_blocked();
void set_nmis_blocked(bool blocked);

/// Drops the executing processor's translations of the GPA space with this EPT pointer.
void invalidate_translations(const Capabilities& capabilities, std::uint64_t eptp);
/// The EPT pointer for a space whose top table is at `root_table`. With `notes`, of which the
/// processor must be capable, it notes in entries what was accessed and written.
[[nodiscard]] std::uint64_t make_ept_pointer(machine::Spn root_table, bool notes);

/// Moves RIP past an instruction of this length, and lifts the interrupt shadow that ended with it.
inline void complete_instruction(std::uint32_t length) {
  const std::uint64_t before = machine::vmread(machine::VmcsNatural::kGuestRip);
  std::uint64_t after = before + length;
  // Only 64-bit code has more than 32 bits of RIP; other code goes on at the bottom.
  if (((before ^ after) >> 32) != 0 && (before >> 32) == 0 && !in_64_bit_code()) [[unlikely]] {
    after &= 0xFFFF'FFFF;
  }
  machine::vmwrite(machine::VmcsNatural::kGuestRip, after);
  if (has_interrupt_shadow()) [[unlikely]] {
    set_interrupt_shadow(false);
  }
}
/// Valid after an exit caused by an instruction, but for one that the EPT refused.
[[nodiscard]] inline std::uint32_t exit_instruction_length() {
  return machine::vmread(machine::VmcsReadOnly32::kExitInstructionLength);
}
/// The same for the instruction that exited.
inline void complete_instruction() { complete_instruction(exit_instruction_length()); }

/// Of INS and OUTS: the bits of an index register that count as an address.
[[nodiscard]] inline std::uint64_t exit_address_mask() {
  const std::uint32_t information =
      machine::vmread(machine::VmcsReadOnly32::kExitInstructionInformation);
  return decode_address_mask(information);
}

/// What an EPT violation accessed.
[[nodiscard]] std::uint64_t exit_guest_physical_address();
[[nodiscard]] std::uint64_t exit_guest_linear_address();

}  // namespace hv::vtx
