// A hypervisor of one screen for the simulator's own tests: it enters one guest on each processor
// and gives every exit to the test.
#pragma once

#include <cstdint>

#include "machine/boot.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "sim/world.h"

namespace tiny {

/// What the exit handler sees and may change.
struct Guest {
  machine::GuestRegisters registers;
  std::uint32_t lp = 0;
  machine::vmx::ExitReason reason{};
};

/// RIP past the instruction that caused the exit, as an emulated instruction leaves it.
void advance();
/// An event for the next entry: an interrupt, or an exception with error code 0.
void inject_interrupt(std::uint8_t vector);
void inject_exception(std::uint8_t vector);
/// Ends the guest after so much time without another exit.
void set_preemption_ticks(std::uint32_t ticks);

/// Where the tiny hypervisor lets a guest find its "hypercall page".
inline constexpr std::uint64_t kHypercallPage = 0x0050'0000;
/// A guest-physical page that maps to itself at first, by a small page of its own.
inline constexpr std::uint64_t kSmallPage = 0x0060'0000;
/// Rights of kSmallPage in the EPT (bits of an EPT entry); without an INVEPT.
void set_small_page(std::uint64_t spa, std::uint64_t rights);
void invalidate();

/// Boots on the executing processor: VMXON, a VMCS, the kernel's image where it belongs, then
/// entries without end. Each exit calls `handle`. `prepare` may change the VMCS first.
[[noreturn]] void run(const machine::BootInformation& information, std::uint32_t lp,
                      void (*prepare)(), void (*handle)(Guest&));

/// A world with this hypervisor and this kernel.
[[nodiscard]] sim::WorldConfiguration world(machine::HypervisorEntry entry, void (*boot)(),
                                            void (*boot_processor)() = nullptr);

}  // namespace tiny
