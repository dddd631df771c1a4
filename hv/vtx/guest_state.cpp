// The guest-state area of the loaded VMCS, read and written in the interface's terms.
#include "hv/vtx/guest_context.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::VmcsReadOnly64;
using machine::VmcsReadOnlyNatural;
using machine::vmread;
using machine::vmwrite;

constexpr std::uint32_t kSegmentUnusable = 1u << 16;
constexpr std::uint16_t kSegmentPresent = 1u << 7;
constexpr std::uint16_t kAttributesMask = 0xF0FF;

// The fields of segment n follow those of segment 0 at a distance of two encodings (SDM vol. 3
// appendix B), in the order of SegmentName.
template <class Field>
Field segment_field(Field first, SegmentName name) {
  return static_cast<Field>(static_cast<std::uint32_t>(first) +
                            2 * static_cast<std::uint32_t>(name));
}

/// Bits of a guest's CR0 or CR4 that come from the shadow, because the mask gives them to the host.
std::uint64_t merge(std::uint64_t real, std::uint64_t shadow, std::uint64_t mask) {
  return (shadow & mask) | (real & ~mask);
}

/// LMA follows LME and PG; the entry control must agree with it (SDM vol. 3 26.3.1.1).
void write_long_mode(std::uint64_t efer, bool paging) {
  const bool active = (efer & x86::kEferLme) != 0 && paging;
  efer = active ? (efer | x86::kEferLma) : (efer & ~x86::kEferLma);
  vmwrite(Vmcs64::kGuestEfer, efer);
  const std::uint32_t entry = vmread(Vmcs32::kVmEntryControls);
  vmwrite(Vmcs32::kVmEntryControls,
          active ? (entry | vmx::kEntryIa32eModeGuest) : (entry & ~vmx::kEntryIa32eModeGuest));
}

}  // namespace

std::uint64_t exit_qualification() { return vmread(VmcsReadOnlyNatural::kExitQualification); }

SegmentRegister read_segment(SegmentName name) {
  SegmentRegister segment;
  segment.base = vmread(segment_field(VmcsNatural::kGuestEsBase, name));
  segment.limit = vmread(segment_field(Vmcs32::kGuestEsLimit, name));
  segment.selector = vmread(segment_field(Vmcs16::kGuestEsSelector, name));
  const std::uint32_t rights = vmread(segment_field(Vmcs32::kGuestEsAccessRights, name));
  segment.attributes =
      static_cast<std::uint16_t>((rights & kSegmentUnusable) != 0 ? 0 : (rights & kAttributesMask));
  return segment;
}

void write_segment(SegmentName name, const SegmentRegister& segment) {
  const bool usable = (segment.attributes & kSegmentPresent) != 0;
  vmwrite(segment_field(VmcsNatural::kGuestEsBase, name), segment.base);
  vmwrite(segment_field(Vmcs32::kGuestEsLimit, name), segment.limit);
  vmwrite(segment_field(Vmcs16::kGuestEsSelector, name), segment.selector);
  vmwrite(segment_field(Vmcs32::kGuestEsAccessRights, name),
          usable ? (segment.attributes & kAttributesMask) : kSegmentUnusable);
}

TableRegister read_gdtr() {
  TableRegister table;
  table.base = vmread(VmcsNatural::kGuestGdtrBase);
  table.limit = static_cast<std::uint16_t>(vmread(Vmcs32::kGuestGdtrLimit));
  return table;
}
TableRegister read_idtr() {
  TableRegister table;
  table.base = vmread(VmcsNatural::kGuestIdtrBase);
  table.limit = static_cast<std::uint16_t>(vmread(Vmcs32::kGuestIdtrLimit));
  return table;
}
void write_gdtr(const TableRegister& table) {
  vmwrite(VmcsNatural::kGuestGdtrBase, table.base);
  vmwrite(Vmcs32::kGuestGdtrLimit, table.limit);
}
void write_idtr(const TableRegister& table) {
  vmwrite(VmcsNatural::kGuestIdtrBase, table.base);
  vmwrite(Vmcs32::kGuestIdtrLimit, table.limit);
}

std::uint64_t read_rip() { return vmread(VmcsNatural::kGuestRip); }
std::uint64_t read_rsp() { return vmread(VmcsNatural::kGuestRsp); }
std::uint64_t read_rflags() { return vmread(VmcsNatural::kGuestRflags); }
void write_rip(std::uint64_t value) { vmwrite(VmcsNatural::kGuestRip, value); }
void write_rsp(std::uint64_t value) { vmwrite(VmcsNatural::kGuestRsp, value); }
void write_rflags(std::uint64_t value) { vmwrite(VmcsNatural::kGuestRflags, value); }

std::uint64_t read_cr0() {
  const std::uint64_t real = vmread(VmcsNatural::kGuestCr0);
  const std::uint64_t shadow = vmread(VmcsNatural::kCr0ReadShadow);
  return merge(real, shadow, vmread(VmcsNatural::kCr0GuestHostMask));
}
std::uint64_t read_cr3() { return vmread(VmcsNatural::kGuestCr3); }
std::uint64_t read_cr4() {
  const std::uint64_t real = vmread(VmcsNatural::kGuestCr4);
  const std::uint64_t shadow = vmread(VmcsNatural::kCr4ReadShadow);
  return merge(real, shadow, vmread(VmcsNatural::kCr4GuestHostMask));
}

bool is_legal_cr0(std::uint64_t value) {
  const bool paging_unprotected = (value & x86::kCr0Pg) != 0 && (value & x86::kCr0Pe) == 0;
  const bool write_through_cached = (value & x86::kCr0Nw) != 0 && (value & x86::kCr0Cd) == 0;
  return (value >> 32) == 0 && !paging_unprotected && !write_through_cached;
}

/// VMX operation inside a guest is not offered.
bool is_legal_cr4(const Capabilities& capabilities, std::uint64_t value) {
  return (value & ~capabilities.cr4.may_be_one) == 0 && (value & x86::kCr4Vmxe) == 0;
}

bool is_legal_efer(std::uint64_t value) {
  constexpr std::uint64_t kSyscall = 1;
  constexpr std::uint64_t kKnown = kSyscall | x86::kEferLme | x86::kEferLma | x86::kEferNxe;
  return (value & ~kKnown) == 0;
}

bool write_cr0(const Capabilities& capabilities, std::uint64_t value) {
  if (!is_legal_cr0(value)) {
    return false;
  }
  // Caching stays on: the guest's wish is kept in the shadow.
  const std::uint64_t real =
      capabilities.cr0.apply(value & ~(x86::kCr0Nw | x86::kCr0Cd)) | x86::kCr0Et;
  vmwrite(VmcsNatural::kGuestCr0, real);
  vmwrite(VmcsNatural::kCr0ReadShadow, value | x86::kCr0Et);
  write_long_mode(vmread(Vmcs64::kGuestEfer), (value & x86::kCr0Pg) != 0);
  return true;
}

bool write_cr4(const Capabilities& capabilities, std::uint64_t value) {
  if (!is_legal_cr4(capabilities, value)) {
    return false;
  }
  vmwrite(VmcsNatural::kGuestCr4, capabilities.cr4.apply(value));
  vmwrite(VmcsNatural::kCr4ReadShadow, value);
  return true;
}

void write_cr3(std::uint64_t value) { vmwrite(VmcsNatural::kGuestCr3, value); }

std::uint64_t read_efer() { return vmread(Vmcs64::kGuestEfer); }

bool write_efer(std::uint64_t value) {
  if (!is_legal_efer(value)) {
    return false;
  }
  write_long_mode(value, (read_cr0() & x86::kCr0Pg) != 0);
  return true;
}

std::uint64_t read_dr7() { return vmread(VmcsNatural::kGuestDr7); }
void write_dr7(std::uint64_t value) { vmwrite(VmcsNatural::kGuestDr7, value); }
std::uint64_t read_pat() { return vmread(Vmcs64::kGuestPat); }
void write_pat(std::uint64_t value) { vmwrite(Vmcs64::kGuestPat, value); }

std::uint64_t read_sysenter_cs() { return vmread(Vmcs32::kGuestSysenterCs); }
std::uint64_t read_sysenter_eip() { return vmread(VmcsNatural::kGuestSysenterEip); }
std::uint64_t read_sysenter_esp() { return vmread(VmcsNatural::kGuestSysenterEsp); }
void write_sysenter_cs(std::uint64_t value) {
  vmwrite(Vmcs32::kGuestSysenterCs, static_cast<std::uint32_t>(value));
}
void write_sysenter_eip(std::uint64_t value) { vmwrite(VmcsNatural::kGuestSysenterEip, value); }
void write_sysenter_esp(std::uint64_t value) { vmwrite(VmcsNatural::kGuestSysenterEsp, value); }

std::uint8_t privilege_level() {
  // The DPL of SS is the CPL (SDM vol. 3 24.4.1).
  return static_cast<std::uint8_t>((vmread(Vmcs32::kGuestSsAccessRights) >> kDplShift) & 3);
}

bool in_64_bit_code() {
  if ((read_efer() & x86::kEferLma) == 0) {
    return false;
  }
  return (vmread(Vmcs32::kGuestCsAccessRights) & kSegmentLong) != 0;
}

bool in_protected_mode() { return (read_cr0() & x86::kCr0Pe) != 0; }

bool uses_pae_paging() {
  return (read_efer() & x86::kEferLma) == 0 && (read_cr0() & x86::kCr0Pg) != 0 &&
         (read_cr4() & x86::kCr4Pae) != 0;
}

void set_interrupt_shadow(bool shadow) {
  const std::uint32_t state =
      vmread(Vmcs32::kGuestInterruptibilityState) & ~(vmx::kBlockingBySti | vmx::kBlockingByMovSs);
  // Of the two kinds, MOV SS is the one that RFLAGS.IF does not restrict (SDM vol. 3 26.3.1.5).
  vmwrite(Vmcs32::kGuestInterruptibilityState, shadow ? (state | vmx::kBlockingByMovSs) : state);
}

bool nmis_blocked() {
  return (vmread(Vmcs32::kGuestInterruptibilityState) & vmx::kBlockingByNmi) != 0;
}

void set_nmis_blocked(bool blocked) {
  const std::uint32_t state = vmread(Vmcs32::kGuestInterruptibilityState) & ~vmx::kBlockingByNmi;
  vmwrite(Vmcs32::kGuestInterruptibilityState, blocked ? (state | vmx::kBlockingByNmi) : state);
}

std::uint64_t exit_guest_physical_address() {
  return vmread(VmcsReadOnly64::kGuestPhysicalAddress);
}
std::uint64_t exit_guest_linear_address() {
  return vmread(VmcsReadOnlyNatural::kGuestLinearAddress);
}

}  // namespace hv::vtx
