// Guests of a few instructions, each for one way of leaving the guest or of acting on it.
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/metal/seam_check.h"

// The guests (below). They end in a loop of VMCALL so that a wrong turn is an exit, not a crash.
extern "C" {
void guest_cpuid();
void guest_registers();
void guest_halt();
void guest_touch_unmapped();
void guest_spin();
void guest_read_msr();
void guest_port();
void guest_wait_for_interrupt();
void guest_change_xmm();
}

asm(R"(
  .pushsection .text
guest_cpuid:
  movl $0x40000000, %eax
  cpuid
1:vmcall
  jmp 1b

guest_registers:
  xchgq %rax, %r15
  xchgq %rbx, %rbp
  movq %cr2, %rdx
  movq $0x5678, %rcx
  movq %rcx, %cr2
  notq %r8
1:vmcall
  jmp 1b

guest_halt:
  hlt
1:vmcall
  jmp 1b

guest_touch_unmapped:
  movl $0x20000008, %eax
  movq %rax, (%rax)
1:vmcall
  jmp 1b

guest_spin:
  pause
  jmp guest_spin

guest_read_msr:
  movl $0x10, %ecx
  rdmsr
1:vmcall
  jmp 1b

guest_port:
  movl $0x71, %edx
  inb %dx, %al
1:vmcall
  jmp 1b

guest_wait_for_interrupt:
  sti
1:pause
  jmp 1b

guest_change_xmm:
  movups %xmm1, %xmm0
1:vmcall
  jmp 1b
  .popsection
)");

namespace seam_check {
namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::EntryKind;
using machine::GuestRegisters;
using machine::Vmcs32;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::VmcsReadOnly64;
using machine::VmcsReadOnlyNatural;
using machine::vmread;
using machine::vmwrite;
using machine::VmxResult;
using vmx::ExitReason;

constexpr std::uint8_t kGuestVector = 0x70;
constexpr std::uint8_t kHostVector = 0x71;

std::uint64_t address_of(void (*guest)()) { return reinterpret_cast<std::uint64_t>(guest); }

ExitReason reason() { return static_cast<ExitReason>(vmread(VmcsReadOnly32::kExitReason)); }

/// Enters a fresh guest at `code`; whether it came back for the reason `expected`.
bool leaves_for(ExitReason expected, void (*code)(), GuestRegisters& registers) {
  vmwrite(VmcsNatural::kGuestRip, address_of(code));
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed);
  vmwrite(Vmcs32::kGuestInterruptibilityState, 0);
  return machine::enter_guest(EntryKind::kResume, registers) == VmxResult::kSucceed &&
         reason() == expected;
}

void advance() {
  vmwrite(VmcsNatural::kGuestRip,
          vmread(VmcsNatural::kGuestRip) + vmread(VmcsReadOnly32::kExitInstructionLength));
}

void check_entries() {
  GuestRegisters registers{};
  prepare_guest(address_of(guest_cpuid));
  check("VMRESUME before VMLAUNCH fails",
        machine::enter_guest(EntryKind::kResume, registers) == VmxResult::kFailValid &&
            vmread(VmcsReadOnly32::kVmInstructionError) == vmx::kErrorVmresumeNonLaunchedVmcs);
  vmwrite(Vmcs32::kPinBasedControls, 0);
  check("an entry with controls that the processor refuses fails with error 7",
        machine::enter_guest(EntryKind::kLaunch, registers) == VmxResult::kFailValid &&
            vmread(VmcsReadOnly32::kVmInstructionError) == vmx::kErrorInvalidControlFields);
  prepare_guest(address_of(guest_cpuid));
  vmwrite(VmcsNatural::kGuestRflags, 0);
  check("an entry with guest state that the processor refuses comes back as a failed entry",
        machine::enter_guest(EntryKind::kLaunch, registers) == VmxResult::kSucceed &&
            vmread(VmcsReadOnly32::kExitReason) ==
                (vmx::kExitReasonEntryFailure |
                 static_cast<std::uint32_t>(ExitReason::kEntryFailureGuestState)));
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed);
  check("VMLAUNCH enters the guest, and CPUID leaves it",
        machine::enter_guest(EntryKind::kLaunch, registers) == VmxResult::kSucceed &&
            reason() == ExitReason::kCpuid && registers.rax == 0x40000000 &&
            vmread(VmcsReadOnly32::kExitInstructionLength) == 2);
  advance();
  check("VMRESUME goes on after the instruction",
        machine::enter_guest(EntryKind::kResume, registers) == VmxResult::kSucceed &&
            reason() == ExitReason::kVmcall);
}

void check_registers() {
  GuestRegisters registers{};
  registers.rax = 0xA;
  registers.r15 = 0xF;
  registers.rbx = 0xB;
  registers.rbp = 0xBB;
  registers.rsi = 0x51;
  registers.rdi = 0xD1;
  registers.r8 = ~0x88ull;
  registers.r12 = 0x12;
  registers.cr2 = 0x1234000;
  check("a guest's registers are loaded before and saved after",
        leaves_for(ExitReason::kVmcall, guest_registers, registers) && registers.rax == 0xF &&
            registers.r15 == 0xA && registers.rbx == 0xBB && registers.rbp == 0xB &&
            registers.rsi == 0x51 && registers.rdi == 0xD1 && registers.r8 == 0x88 &&
            registers.r12 == 0x12);
  check("CR2 belongs to the guest", registers.rdx == 0x1234000 && registers.cr2 == 0x5678);
}

void check_exits() {
  GuestRegisters registers{};
  check("HLT leaves the guest", leaves_for(ExitReason::kHlt, guest_halt, registers));
  check("an access that the EPT does not map leaves the guest",
        leaves_for(ExitReason::kEptViolation, guest_touch_unmapped, registers));
  check("an EPT violation tells the address and the access",
        vmread(VmcsReadOnly64::kGuestPhysicalAddress) == kUnmappedGpa + 8 &&
            (vmread(VmcsReadOnlyNatural::kExitQualification) & 7) == vmx::kEptViolationWrite);
  check("an MSR whose bit is clear in the bitmap does not leave the guest",
        leaves_for(ExitReason::kVmcall, guest_read_msr, registers));
  machine::store_u8(page(Page::kMsrBitmap) + 0x10 / 8, 1);
  check("an MSR whose bit is set in the bitmap leaves the guest",
        leaves_for(ExitReason::kRdmsr, guest_read_msr, registers) && registers.rcx == 0x10);
  check("a port whose bit is clear in the bitmap does not leave the guest",
        leaves_for(ExitReason::kVmcall, guest_port, registers));
  machine::store_u8(page(Page::kIoBitmapA) + 0x71 / 8, 1u << (0x71 % 8));
  check("a port whose bit is set in the bitmap leaves the guest",
        leaves_for(ExitReason::kIoInstruction, guest_port, registers) &&
            vmread(VmcsReadOnlyNatural::kExitQualification) >> 16 == 0x71);
}

void check_guest_xmm() {
  GuestRegisters registers{};
  machine::XmmRegisters before;
  before.quadwords = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  machine::write_xmm(before);
  const bool left = leaves_for(ExitReason::kVmcall, guest_change_xmm, registers);
  machine::XmmRegisters after;
  machine::read_xmm(after);
  before.quadwords[0] = 3;
  before.quadwords[1] = 4;
  check("the XMM registers are the guest's from entry to exit and on", left && after == before);
}

// Runs in the guest, on the guest's stack.
void on_guest_interrupt(const machine::InterruptFrame&) { asm volatile("vmcall"); }

void check_events() {
  GuestRegisters registers{};
  const std::uint32_t pin = vmread(Vmcs32::kPinBasedControls);
  vmwrite(Vmcs32::kPinBasedControls, pin | vmx::kPinPreemptionTimer);
  vmwrite(Vmcs32::kPreemptionTimerValue, 1000);
  check("the preemption timer leaves a guest that never would",
        leaves_for(ExitReason::kPreemptionTimer, guest_spin, registers));
  vmwrite(Vmcs32::kPinBasedControls, pin);

  machine::set_interrupt_handler(kGuestVector, on_guest_interrupt);
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, vmx::kEventValid | kGuestVector);
  vmwrite(VmcsNatural::kGuestRip, address_of(guest_spin));
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed | x86::kRflagsIf);
  check("an injected interrupt runs the guest's handler",
        machine::enter_guest(EntryKind::kResume, registers) == VmxResult::kSucceed &&
            reason() == ExitReason::kVmcall);
  check("an injected event is spent by the entry",
        (vmread(Vmcs32::kVmEntryInterruptionInformation) & vmx::kEventValid) == 0);

  machine::write_msr(x86::kX2ApicSelfIpi, kHostVector);
  check("an external interrupt leaves a guest that has interrupts enabled",
        leaves_for(ExitReason::kExternalInterrupt, guest_wait_for_interrupt, registers));
  check("the exit acknowledges the interrupt and tells its vector",
        vmread(VmcsReadOnly32::kExitInterruptionInformation) == (vmx::kEventValid | kHostVector));
  machine::write_msr(x86::kX2ApicEoi, 0);
}

}  // namespace

void check_guests() {
  check_entries();
  check_registers();
  check_exits();
  check_guest_xmm();
  check_events();
}

}  // namespace seam_check
