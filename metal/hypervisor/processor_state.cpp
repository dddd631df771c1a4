#include "metal/hypervisor/processor_state.h"

#include <array>
#include <cstddef>

#include "machine/boot.h"
#include "machine/common.h"
#include "metal/hypervisor/layout.h"
#include "metal/metal.h"

namespace metal {
namespace {

constexpr std::size_t kStackSize = 32 * 1024;
constexpr std::size_t kExceptionStackSize = 4096;
constexpr std::size_t kExceptionStacks = 3;

/// Task state in 64-bit mode (SDM vol. 3 7.7).
struct [[gnu::packed]] TaskState {
  std::uint32_t reserved0 = 0;
  std::array<std::uint64_t, 3> privilege_stacks{};
  std::uint64_t reserved1 = 0;
  std::array<std::uint64_t, 7> exception_stacks{};
  std::uint64_t reserved2 = 0;
  std::uint16_t reserved3 = 0;
  std::uint16_t io_map = 0;
};
static_assert(sizeof(TaskState) == 104);

struct alignas(16) ProcessorState {
  std::array<std::uint64_t, 6> descriptors{};
  TaskState task;
  ProcessorBlock block;
  alignas(16)
      std::array<std::array<std::byte, kExceptionStackSize>, kExceptionStacks> exception_stacks{};
  alignas(16) std::array<std::byte, kStackSize> stack{};
};

struct [[gnu::packed]] TablePointer {
  std::uint16_t limit;
  std::uint64_t base;
};

constinit std::array<ProcessorState, kMaxLogicalProcessors> states{};

constexpr std::uint64_t kAvailableTaskState = 0x89;

/// The two halves of a task-state descriptor (SDM vol. 3 figure 7-4).
void describe_task(ProcessorState& state) {
  const auto base = reinterpret_cast<std::uint64_t>(&state.task);
  constexpr std::size_t kSlot = SELECTOR_TSS / 8;
  state.descriptors[kSlot] = (sizeof(TaskState) - 1) | ((base & 0xFFFFFF) << 16) |
                             (kAvailableTaskState << 40) | (((base >> 24) & 0xFF) << 56);
  state.descriptors[kSlot + 1] = base >> 32;
}

}  // namespace

void load_processor_state(std::uint32_t index) {
  ProcessorState& state = states[index];
  state.descriptors = {0, DESCRIPTOR_CODE64, DESCRIPTOR_DATA, DESCRIPTOR_CODE32, 0, 0};
  for (std::size_t stack = 0; stack < kExceptionStacks; ++stack) {
    state.task.exception_stacks[stack] =
        reinterpret_cast<std::uint64_t>(state.exception_stacks[stack].data()) + kExceptionStackSize;
  }
  state.task.io_map = sizeof(TaskState);
  describe_task(state);
  const TablePointer pointer{.limit = sizeof(state.descriptors) - 1,
                             .base = reinterpret_cast<std::uint64_t>(state.descriptors.data())};
  // The boot descriptor table has the same segments, so the segment registers stay as they are.
  asm volatile("lgdt %0" : : "m"(pointer));
  asm volatile("ltr %w0" : : "r"(SELECTOR_TSS));
  load_processor_block(state.block);
  load_interrupt_table(SELECTOR_CODE64, true);
}

std::uint64_t stack_end(std::uint32_t index) {
  return reinterpret_cast<std::uint64_t>(states[index].stack.data()) + kStackSize;
}

std::uint64_t task_state_address() {
  const auto block = machine::read_msr(0xC0000101);  // IA32_GS_BASE
  return block - offsetof(ProcessorState, block) + offsetof(ProcessorState, task);
}

}  // namespace metal
