// The common link set: instructions that the hypervisor and a guest kernel both use.
//
// Unless a line says otherwise, an operation is private to the processor that executes it. An
// operation that the processor refuses raises the exception that the processor would raise; the
// try_ form returns that exception and changes nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "machine/address.h"

namespace machine {

struct CpuidResult {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};

/// An exception of the processor (SDM vol. 3 6.15).
struct Exception {
  std::uint8_t vector = 0;
  std::uint32_t error_code = 0;
  friend constexpr bool operator==(const Exception&, const Exception&) = default;
};

/// What an interrupt or exception handler is told.
struct InterruptFrame {
  std::uint64_t vector = 0;
  std::uint64_t error_code = 0;
  std::uint64_t rip = 0;
  std::uint64_t rflags = 0;
};

using InterruptHandler = void (*)(const InterruptFrame&);

/// CPUID. In a guest it always exits to the hypervisor.
[[nodiscard]] CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf);

/// RDMSR and WRMSR. #GP(0) for an MSR or a value that the processor refuses.
[[nodiscard]] std::uint64_t read_msr(std::uint32_t msr);
void write_msr(std::uint32_t msr, std::uint64_t value);
[[nodiscard]] std::expected<std::uint64_t, Exception> try_read_msr(std::uint32_t msr);
[[nodiscard]] std::expected<void, Exception> try_write_msr(std::uint32_t msr, std::uint64_t value);

/// IN and OUT. Devices see them: another actor may act before they complete. A port without a
/// device reads all-ones.
[[nodiscard]] std::uint8_t in_u8(std::uint16_t port);
[[nodiscard]] std::uint16_t in_u16(std::uint16_t port);
[[nodiscard]] std::uint32_t in_u32(std::uint16_t port);
void out_u8(std::uint16_t port, std::uint8_t value);
void out_u16(std::uint16_t port, std::uint16_t value);
void out_u32(std::uint16_t port, std::uint32_t value);

/// RDTSC: ticks of the time-stamp counter.
[[nodiscard]] std::uint64_t read_tsc();

/// XMM0 to XMM5, each as its low and its high quadword.
struct XmmRegisters {
  std::array<std::uint64_t, 12> quadwords{};
  friend constexpr bool operator==(const XmmRegisters&, const XmmRegisters&) = default;
};

/// MOVUPS from and to XMM0 ... XMM5 of the executing processor, whose CR4.OSFXSR is set (#UD
/// otherwise). No program above the seam computes with them: what is in them stays until someone
/// writes them, or another virtual processor's state is restored over them.
void read_xmm(XmmRegisters& registers);
void write_xmm(const XmmRegisters& registers);

/// XGETBV and XSETBV of XCR0, the processor's extended states in use (SDM vol. 1 13.3). #UD where
/// CR4.OSXSAVE is clear, #GP(0) for a value that the processor refuses. In a guest writing always
/// exits to the hypervisor.
[[nodiscard]] std::uint64_t read_xcr0();
[[nodiscard]] std::expected<void, Exception> try_write_xcr0(std::uint64_t value);

/// MFENCE: every store before it is visible to all processors before any load after it.
void fence();

/// PAUSE: one turn of a spin loop. Every loop that waits for another processor calls it.
void pause();

/// CLI; returns whether interrupts were enabled before (RFLAGS.IF).
bool disable_interrupts();
/// STI. A pending interrupt is taken before the next operation.
void enable_interrupts();
[[nodiscard]] bool interrupts_enabled();

/// STI; HLT; CLI as one operation: enables interrupts and sleeps until one has been handled. No
/// interrupt that becomes pending between a check made with interrupts disabled and this call is
/// missed. Called, and returns, with interrupts disabled.
void sti_hlt();

/// Installs the handler of one vector (0..255) for every processor of the calling program. Handlers
/// run with interrupts disabled, on the stack of what they interrupt, and find their processor with
/// processor_local(). A vector without a handler is fatal to the program when it arrives.
void set_interrupt_handler(std::uint8_t vector, InterruptHandler handler);

/// The word that each processor keeps for its program (the GS base on metal); null until set.
[[nodiscard]] void* processor_local();
void set_processor_local(void* object);

/// The memory for the calling program's private C++ objects: one region for all its processors, at
/// an address that stays. Its content at boot is undefined. It is never shared with another
/// partition nor reached by a device.
[[nodiscard]] std::span<std::byte> arena();

/// Tells that computation worth this much time was done. Nothing on metal.
void spend(std::uint64_t nanoseconds);

}  // namespace machine
