// The first processor's way from the boot loader to the hypervisor.
#include "machine/boot.h"

#include "hv/boot.h"
#include "machine/common.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "metal/hypervisor/acpi.h"
#include "metal/hypervisor/multiboot.h"
#include "metal/hypervisor/other_processors.h"
#include "metal/hypervisor/processor_state.h"
#include "metal/hypervisor/requirements.h"
#include "metal/hypervisor/time_stamp_counter.h"
#include "metal/metal.h"

namespace metal {
namespace {

constexpr std::uint16_t kPicFirstMask = 0x21;
constexpr std::uint16_t kPicSecondMask = 0xA1;
constexpr std::uint32_t kUnfitMachineCode = 2;
constexpr std::uint64_t kSpuriousVector = 0xFF;

constinit machine::BootInformation information;

/// Nothing interrupts until the root programs the interrupt controllers; their output reaches
/// processor 0 through LINT0 (virtual wire mode, MultiProcessor Specification 3.6.2.2).
void quiet_interrupts() {
  machine::out_u8(kPicFirstMask, 0xFF);
  machine::out_u8(kPicSecondMask, 0xFF);
}

void wire_legacy_interrupts() {
  namespace x86 = machine::x86;
  machine::write_msr(x86::kX2ApicSvr, x86::kApicSoftwareEnable | kSpuriousVector);
  machine::write_msr(x86::kX2ApicLvtLint0, x86::kLvtDeliveryExtInt);
}

}  // namespace

// From boot_entry.S, in 64-bit mode with interrupts disabled.
extern "C" void metal_boot(std::uint32_t magic, std::uint64_t multiboot) {
  serial_initialize();
  if (magic != kMultibootMagic) {
    panic("not started by a Multiboot2 boot loader");
  }
  load_processor_state(0);
  if (!processor_has_what_is_needed()) {
    machine::stop(kUnfitMachineCode);
  }
  allow_vmx_operation();
  quiet_interrupts();
  information.tsc_frequency_hz = measure_tsc_frequency_hz();
  const ProcessorList processors = read_processor_list(multiboot_acpi_root(multiboot));
  read_multiboot(multiboot, information);
  start_other_processors(processors, information);
  wire_legacy_interrupts();
  release_other_processors();
  hv::boot(information, 0);
}

}  // namespace metal
