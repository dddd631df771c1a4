// What is kept of a virtual processor for its parent's eyes and is not needed to run it: it lies in
// a page of its partition's pool, so that the processor itself stays small.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/cpuid/cpuid_answers.h"
#include "hv/processor/intercept_results.h"
#include "hv/registers/memory_type_registers.h"
#include "hv/timer/unhalted_timer.h"
#include "hv/tlfs/messages.h"
#include "hv/tlfs/register_values.h"
#include "machine/address.h"

namespace hv {

/// A page of the VP's partition that its parent sees.
struct StatePage {
  machine::Spn page{};
  /// Where the parent sees it.
  machine::Gpn place{};
  [[nodiscard]] bool is_mapped() const { return page != machine::Spn(); }
};

struct VpRecords {
  // Of whoever runs the VP or has stopped it.
  /// Events that the parent has asked for, as the PendingEvent registers have them.
  std::array<RegisterValue, 2> pending_events{};
  MemoryTypeRegisters memory_types;
  InterceptResults intercept_results;
  CpuidAnswers cpuid_answers;

  // Under the VP's lock.
  /// The register DeliverabilityNotifications: what the parent waits to be told.
  std::uint64_t deliverability = 0;
  UnhaltedTimer unhalted_timer;
  /// The registers POWER_STATE_CONFIG_C1 to C3, of a root's VP.
  std::array<std::uint64_t, 3> power_states{};

  // Under the communication lock.
  std::array<std::byte, kMessagePayloadBytes> intercept_payload{};
  // Mapped and unmapped under the management lock, too: state_pages.h.
  StatePage register_page;
  StatePage message_page;
};
static_assert(sizeof(VpRecords) <= machine::kPageSize);

}  // namespace hv
