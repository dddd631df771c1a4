// The guest link set of the seam (machine/guest.h), instruction by instruction.
#include "machine/guest.h"

#include <cstddef>

#include "metal/memory_instructions.h"

// The image's first byte, from its linker script.
extern "C" std::byte metal_image_begin[];

namespace machine {

std::uint8_t load_u8(Gpa address) { return metal::load<std::uint8_t>(address); }
std::uint16_t load_u16(Gpa address) { return metal::load<std::uint16_t>(address); }
std::uint32_t load_u32(Gpa address) { return metal::load<std::uint32_t>(address); }
std::uint64_t load_u64(Gpa address) { return metal::load<std::uint64_t>(address); }
void store_u8(Gpa address, std::uint8_t value) { metal::store(address, value); }
void store_u16(Gpa address, std::uint16_t value) { metal::store(address, value); }
void store_u32(Gpa address, std::uint32_t value) { metal::store(address, value); }
void store_u64(Gpa address, std::uint64_t value) { metal::store(address, value); }

std::uint32_t exchange_u32(Gpa address, std::uint32_t value) {
  return metal::exchange(address, value);
}

std::uint32_t compare_exchange_u32(Gpa address, std::uint32_t expected, std::uint32_t desired) {
  return metal::compare_exchange(address, expected, desired);
}

std::uint64_t compare_exchange_u64(Gpa address, std::uint64_t expected, std::uint64_t desired) {
  return metal::compare_exchange(address, expected, desired);
}

std::uint32_t fetch_or_u32(Gpa address, std::uint32_t bits) {
  return metal::fetch_or(address, bits);
}

std::uint32_t fetch_and_u32(Gpa address, std::uint32_t bits) {
  return metal::fetch_and(address, bits);
}

std::uint64_t fetch_or_u64(Gpa address, std::uint64_t bits) {
  return metal::fetch_or(address, bits);
}

std::uint64_t fetch_and_u64(Gpa address, std::uint64_t bits) {
  return metal::fetch_and(address, bits);
}

void read_memory(Gpa from, std::span<std::byte> to) {
  metal::copy_bytes(to.data(), metal::word_at<std::byte>(from), to.size());
}

void write_memory(Gpa to, std::span<const std::byte> from) {
  metal::copy_bytes(metal::word_at<std::byte>(to), from.data(), from.size());
}

void fill_memory(Gpa to, std::uint64_t size_bytes, std::uint8_t value) {
  metal::fill_bytes(metal::word_at<std::byte>(to), size_bytes, value);
}

static_assert(offsetof(HypercallRegisters, r8) == 8);

// A jump: the page's own RET returns to the caller of this function.
__attribute__((naked)) std::uint64_t hypercall(Gpa, std::uint64_t, std::uint64_t, std::uint64_t) {
  asm(R"(
    movq %rcx, %r8
    movq %rsi, %rcx
    jmp *%rdi)");
  __builtin_unreachable();
}

__attribute__((naked)) std::uint64_t hypercall_in_registers(Gpa, std::uint64_t,
                                                            HypercallRegisters&) {
  asm(R"(
    pushq %rdx
    movq %rsi, %rcx
    movq 8(%rdx), %r8
    movq (%rdx), %rdx
    call *%rdi
    popq %rcx
    movq %rdx, (%rcx)
    movq %r8, 8(%rcx)
    ret)");
  __builtin_unreachable();
}

Gpa image_base() { return Gpa(reinterpret_cast<std::uint64_t>(metal_image_begin)); }

}  // namespace machine
