// The VMX root link set: what only the hypervisor does (SDM vol. 3 chapters 24-31).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/address.h"
#include "machine/common.h"
#include "machine/vmcs_fields.h"

namespace machine {

// --- System memory -------------------------------------------------------------------------------
// As in guest.h, but at system physical addresses. The whole of system memory is reachable.

[[nodiscard]] std::uint8_t load_u8(Spa address);
[[nodiscard]] std::uint16_t load_u16(Spa address);
[[nodiscard]] std::uint32_t load_u32(Spa address);
[[nodiscard]] std::uint64_t load_u64(Spa address);
void store_u8(Spa address, std::uint8_t value);
void store_u16(Spa address, std::uint16_t value);
void store_u32(Spa address, std::uint32_t value);
void store_u64(Spa address, std::uint64_t value);
std::uint32_t exchange_u32(Spa address, std::uint32_t value);
std::uint32_t compare_exchange_u32(Spa address, std::uint32_t expected, std::uint32_t desired);
std::uint64_t compare_exchange_u64(Spa address, std::uint64_t expected, std::uint64_t desired);
std::uint8_t fetch_or_u8(Spa address, std::uint8_t bits);
std::uint32_t fetch_or_u32(Spa address, std::uint32_t bits);
std::uint32_t fetch_and_u32(Spa address, std::uint32_t bits);
std::uint64_t fetch_or_u64(Spa address, std::uint64_t bits);
std::uint64_t fetch_and_u64(Spa address, std::uint64_t bits);
void read_memory(Spa from, std::span<std::byte> to);
void write_memory(Spa to, std::span<const std::byte> from);
void fill_memory(Spa to, std::uint64_t size_bytes, std::uint8_t value);

/// The hypervisor's own view of one page of system memory, for C++ objects that are private to it
/// and live in memory that a partition deposited. The pointer is valid while the machine runs; an
/// object never crosses the page. Never used for a page that a guest can reach.
[[nodiscard]] std::byte* direct_map(Spn page);

// --- VMX instructions ----------------------------------------------------------------------------

/// How a VMX instruction ended (SDM vol. 3 30.2). After kFailValid the VM-instruction error field
/// of the current VMCS says why.
enum class VmxResult : std::uint8_t { kSucceed, kFailInvalid, kFailValid };

[[nodiscard]] VmxResult vmxon(Spa region);
void vmxoff();
[[nodiscard]] VmxResult vmclear(Spa region);
[[nodiscard]] VmxResult vmptrld(Spa region);

/// VMREAD and VMWRITE on the current VMCS, typed by the field's width. A field that the processor
/// does not have is a programming error; read-only fields exist for vmread alone.
[[nodiscard]] std::uint16_t vmread(Vmcs16 field);
[[nodiscard]] std::uint32_t vmread(Vmcs32 field);
[[nodiscard]] std::uint32_t vmread(VmcsReadOnly32 field);
[[nodiscard]] std::uint64_t vmread(Vmcs64 field);
[[nodiscard]] std::uint64_t vmread(VmcsReadOnly64 field);
[[nodiscard]] std::uint64_t vmread(VmcsNatural field);
[[nodiscard]] std::uint64_t vmread(VmcsReadOnlyNatural field);
void vmwrite(Vmcs16 field, std::uint16_t value);
void vmwrite(Vmcs32 field, std::uint32_t value);
void vmwrite(Vmcs64 field, std::uint64_t value);
void vmwrite(VmcsNatural field, std::uint64_t value);

/// Writes the host-state area of the current VMCS so that an exit returns from enter_guest on this
/// processor. Descriptor tables, selectors and stacks are the machine's own business.
void vmcs_write_host_state();

/// The registers that neither the VMCS nor the processor saves. RSP, RIP and RFLAGS are in the
/// VMCS.
struct GuestRegisters {
  std::uint64_t rax = 0;
  std::uint64_t rcx = 0;
  std::uint64_t rdx = 0;
  std::uint64_t rbx = 0;
  std::uint64_t rbp = 0;
  std::uint64_t rsi = 0;
  std::uint64_t rdi = 0;
  std::uint64_t r8 = 0;
  std::uint64_t r9 = 0;
  std::uint64_t r10 = 0;
  std::uint64_t r11 = 0;
  std::uint64_t r12 = 0;
  std::uint64_t r13 = 0;
  std::uint64_t r14 = 0;
  std::uint64_t r15 = 0;
  std::uint64_t cr2 = 0;
};

enum class EntryKind : std::uint8_t { kLaunch, kResume };

/// VMLAUNCH or VMRESUME with the registers loaded before and saved after. Called with interrupts
/// disabled. kSucceed means that a VM exit (or a failed entry past the control checks, exit reason
/// bit 31) brought control back and the exit fields of the VMCS are valid; otherwise no guest ran.
[[nodiscard]] VmxResult enter_guest(EntryKind kind, GuestRegisters& registers);

/// XSAVEOPT and XRSTOR in the standard format (SDM vol. 1 13.4, 13.8, 13.9) of those `components`
/// that XCR0 has. A component in its initial state is not written: XSTATE_BV tells so. `area` is
/// aligned to 64 bytes and as large as CPUID leaf 0DH says; an area that the processor does not
/// take is a defect of the hypervisor.
void save_extended_state(Spa area, std::uint64_t components);
void restore_extended_state(Spa area, std::uint64_t components);

enum class InveptKind : std::uint8_t { kSingleContext = 1, kAllContexts = 2 };
enum class InvvpidKind : std::uint8_t { kAddress = 0, kSingleContext = 1, kAllContexts = 2 };

/// Drops what this processor's TLB holds (SDM vol. 3 28.4.3). `eptp` is ignored for all contexts.
[[nodiscard]] VmxResult invept(InveptKind kind, std::uint64_t eptp);
[[nodiscard]] VmxResult invvpid(InvvpidKind kind, std::uint16_t vpid, std::uint64_t linear_address);

/// Ends the machine's run. `code` 0 is success. Does not return.
[[noreturn]] void stop(std::uint32_t code);

}  // namespace machine
