// A virtual processor's first steps: interrupt table, and GS for processor_local().
#include <array>
#include <cstddef>
#include <cstdint>

#include "metal/guest/image.h"
#include "metal/metal.h"

// An absolute symbol of the linker script: its address is the value.
extern "C" const char metal_stack_size[];

namespace metal {
namespace {

constexpr std::uint16_t kCodeSelector = 0x08;

/// The processor's block lies at the far end of its stack.
void load_processor(std::uint64_t stack_end) {
  const std::uint64_t begin = stack_end - reinterpret_cast<std::uint64_t>(metal_stack_size);
  load_interrupt_table(kCodeSelector, false);
  load_processor_block(*reinterpret_cast<ProcessorBlock*>(begin));
}

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

}  // namespace

// From guest_entry.S.
extern "C" [[noreturn]] void metal_guest_start(std::uint64_t stack_end) {
  load_processor(stack_end);
  run_image();
}

extern "C" [[noreturn]] void metal_guest_start_processor(std::uint64_t stack_end) {
  load_processor(stack_end);
  run_image_processor();
}

/// A triple fault, which the hypervisor reports to whoever manages the partition.
void end_program() {
  const TablePointer nothing{.limit = 0, .base = 0};
  asm volatile("lidt %0; ud2" : : "m"(nothing));
  __builtin_unreachable();
}

}  // namespace metal
