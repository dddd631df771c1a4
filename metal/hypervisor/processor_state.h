// What each logical processor of the hypervisor has of its own: descriptor table, task state with
// stacks for the exceptions that need one, stack, and the word that processor_local() reads.
#pragma once

#include <cstdint>

namespace metal {

/// The others of a larger machine are not started.
inline constexpr std::uint32_t kMaxLogicalProcessors = 64;

/// Loads the descriptor tables, task state and GS of the executing processor, which is `index`.
void load_processor_state(std::uint32_t index);

/// The end (highest address) of a processor's stack.
[[nodiscard]] std::uint64_t stack_end(std::uint32_t index);

/// The address of the executing processor's task state; load_processor_state() came before.
[[nodiscard]] std::uint64_t task_state_address();

}  // namespace metal
