// The MSRs that the hypervisor has for guests, in one table: number, name, access, privilege,
// handlers. docs/interface-coverage.md is generated from it.
//
// Called for RDMSR and WRMSR exits, and for the register calls that name a register which is an
// MSR.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "hv/tlfs/privileges.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

enum class MsrFailure : std::uint8_t {
  /// The hypervisor does not have this MSR: the parent may want it, else it is as the partition's
  /// UnimplementedMsrAction says.
  kUnknown,
  /// The guest may not access it: the parent may want it, else #GP.
  kNoPrivilege,
  /// #GP; nothing changed.
  kFault,
  /// Another processor is in the way for a moment: the guest executes the instruction again.
  kAgain,
  /// The instruction has made the processor start anew: there is nothing to complete.
  kRestarted,
  /// The parent has been told and completes the instruction.
  kIntercepted,
};

/// On whose behalf, and which. The virtual processor is loaded here, or stopped.
struct MsrAccess {
  Hypervisor& hypervisor;
  VirtualProcessor& vp;
  std::uint32_t msr;
  /// A parent's, by the name of a register: what its guest's mode hides is there.
  bool as_register = false;
};

using MsrReader = std::expected<std::uint64_t, MsrFailure> (*)(const MsrAccess& access);
using MsrWriter = std::expected<void, MsrFailure> (*)(const MsrAccess& access, std::uint64_t value);

/// A range of MSRs that one pair of handlers serves. Null: the access is a #GP.
struct MsrDescription {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::string_view name;
  /// What the guest must hold; 0 for none.
  std::uint64_t privilege = 0;
  MsrReader read = nullptr;
  MsrWriter write = nullptr;
};

/// In ascending order of numbers.
[[nodiscard]] std::span<const MsrDescription> msr_table();

/// Null: the hypervisor does not have it.
[[nodiscard]] const MsrDescription* find_guest_msr(std::uint32_t number);

[[nodiscard]] std::expected<std::uint64_t, MsrFailure> read_guest_msr(const MsrAccess& access);
[[nodiscard]] std::expected<void, MsrFailure> write_guest_msr(const MsrAccess& access,
                                                              std::uint64_t value);

}  // namespace hv
