// The interrupt table of one program: descriptors, handlers, and the fix-ups of instructions that
// may raise an exception (the try_ forms of the seam).
#include <array>
#include <cstddef>
#include <cstdint>

#include "machine/common.h"
#include "metal/metal.h"

extern "C" {
extern const char metal_interrupt_stubs[];

/// An instruction that may raise an exception, and where to go on when it does.
struct Fixup {
  std::uint64_t instruction;
  std::uint64_t resume;
};
extern const Fixup metal_fixups_begin[];
extern const Fixup metal_fixups_end[];
}

namespace metal {
namespace {

constexpr std::size_t kVectors = 256;
constexpr std::size_t kStubSize = 16;

/// What the stubs have pushed, lowest address first.
struct SavedState {
  std::uint64_t rax, rcx, rdx, rbx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  std::uint64_t vector;
  std::uint64_t error_code;
  std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(offsetof(SavedState, vector) == 120);
static_assert(sizeof(SavedState) == 176);

/// An interrupt gate in 64-bit mode (SDM vol. 3 6.14.1).
struct Gate {
  std::uint16_t offset_15_0;
  std::uint16_t selector;
  std::uint8_t stack_table;
  std::uint8_t type;
  std::uint16_t offset_31_16;
  std::uint32_t offset_63_32;
  std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);
constexpr std::uint8_t kInterruptGatePresent = 0x8E;

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

alignas(16) constinit std::array<Gate, kVectors> gates{};
constinit std::array<machine::InterruptHandler, kVectors> handlers{};

std::uint8_t stack_of(std::size_t vector) {
  switch (vector) {
    case 8:
      return 1;  // double fault: the stack may be what is broken
    case 2:
      return 2;  // NMI
    case 18:
      return 3;  // machine check
    default:
      return 0;
  }
}

void build_table(std::uint16_t code_selector, bool separate_stacks) {
  for (std::size_t vector = 0; vector < kVectors; ++vector) {
    const auto stub = reinterpret_cast<std::uint64_t>(&metal_interrupt_stubs[vector * kStubSize]);
    gates[vector] = {.offset_15_0 = static_cast<std::uint16_t>(stub),
                     .selector = code_selector,
                     .stack_table = separate_stacks ? stack_of(vector) : std::uint8_t{0},
                     .type = kInterruptGatePresent,
                     .offset_31_16 = static_cast<std::uint16_t>(stub >> 16),
                     .offset_63_32 = static_cast<std::uint32_t>(stub >> 32),
                     .reserved = 0};
  }
}

/// Makes the interrupted function return the exception (see try_read_msr). False if the
/// instruction was not expected to raise one.
bool resume_at_fixup(SavedState& state) {
  for (const Fixup* fixup = metal_fixups_begin; fixup != metal_fixups_end; ++fixup) {
    if (fixup->instruction == state.rip) {
      state.rip = fixup->resume;
      state.rax = state.vector | (state.error_code << 32);
      state.rdx = 0;
      return true;
    }
  }
  return false;
}

void write_register(std::string_view name, std::uint64_t value) {
  serial_write(name);
  serial_write_hex(value);
}

[[noreturn]] void report_unexpected(const SavedState& state) {
  std::uint64_t cr2 = 0;
  asm volatile("movq %%cr2, %0" : "=r"(cr2));
  serial_write("chronovisor: unexpected interrupt or exception, vector ");
  serial_write_decimal(state.vector);
  write_register(" error ", state.error_code);
  write_register(" rip ", state.rip);
  write_register(" rsp ", state.rsp);
  write_register(" rflags ", state.rflags);
  write_register(" cr2 ", cr2);
  write_register("\n  rax ", state.rax);
  write_register(" rbx ", state.rbx);
  write_register(" rcx ", state.rcx);
  write_register(" rdx ", state.rdx);
  write_register(" rsi ", state.rsi);
  write_register(" rdi ", state.rdi);
  write_register(" rbp ", state.rbp);
  serial_write("\n");
  panic("nothing handles this vector");
}

}  // namespace

void load_interrupt_table(std::uint16_t code_selector, bool separate_stacks) {
  if (gates[0].type == 0) {
    build_table(code_selector, separate_stacks);
  }
  const TablePointer pointer{.limit = sizeof(gates) - 1,
                             .base = reinterpret_cast<std::uint64_t>(gates.data())};
  asm volatile("lidt %0" : : "m"(pointer));
}

void load_processor_block(ProcessorBlock& block) {
  constexpr std::uint32_t kMsrGsBase = 0xC0000101;
  block.local = nullptr;
  machine::write_msr(kMsrGsBase, reinterpret_cast<std::uint64_t>(&block));
}

extern "C" void metal_handle_interrupt(SavedState* state) {
  if (resume_at_fixup(*state)) {
    return;
  }
  const machine::InterruptHandler handler = handlers[state->vector];
  if (handler == nullptr) {
    report_unexpected(*state);
  }
  handler({.vector = state->vector,
           .error_code = state->error_code,
           .rip = state->rip,
           .rflags = state->rflags});
}

}  // namespace metal

namespace machine {

void set_interrupt_handler(std::uint8_t vector, InterruptHandler handler) {
  metal::handlers[vector] = handler;
}

}  // namespace machine
