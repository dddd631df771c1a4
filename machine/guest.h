// The guest link set: what only the kernel of a partition does.
//
// Addresses are guest physical; kernels run on identity page tables. An access that the GPA space
// refuses does not return until the parent has resolved it.
//
// Loads and stores are the plain ones of x86: a load has acquire order and a store release order,
// and a store may be seen by others after a later load (fence() prevents it). Every operation here
// may be the point where another actor acts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/address.h"
#include "machine/common.h"

namespace machine {

/// Naturally aligned words. An unaligned address is a programming error.
[[nodiscard]] std::uint8_t load_u8(Gpa address);
[[nodiscard]] std::uint16_t load_u16(Gpa address);
[[nodiscard]] std::uint32_t load_u32(Gpa address);
[[nodiscard]] std::uint64_t load_u64(Gpa address);
void store_u8(Gpa address, std::uint8_t value);
void store_u16(Gpa address, std::uint16_t value);
void store_u32(Gpa address, std::uint32_t value);
void store_u64(Gpa address, std::uint64_t value);

/// LOCK-prefixed read-modify-write; each returns the value from before, and is a full fence.
std::uint32_t exchange_u32(Gpa address, std::uint32_t value);
std::uint32_t compare_exchange_u32(Gpa address, std::uint32_t expected, std::uint32_t desired);
std::uint64_t compare_exchange_u64(Gpa address, std::uint64_t expected, std::uint64_t desired);
std::uint32_t fetch_or_u32(Gpa address, std::uint32_t bits);
std::uint32_t fetch_and_u32(Gpa address, std::uint32_t bits);
std::uint64_t fetch_or_u64(Gpa address, std::uint64_t bits);
std::uint64_t fetch_and_u64(Gpa address, std::uint64_t bits);

/// Copies between guest memory and private memory, in ascending order, of any length and alignment
/// (REP MOVSB). Not atomic: another processor may see, or make, half of it.
void read_memory(Gpa from, std::span<std::byte> to);
void write_memory(Gpa to, std::span<const std::byte> from);
/// Fills guest memory with one byte (REP STOSB).
void fill_memory(Gpa to, std::uint64_t size_bytes, std::uint8_t value);

/// Calls the hypercall page at `page` (TLFS 3.7): RCX = control, RDX = input, R8 = output; returns
/// RAX. The page must have been enabled through the HYPERCALL MSR; calling anything else executes
/// whatever bytes are there. #UD in what the interface calls an illegal mode.
std::uint64_t hypercall(Gpa page, std::uint64_t control, std::uint64_t input, std::uint64_t output);

/// RDX and R8 of a hypercall, before and after.
struct HypercallRegisters {
  std::uint64_t rdx = 0;
  std::uint64_t r8 = 0;
};

/// The same with the registers from after the call, which is where a fast call's output begins.
/// What goes in XMM registers is put there before and fetched after (write_xmm, read_xmm).
std::uint64_t hypercall_in_registers(Gpa page, std::uint64_t control,
                                     HypercallRegisters& registers);

/// Where the calling kernel's image header (image.h) lies.
[[nodiscard]] Gpa image_base();

}  // namespace machine
