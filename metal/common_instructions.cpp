// The common link set of the seam (machine/common.h, machine/shared.h), instruction by instruction.
#include <cstddef>
#include <type_traits>

#include "machine/common.h"
#include "machine/shared.h"

// From the linker script of each program.
extern "C" std::byte metal_arena_begin[];
extern "C" std::byte metal_arena_end[];

namespace machine {

// The result comes back in RAX (EAX, EBX) and RDX (ECX, EDX).
static_assert(sizeof(CpuidResult) == 16 && std::is_trivially_copyable_v<CpuidResult>);
__attribute__((naked)) CpuidResult cpuid(std::uint32_t, std::uint32_t) {
  asm(R"(
    movl %edi, %eax
    movl %esi, %ecx
    pushq %rbx
    cpuid
    shlq $32, %rbx
    orq %rbx, %rax
    shlq $32, %rdx
    orq %rcx, %rdx
    popq %rbx
    ret)");
  __builtin_unreachable();
}

std::uint64_t read_msr(std::uint32_t msr) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

void write_msr(std::uint32_t msr, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(msr), "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32))
               : "memory");
}

// The try_ forms are written out because their exception path is part of them: when the marked
// instruction raises one, the interrupt path (interrupt_table.cpp) puts the Exception into RAX and
// "no value" into RDX and resumes at the label, so that the function returns it.
using MsrValue = std::expected<std::uint64_t, Exception>;
using MsrDone = std::expected<void, Exception>;
template <class Result>
constexpr bool kReturnedInRegisters =
    std::is_trivially_copy_constructible_v<Result> &&
    std::is_trivially_move_constructible_v<Result> && std::is_trivially_destructible_v<Result>;
static_assert(sizeof(MsrValue) == 16 && kReturnedInRegisters<MsrValue>);
static_assert(sizeof(MsrDone) == 12 && kReturnedInRegisters<MsrDone>);
static_assert(offsetof(Exception, error_code) == 4);

__attribute__((naked)) std::expected<std::uint64_t, Exception> try_read_msr(std::uint32_t) {
  asm(R"(
    movl %edi, %ecx
  1:rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movl $1, %edx
  2:ret
    .pushsection .metal_fixups, "a"
    .quad 1b, 2b
    .popsection)");
  __builtin_unreachable();
}

__attribute__((naked)) std::expected<void, Exception> try_write_msr(std::uint32_t, std::uint64_t) {
  asm(R"(
    movl %edi, %ecx
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
  1:wrmsr
    movl $1, %edx
  2:ret
    .pushsection .metal_fixups, "a"
    .quad 1b, 2b
    .popsection)");
  __builtin_unreachable();
}

std::uint8_t in_u8(std::uint16_t port) {
  std::uint8_t value = 0;
  asm volatile("inb %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

std::uint16_t in_u16(std::uint16_t port) {
  std::uint16_t value = 0;
  asm volatile("inw %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

std::uint32_t in_u32(std::uint16_t port) {
  std::uint32_t value = 0;
  asm volatile("inl %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

void out_u8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

void out_u16(std::uint16_t port, std::uint16_t value) {
  asm volatile("outw %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

void out_u32(std::uint16_t port, std::uint32_t value) {
  asm volatile("outl %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

std::uint64_t read_tsc() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

__attribute__((naked)) void read_xmm(XmmRegisters&) {
  asm(R"(
    movups %xmm0, (%rdi)
    movups %xmm1, 16(%rdi)
    movups %xmm2, 32(%rdi)
    movups %xmm3, 48(%rdi)
    movups %xmm4, 64(%rdi)
    movups %xmm5, 80(%rdi)
    ret)");
  __builtin_unreachable();
}

__attribute__((naked)) void write_xmm(const XmmRegisters&) {
  asm(R"(
    movups (%rdi), %xmm0
    movups 16(%rdi), %xmm1
    movups 32(%rdi), %xmm2
    movups 48(%rdi), %xmm3
    movups 64(%rdi), %xmm4
    movups 80(%rdi), %xmm5
    ret)");
  __builtin_unreachable();
}

std::uint64_t read_xcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0) : "memory");
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

__attribute__((naked)) std::expected<void, Exception> try_write_xcr0(std::uint64_t) {
  asm(R"(
    xorl %ecx, %ecx
    movl %edi, %eax
    movq %rdi, %rdx
    shrq $32, %rdx
  1:xsetbv
    movl $1, %edx
  2:ret
    .pushsection .metal_fixups, "a"
    .quad 1b, 2b
    .popsection)");
  __builtin_unreachable();
}

void fence() { asm volatile("mfence" : : : "memory"); }

void pause() { asm volatile("pause" : : : "memory"); }

bool disable_interrupts() {
  std::uint64_t flags = 0;
  asm volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
  return (flags & (1u << 9)) != 0;
}

void enable_interrupts() { asm volatile("sti; nop" : : : "memory"); }

bool interrupts_enabled() {
  std::uint64_t flags = 0;
  asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
  return (flags & (1u << 9)) != 0;
}

// STI takes effect after the instruction that follows it, so nothing comes between it and HLT.
void sti_hlt() { asm volatile("sti; hlt; cli" : : : "memory"); }

void* processor_local() {
  void* object = nullptr;
  asm volatile("movq %%gs:0, %0" : "=r"(object) : : "memory");
  return object;
}

void set_processor_local(void* object) {
  asm volatile("movq %0, %%gs:0" : : "r"(object) : "memory");
}

std::span<std::byte> arena() { return {metal_arena_begin, metal_arena_end}; }

void spend(std::uint64_t) {}

// machine/shared.h. Plain loads and stores of x86 are acquire and release.

std::uint32_t shared_load_u32(const std::uint32_t* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

std::uint64_t shared_load_u64(const std::uint64_t* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void shared_store_u32(std::uint32_t* word, std::uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void shared_store_u64(std::uint64_t* word, std::uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

std::uint32_t shared_exchange_u32(std::uint32_t* word, std::uint32_t value) {
  return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

std::uint64_t shared_exchange_u64(std::uint64_t* word, std::uint64_t value) {
  return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

std::uint32_t shared_compare_exchange_u32(std::uint32_t* word, std::uint32_t expected,
                                          std::uint32_t desired) {
  return __sync_val_compare_and_swap(word, expected, desired);
}

std::uint64_t shared_compare_exchange_u64(std::uint64_t* word, std::uint64_t expected,
                                          std::uint64_t desired) {
  return __sync_val_compare_and_swap(word, expected, desired);
}

std::uint32_t shared_fetch_add_u32(std::uint32_t* word, std::uint32_t value) {
  return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

std::uint64_t shared_fetch_add_u64(std::uint64_t* word, std::uint64_t value) {
  return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

std::uint64_t shared_fetch_or_u64(std::uint64_t* word, std::uint64_t bits) {
  return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

std::uint64_t shared_fetch_and_u64(std::uint64_t* word, std::uint64_t bits) {
  return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}

}  // namespace machine
