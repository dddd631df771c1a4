// Ports and connections (TLFS "Inter-Partition Communication").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"

namespace hv {

/// 24 bits, chosen by the caller, unique within the partition.
enum class PortId : std::uint32_t {};
enum class ConnectionId : std::uint32_t {};
inline constexpr std::uint32_t kPortIdMax = 0x00FF'FFFF;
inline constexpr std::uint32_t kConnectionIdMax = 0x00FF'FFFF;
/// Message buffers that each message port owns.
inline constexpr std::uint32_t kPortMessageBuffers = 16;

enum class PortType : std::uint32_t { kMessage = 1, kEvent = 2, kMonitor = 3, kDoorbell = 4 };

/// HV_PORT_INFO: message and doorbell ports use sint and vp; event ports also the flags; a monitor
/// port keeps its page's GPA where sint and vp are.
struct PortInfo {
  PortType type{};
  std::uint32_t reserved0 = 0;
  std::uint32_t sint = 0;
  VpIndex vp{};
  std::uint16_t base_flag = 0;
  std::uint16_t flag_count = 0;
  std::uint32_t reserved1 = 0;

  [[nodiscard]] static constexpr PortInfo message(std::uint32_t sint, VpIndex vp) {
    return PortInfo{PortType::kMessage, 0, sint, vp, 0, 0, 0};
  }
  [[nodiscard]] static constexpr PortInfo event(std::uint32_t sint, VpIndex vp,
                                                std::uint16_t base_flag, std::uint16_t flag_count) {
    return PortInfo{PortType::kEvent, 0, sint, vp, base_flag, flag_count, 0};
  }
  [[nodiscard]] constexpr std::uint64_t monitor_gpa() const {
    return sint | (static_cast<std::uint64_t>(vp) << 32);
  }
};
static_assert(sizeof(PortInfo) == 24);
static_assert(offsetof(PortInfo, sint) == 8);
static_assert(offsetof(PortInfo, vp) == 12);
static_assert(offsetof(PortInfo, base_flag) == 16);
static_assert(offsetof(PortInfo, flag_count) == 18);

/// HV_CONNECTION_INFO: message and event connections have nothing but the type; monitor connections
/// have a GPA, doorbells also the write that rings them.
struct ConnectionInfo {
  /// In `flags`: the size of the write, and whether its value matters.
  static constexpr std::uint64_t kDoorbellSizeMask = 7;
  static constexpr std::uint64_t kDoorbellAnySize = 0;
  static constexpr std::uint64_t kDoorbellByte = 1;
  static constexpr std::uint64_t kDoorbellWord = 2;
  static constexpr std::uint64_t kDoorbellDword = 3;
  static constexpr std::uint64_t kDoorbellQword = 4;
  static constexpr std::uint64_t kDoorbellAnyValue = 0x8000'0000;

  PortType type{};
  std::uint32_t reserved = 0;
  std::uint64_t gpa = 0;
  std::uint64_t trigger_value = 0;
  std::uint64_t flags = 0;
};
static_assert(sizeof(ConnectionInfo) == 32);
static_assert(offsetof(ConnectionInfo, gpa) == 8);
static_assert(offsetof(ConnectionInfo, trigger_value) == 16);
static_assert(offsetof(ConnectionInfo, flags) == 24);

/// HV_PORT_PROPERTY_CODE.
enum class PortProperty : std::uint32_t { kPostCount = 0, kPreferredTargetVp = 1 };

}  // namespace hv
