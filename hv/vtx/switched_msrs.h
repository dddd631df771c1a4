// The MSRs of SYSCALL, SWAPGS and RDTSCP of one virtual processor: VM entries and exits leave them
// as they are.
//
// The hypervisor uses none of them, so they change places only when another virtual processor is
// taken up, and then only those that differ. Guests write IA32_KERNEL_GS_BASE without an exit: it
// is read back from the processor. All others are known from the exit that wrote them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/vtx/capabilities.h"

namespace hv::vtx {

inline constexpr std::size_t kSwitchedMsrs = 6;

/// What the MSRs of one logical processor hold; of IA32_KERNEL_GS_BASE, when a virtual processor
/// was last taken up or put down.
struct MsrUnit {
  std::array<std::uint64_t, kSwitchedMsrs> values{};
};

/// What the firmware left in the executing processor's, no guest sees.
void clear_switched_msrs(const Capabilities& capabilities, MsrUnit& unit);

class SwitchedMsrs {
 public:
  SwitchedMsrs() = default;
  SwitchedMsrs(const SwitchedMsrs&) = delete;
  SwitchedMsrs& operator=(const SwitchedMsrs&) = delete;

  /// Into and out of the executing processor.
  void load(MsrUnit& unit);
  void unload();

  // The owner is loaded here, or no processor runs it.

  /// The state after a reset; INIT leaves them alone (SDM vol. 3 table 9-1).
  void reset();
  /// Nothing for an MSR that guests do not have.
  [[nodiscard]] std::optional<std::uint64_t> read(const Capabilities& capabilities,
                                                  std::uint32_t msr) const;
  /// False, with nothing changed, for such an MSR or a value that the processor refuses.
  [[nodiscard]] bool write(const Capabilities& capabilities, std::uint32_t msr,
                           std::uint64_t value);

 private:
  /// Of a loaded owner.
  void put(std::size_t index);

  std::array<std::uint64_t, kSwitchedMsrs> values_{};
  /// The processor that it is loaded on.
  MsrUnit* unit_ = nullptr;
};

}  // namespace hv::vtx
