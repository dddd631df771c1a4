// What is counted of one virtual processor, at the cost of an increment for each exit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/messages.h"
#include "hv/tlfs/statistics.h"
#include "machine/address.h"
#include "machine/vmx_architecture.h"

namespace hv {

struct StatisticsMapping;

/// The counts belong to the logical processor that runs the VP; when it has put it down, or looks
/// at its scheduler slot, it publishes them under the scheduler lock. The object lies at the end of
/// the VP's page of extended registers, which no guest sees.
class VpStatistics {
 public:
  static constexpr std::size_t kOffsetInPage = 3584;

  void count_exit(machine::vmx::ExitReason reason) {
    ++counts_.data()[kPlaceOfExit.data()[static_cast<std::size_t>(reason) % kExitReasons]];
  }
  void count_dispatch() { ++counts_[kDispatches]; }
  void count_virtual_interrupt() { ++counts_[kVirtualInterrupts]; }
  void count_message(MessageType type) {
    const bool memory = type == MessageType::kUnmappedGpa || type == MessageType::kGpaIntercept;
    const bool io = type == MessageType::kX64IoPortIntercept;
    ++counts_[memory ? kMemoryMessages : io ? kIoMessages : kOtherMessages];
  }

  /// Calls `visit(counter, value)` for each count.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t place = 0; place < kCounts; ++place) {
      visit(kCounters[place], counts_[place]);
    }
  }

  /// Where it is to be published; under the scheduler lock.
  StatisticsMapping* mappings = nullptr;

 private:
  enum Place : std::uint8_t {
    kHypercalls,
    kControlRegisters,
    kIo,
    kHlt,
    kCpuid,
    kMsrs,
    kOthers,
    kExternalInterrupts,
    kPendingInterrupts,
    kIoMessages,
    kMemoryMessages,
    kOtherMessages,
    kVirtualInterrupts,
    kDispatches,
    kCounts,
  };
  static constexpr std::array<VpCounter, kCounts> kCounters{
      VpCounter::kHypercalls,
      VpCounter::kControlRegisterAccesses,
      VpCounter::kIoInstructions,
      VpCounter::kHltInstructions,
      VpCounter::kCpuidInstructions,
      VpCounter::kMsrAccesses,
      VpCounter::kOtherIntercepts,
      VpCounter::kExternalInterrupts,
      VpCounter::kPendingInterrupts,
      VpCounter::kIoInterceptMessages,
      VpCounter::kMemoryInterceptMessages,
      VpCounter::kOtherMessages,
      VpCounter::kVirtualInterrupts,
      VpCounter::kLogicalProcessorDispatches,
  };
  static constexpr std::size_t kExitReasons = 64;
  static consteval std::array<std::uint8_t, kExitReasons> places_of_exits() {
    using machine::vmx::ExitReason;
    std::array<std::uint8_t, kExitReasons> places{};
    places.fill(kOthers);
    const auto set = [&](ExitReason reason, Place place) {
      places[static_cast<std::size_t>(reason)] = place;
    };
    set(ExitReason::kVmcall, kHypercalls);
    set(ExitReason::kControlRegister, kControlRegisters);
    set(ExitReason::kIoInstruction, kIo);
    set(ExitReason::kHlt, kHlt);
    set(ExitReason::kCpuid, kCpuid);
    set(ExitReason::kRdmsr, kMsrs);
    set(ExitReason::kWrmsr, kMsrs);
    set(ExitReason::kExternalInterrupt, kExternalInterrupts);
    set(ExitReason::kInterruptWindow, kPendingInterrupts);
    return places;
  }
  static const std::array<std::uint8_t, kExitReasons> kPlaceOfExit;

  std::array<std::uint64_t, kCounts> counts_{};
};
inline constexpr std::array<std::uint8_t, VpStatistics::kExitReasons> VpStatistics::kPlaceOfExit =
    VpStatistics::places_of_exits();
static_assert(VpStatistics::kOffsetInPage + sizeof(VpStatistics) <= machine::kPageSize);

}  // namespace hv
