#include "tests/sim/tiny_hypervisor.h"

#include <array>

#include "machine/image.h"
#include "machine/invariant.h"
#include "machine/shared.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace tiny {

namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Spa;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::vmread;
using machine::vmwrite;
using machine::VmxResult;

constexpr std::uint64_t kPages = 0x0020'0000;  // this hypervisor's own, from here on
constexpr std::uint64_t kPerProcessor = 0x10'000;
constexpr std::uint64_t kEpt = 0x0040'0000;
constexpr std::uint64_t kRights = vmx::kEptRead | vmx::kEptWrite | vmx::kEptExecute;
constexpr std::uint64_t kWriteBack = vmx::kMemoryTypeWriteBack << vmx::kEptMemoryTypeShift;
constexpr std::uint64_t kTop = kEpt;
constexpr std::uint64_t kPointers = kEpt + 0x1000;
constexpr std::uint64_t kDirectory = kEpt + 0x2000;
constexpr std::uint64_t kTable = kEpt + 0x3000;

constexpr std::uint64_t kEptPointer = kTop | vmx::kMemoryTypeWriteBack | vmx::kEptpWalkLength4;

/// 1 GiB of identity: 2-MiB pages, but for the one that holds kSmallPage.
void build_ept() {
  machine::store_u64(Spa(kTop), kPointers | kRights);
  machine::store_u64(Spa(kPointers), kDirectory | kRights);
  for (std::uint64_t index = 0; index < 512; ++index) {
    machine::store_u64(Spa(kDirectory + index * 8), (index * machine::kLargePageSize) | kRights |
                                                        kWriteBack | vmx::kEptLargePage);
  }
  const std::uint64_t large = kSmallPage / machine::kLargePageSize;
  machine::store_u64(Spa(kDirectory + large * 8), kTable | kRights);
  for (std::uint64_t index = 0; index < 512; ++index) {
    machine::store_u64(
        Spa(kTable + index * 8),
        (large * machine::kLargePageSize + index * machine::kPageSize) | kRights | kWriteBack);
  }
}

std::uint32_t control(std::uint32_t wanted, std::uint32_t msr) {
  const std::uint64_t allowed = machine::read_msr(msr);
  return (wanted | static_cast<std::uint32_t>(allowed)) & static_cast<std::uint32_t>(allowed >> 32);
}

void write_controls(std::uint64_t pages) {
  vmwrite(Vmcs32::kPinBasedControls,
          control(vmx::kPinExternalInterruptExiting, x86::kMsrVmxTruePinbasedControls));
  vmwrite(Vmcs32::kProcessorBasedControls,
          control(vmx::kHltExiting | vmx::kUseMsrBitmaps | vmx::kActivateSecondaryControls,
                  x86::kMsrVmxTrueProcbasedControls));
  vmwrite(Vmcs32::kSecondaryProcessorBasedControls,
          control(vmx::kEnableEpt | vmx::kUnrestrictedGuest | vmx::kEnableVpid,
                  x86::kMsrVmxProcbasedControls2));
  vmwrite(Vmcs32::kVmExitControls,
          control(vmx::kExitHostAddressSpaceSize | vmx::kExitAcknowledgeInterrupt |
                      vmx::kExitSaveEfer | vmx::kExitLoadEfer | vmx::kExitLoadPat,
                  x86::kMsrVmxTrueExitControls));
  vmwrite(Vmcs32::kVmEntryControls,
          control(vmx::kEntryIa32eModeGuest | vmx::kEntryLoadEfer, x86::kMsrVmxTrueEntryControls));
  vmwrite(Vmcs32::kExceptionBitmap, 0);
  vmwrite(Vmcs32::kPageFaultErrorCodeMask, 0);
  vmwrite(Vmcs32::kPageFaultErrorCodeMatch, 0);
  vmwrite(Vmcs32::kCr3TargetCount, 0);
  vmwrite(Vmcs32::kVmExitMsrStoreCount, 0);
  vmwrite(Vmcs32::kVmExitMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, 0);
  vmwrite(Vmcs64::kEptPointer, kEptPointer);
  vmwrite(Vmcs64::kMsrBitmap, pages + 0x2000);
  vmwrite(Vmcs64::kTscOffset, 0);
  vmwrite(Vmcs64::kVmcsLinkPointer, ~std::uint64_t{0});
  vmwrite(Vmcs16::kVpid, 1);
}

void write_segments() {
  constexpr std::uint32_t kCode64 = 0xA09B;
  constexpr std::uint32_t kData = 0xC093;
  constexpr std::uint32_t kTask = 0x8B;
  constexpr std::uint32_t kUnusable = 1u << 16;
  // ES, CS, SS, DS, FS, GS, LDTR, TR: the fields of one kind are two encodings apart.
  constexpr std::array<std::uint32_t, 8> kAccess = {kData, kCode64, kData,     kData,
                                                    kData, kData,   kUnusable, kTask};
  for (std::uint32_t index = 0; index < kAccess.size(); ++index) {
    const auto nth = [index](auto field) {
      return static_cast<decltype(field)>(static_cast<std::uint32_t>(field) + 2 * index);
    };
    const bool wide = kAccess[index] != kTask && kAccess[index] != kUnusable;
    vmwrite(nth(Vmcs16::kGuestEsSelector),
            static_cast<std::uint16_t>(kAccess[index] == kUnusable ? 0 : 8 * (index + 1)));
    vmwrite(nth(Vmcs32::kGuestEsLimit), wide ? ~0u : 0x67u);
    vmwrite(nth(Vmcs32::kGuestEsAccessRights), kAccess[index]);
    vmwrite(nth(VmcsNatural::kGuestEsBase), 0);
  }
}

void write_registers(const machine::ImageHeader& header, std::uint32_t lp) {
  vmwrite(VmcsNatural::kGuestCr0, vmread(VmcsNatural::kHostCr0));
  vmwrite(VmcsNatural::kGuestCr3, header.page_tables_gpa);
  vmwrite(VmcsNatural::kGuestCr4, vmread(VmcsNatural::kHostCr4));
  vmwrite(VmcsNatural::kGuestDr7, 0x400);
  vmwrite(VmcsNatural::kGuestRsp, header.stacks_gpa + (lp + 1) * header.stack_size_bytes);
  vmwrite(VmcsNatural::kGuestRip, lp == 0 ? header.entry_gpa : header.processor_entry_gpa);
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed);
  vmwrite(VmcsNatural::kGuestGdtrBase, 0);
  vmwrite(Vmcs32::kGuestGdtrLimit, 0x7F);
  vmwrite(VmcsNatural::kGuestIdtrBase, 0);
  vmwrite(Vmcs32::kGuestIdtrLimit, 0xFFF);
  vmwrite(VmcsNatural::kGuestPendingDebugExceptions, 0);
  vmwrite(VmcsNatural::kGuestSysenterEsp, 0);
  vmwrite(VmcsNatural::kGuestSysenterEip, 0);
  vmwrite(Vmcs32::kGuestSysenterCs, 0);
  vmwrite(Vmcs32::kGuestInterruptibilityState, 0);
  vmwrite(Vmcs32::kGuestActivityState, vmx::kActivityActive);
  vmwrite(Vmcs64::kGuestDebugctl, 0);
  vmwrite(Vmcs64::kGuestEfer, x86::kEferLme | x86::kEferLma | x86::kEferNxe);
  vmwrite(VmcsNatural::kCr0GuestHostMask, 0);
  vmwrite(VmcsNatural::kCr4GuestHostMask, 0);
  vmwrite(VmcsNatural::kCr0ReadShadow, 0);
  vmwrite(VmcsNatural::kCr4ReadShadow, 0);
}

void load_image(const machine::BootInformation& information) {
  const machine::BootModule& module = information.modules[0];
  machine::ImageHeader header;
  machine::read_memory(Spa(module.base), std::as_writable_bytes(std::span(&header, 1)));
  INVARIANT(header.magic == machine::kImageMagic);
  std::array<std::byte, machine::kPageSize> page{};
  for (std::uint64_t done = 0; done < module.size_bytes; done += page.size()) {
    machine::read_memory(Spa(module.base + done), page);
    machine::write_memory(Spa(header.load_gpa + done), page);
  }
  constexpr std::array<std::byte, 4> kVmcallAndReturn = {std::byte{0x0F}, std::byte{0x01},
                                                         std::byte{0xC1}, std::byte{0xC3}};
  machine::write_memory(Spa(kHypercallPage), kVmcallAndReturn);
}

/// The first 8 bytes of the arena: whether processor 0 has set up what all use.
machine::Shared<std::uint64_t>& ready() {
  return *reinterpret_cast<machine::Shared<std::uint64_t>*>(machine::arena().data());
}

constexpr std::uint64_t kReady = 0x5244'5945'5244'5945;

}  // namespace

void advance() {
  const std::uint32_t length = vmread(VmcsReadOnly32::kExitInstructionLength);
  const std::uint64_t rip = vmread(VmcsNatural::kGuestRip);
  vmwrite(VmcsNatural::kGuestRip, rip + length);
  const std::uint32_t blocking = vmread(Vmcs32::kGuestInterruptibilityState);
  vmwrite(Vmcs32::kGuestInterruptibilityState,
          blocking & ~(vmx::kBlockingBySti | vmx::kBlockingByMovSs));
}

void inject_interrupt(std::uint8_t vector) {
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, vmx::kEventValid | vector);
}

void inject_exception(std::uint8_t vector) {
  const bool with_error_code = vector == x86::kVectorGeneralProtection;
  vmwrite(Vmcs32::kVmEntryInterruptionInformation,
          vmx::kEventValid | (with_error_code ? vmx::kEventErrorCodeValid : 0) |
              (vmx::kEventTypeHardwareException << vmx::kEventTypeShift) | vector);
  vmwrite(Vmcs32::kVmEntryExceptionErrorCode, 0);
}

void set_preemption_ticks(std::uint32_t ticks) {
  const std::uint32_t pin = vmread(Vmcs32::kPinBasedControls);
  vmwrite(Vmcs32::kPinBasedControls, pin | vmx::kPinPreemptionTimer);
  vmwrite(Vmcs32::kPreemptionTimerValue, ticks);
}

void set_small_page(std::uint64_t spa, std::uint64_t rights) {
  machine::store_u64(Spa(kTable), spa | rights | (rights != 0 ? kWriteBack : 0));
}

void invalidate() {
  INVARIANT(machine::invept(machine::InveptKind::kSingleContext, kEptPointer) ==
            VmxResult::kSucceed);
}

void run(const machine::BootInformation& information, std::uint32_t lp, void (*prepare)(),
         void (*handle)(Guest&)) {
  if (lp == 0) {
    load_image(information);
    build_ept();
    ready().store(kReady);
  }
  while (ready().load() != kReady) {
    machine::pause();
  }
  machine::ImageHeader header;
  machine::read_memory(Spa(information.modules[0].base),
                       std::as_writable_bytes(std::span(&header, 1)));
  const std::uint64_t apic_base = machine::read_msr(x86::kMsrApicBase);
  machine::write_msr(x86::kMsrApicBase, apic_base | x86::kApicBaseX2ApicEnable);
  const std::uint64_t pages = kPages + lp * kPerProcessor;
  const auto revision =
      static_cast<std::uint32_t>(machine::read_msr(x86::kMsrVmxBasic)) & 0x7FFF'FFFF;
  machine::store_u32(Spa(pages), revision);
  machine::store_u32(Spa(pages + 0x1000), revision);
  machine::fill_memory(Spa(pages + 0x2000), machine::kPageSize, 0xFF);
  INVARIANT(machine::vmxon(Spa(pages)) == VmxResult::kSucceed);
  INVARIANT(machine::vmclear(Spa(pages + 0x1000)) == VmxResult::kSucceed);
  INVARIANT(machine::vmptrld(Spa(pages + 0x1000)) == VmxResult::kSucceed);
  machine::vmcs_write_host_state();
  write_controls(pages);
  write_segments();
  write_registers(header, lp);
  if (prepare != nullptr) {
    prepare();
  }
  Guest guest;
  guest.lp = lp;
  auto kind = machine::EntryKind::kLaunch;
  for (;;) {
    INVARIANT(machine::enter_guest(kind, guest.registers) == VmxResult::kSucceed);
    const std::uint32_t reason = vmread(VmcsReadOnly32::kExitReason);
    INVARIANT((reason & vmx::kExitReasonEntryFailure) == 0);
    kind = machine::EntryKind::kResume;
    guest.reason = static_cast<vmx::ExitReason>(reason);
    handle(guest);
  }
}

sim::WorldConfiguration world(machine::HypervisorEntry entry, void (*boot)(),
                              void (*boot_processor)()) {
  sim::WorldConfiguration configuration;
  configuration.hypervisor = {.entry = entry, .arena_bytes = 64 * 1024};
  configuration.memory_bytes = std::uint64_t{64} << 20;
  configuration.guests.push_back({.name = "guest",
                                  .boot = boot,
                                  .boot_processor = boot_processor,
                                  .load_gpa = 0x0080'0000,
                                  .max_processors = 2,
                                  .stack_bytes = 64 * 1024,
                                  .arena_bytes = 64 * 1024});
  return configuration;
}

}  // namespace tiny
