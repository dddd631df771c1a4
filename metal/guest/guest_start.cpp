// A virtual processor's first steps: interrupt table, and GS for processor_local().
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hv/tlfs/msr.h"
#include "machine/machine.h"
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

/// A triple fault, which the hypervisor reports to whoever manages the partition. Nobody reads a
/// child's serial port, so the reason is left in the crash MSRs, as a text at its address (TLFS
/// "Guest Crash Enlightenment"); a hypervisor without them refuses, and that changes nothing.
void end_program(std::string_view why) {
  const std::array<std::uint64_t, 5> parameters = {
      1, 0, reinterpret_cast<std::uint64_t>(__builtin_return_address(0)),
      reinterpret_cast<std::uint64_t>(why.data()), why.size()};
  for (std::uint32_t index = 0; index < parameters.size(); ++index) {
    static_cast<void>(machine::try_write_msr(hv::kMsrCrashP0 + index, parameters[index]));
  }
  static_cast<void>(machine::try_write_msr(hv::kMsrCrashCtl, hv::kCrashNotify | hv::kCrashMessage));
  const TablePointer nothing{.limit = 0, .base = 0};
  asm volatile("lidt %0; ud2" : : "m"(nothing));
  __builtin_unreachable();
}

}  // namespace metal
