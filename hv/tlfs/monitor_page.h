// The page by which a guest signals without a hypercall: it sets a bit, and whoever looks at the
// page at intervals passes the signal on (TLFS 2.0a "Monitored Notifications").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

inline constexpr std::uint32_t kMonitorGroups = 4;
inline constexpr std::uint32_t kMonitorTriggersPerGroup = 32;

/// Bits of trigger_state: one for each group that is looked at, and one that stops it all.
inline constexpr std::uint32_t kMonitorAllGroups = 0xF;
inline constexpr std::uint32_t kMonitorDisabled = 0x10;

struct MonitorTriggerGroup {
  /// A bit for each signal that has not been passed on; set by the guest.
  std::uint32_t pending = 0;
  /// A bit for each for which a time is set already; of whoever looks.
  std::uint32_t armed = 0;
};

struct MonitorParameter {
  std::uint32_t connection_id = 0;
  std::uint16_t flag_number = 0;
  std::uint16_t reserved = 0;
};

struct MonitorPage {
  template <class T>
  using Table = std::array<std::array<T, kMonitorTriggersPerGroup>, kMonitorGroups>;

  std::uint32_t trigger_state = 0;
  std::uint32_t reserved_0 = 0;
  std::array<MonitorTriggerGroup, kMonitorGroups> groups{};
  std::array<std::uint8_t, 24> reserved_1{};
  Table<std::uint32_t> next_check_time{};
  /// How late a signal may be, in 100 ns.
  Table<std::uint16_t> latency{};
  std::array<std::uint8_t, 256> reserved_2{};
  /// What is signalled.
  Table<MonitorParameter> parameters{};
  std::array<std::uint8_t, 1984> reserved_3{};
};
static_assert(sizeof(MonitorPage) == 4096 && offsetof(MonitorPage, groups) == 0x8 &&
              offsetof(MonitorPage, next_check_time) == 0x40 &&
              offsetof(MonitorPage, latency) == 0x240 &&
              offsetof(MonitorPage, parameters) == 0x440);
static_assert(sizeof(MonitorParameter) == 8 && sizeof(MonitorTriggerGroup) == 8 &&
              offsetof(MonitorParameter, flag_number) == 4);

/// Where in the page the word with a trigger's pending bit is, and the bit.
struct MonitorTrigger {
  std::uint32_t group = 0;
  std::uint32_t number = 0;

  constexpr explicit MonitorTrigger(std::uint8_t id)
      : group((id / kMonitorTriggersPerGroup) % kMonitorGroups),
        number(id % kMonitorTriggersPerGroup) {}

  [[nodiscard]] constexpr std::uint32_t bit() const { return 1u << number; }
  [[nodiscard]] constexpr std::uint64_t pending_offset() const {
    return offsetof(MonitorPage, groups) + group * sizeof(MonitorTriggerGroup);
  }
  [[nodiscard]] constexpr std::uint64_t latency_offset() const {
    return offsetof(MonitorPage, latency) +
           (std::uint64_t{group} * kMonitorTriggersPerGroup + number) * sizeof(std::uint16_t);
  }
  [[nodiscard]] constexpr std::uint64_t parameter_offset() const {
    return offsetof(MonitorPage, parameters) +
           (std::uint64_t{group} * kMonitorTriggersPerGroup + number) * sizeof(MonitorParameter);
  }
};

}  // namespace hv
