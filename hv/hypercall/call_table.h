// The hypercalls, in one table: what the interface says about each, and who handles it.
// docs/interface-coverage.md is generated from it.
#pragma once

#include <cstdint>
#include <span>

#include "hv/hypercall/call_context.h"
#include "hv/hypercall/call_decode.h"

namespace hv {

/// Validates, then commits: unless it answers success, nothing has changed.
using CallHandler = CallOutcome (*)(CallContext& context);
/// Handles elements [first, first + count) in order, each by itself; stops at the first that fails.
using RepHandler = CallOutcome (*)(CallContext& context, std::uint32_t first, std::uint32_t count);

struct CallEntry {
  CallDescription description;
  /// One of the two, as the description's rep kind says.
  CallHandler handle = nullptr;
  RepHandler handle_elements = nullptr;
};

/// In ascending order of call codes.
[[nodiscard]] std::span<const CallEntry> call_table();
/// Null for a code that the hypervisor does not have.
[[nodiscard]] const CallEntry* find_call(std::uint16_t code);

}  // namespace hv
