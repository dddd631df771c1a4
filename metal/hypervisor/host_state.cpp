// The host-state area of a VMCS (SDM vol. 3 24.5): an exit finds this program as enter_guest left
// it.
#include <cstddef>

#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "metal/hypervisor/layout.h"
#include "metal/hypervisor/processor_state.h"

extern "C" const char metal_guest_exit[];

namespace {

using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::vmwrite;

// What guest_entry.S assumes.
static_assert(offsetof(machine::GuestRegisters, rax) == 0);
static_assert(offsetof(machine::GuestRegisters, rsi) == 40);
static_assert(offsetof(machine::GuestRegisters, r8) == 56);
static_assert(offsetof(machine::GuestRegisters, cr2) == 120);
static_assert(static_cast<int>(machine::EntryKind::kLaunch) == 0);

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

void write_selectors() {
  vmwrite(Vmcs16::kHostCsSelector, SELECTOR_CODE64);
  vmwrite(Vmcs16::kHostSsSelector, SELECTOR_DATA);
  vmwrite(Vmcs16::kHostDsSelector, SELECTOR_DATA);
  vmwrite(Vmcs16::kHostEsSelector, SELECTOR_DATA);
  vmwrite(Vmcs16::kHostFsSelector, 0);
  vmwrite(Vmcs16::kHostGsSelector, 0);
  vmwrite(Vmcs16::kHostTrSelector, SELECTOR_TSS);
}

void write_tables() {
  TablePointer gdt{};
  TablePointer idt{};
  asm volatile("sgdt %0" : "=m"(gdt));
  asm volatile("sidt %0" : "=m"(idt));
  vmwrite(VmcsNatural::kHostGdtrBase, gdt.base);
  vmwrite(VmcsNatural::kHostIdtrBase, idt.base);
  vmwrite(VmcsNatural::kHostTrBase, metal::task_state_address());
}

void write_control_registers() {
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  asm volatile("movq %%cr0, %0" : "=r"(cr0));
  asm volatile("movq %%cr3, %0" : "=r"(cr3));
  asm volatile("movq %%cr4, %0" : "=r"(cr4));
  vmwrite(VmcsNatural::kHostCr0, cr0);
  vmwrite(VmcsNatural::kHostCr3, cr3);
  vmwrite(VmcsNatural::kHostCr4, cr4);
}

}  // namespace

namespace machine {

void vmcs_write_host_state() {
  write_selectors();
  write_tables();
  write_control_registers();
  vmwrite(VmcsNatural::kHostFsBase, 0);
  vmwrite(VmcsNatural::kHostGsBase, read_msr(x86::kMsrGsBase));
  vmwrite(VmcsNatural::kHostSysenterEsp, 0);
  vmwrite(VmcsNatural::kHostSysenterEip, 0);
  vmwrite(Vmcs32::kHostSysenterCs, 0);
  vmwrite(Vmcs64::kHostPat, read_msr(x86::kMsrPat));
  vmwrite(Vmcs64::kHostEfer, read_msr(x86::kMsrEfer));
  vmwrite(VmcsNatural::kHostRip, reinterpret_cast<std::uint64_t>(metal_guest_exit));
}

}  // namespace machine
