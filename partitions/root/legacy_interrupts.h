// The pair of 8259 interrupt controllers that the root's physical interrupts come through.
#pragma once

#include <array>
#include <cstdint>

#include "partitions/kernel/executor.h"

namespace root {

inline constexpr std::uint32_t kLegacyLines = 16;

/// Runs on VP 0, where the legacy interrupts arrive.
class LegacyInterrupts {
 public:
  /// Programs both controllers with all lines masked, vectors from kernel::kVectorLegacy on.
  void set_up();
  /// Unmasks a line; each interrupt on it queues `work` on the executor of VP 0.
  void attach(std::uint32_t line, kernel::Work& work);

  /// From the handler of the line's vector.
  void interrupted(std::uint32_t line, kernel::Executor& executor);

 private:
  void write_masks();

  std::array<kernel::Work*, kLegacyLines> works_{};
  std::uint16_t masked_ = 0xFFFF;
};

}  // namespace root
