// SCSI as a disk needs it: commands to and from CDBs, sense data, and the data that a disk answers
// with. Pure functions; all integers on the wire are big endian (SPC-4, SBC-3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace vmbus::storage {

enum class ScsiOpcode : std::uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kInquiry = 0x12,
  kModeSense6 = 0x1A,
  kStartStopUnit = 0x1B,
  kReadCapacity10 = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2A,
  kSynchronizeCache10 = 0x35,
  kModeSense10 = 0x5A,
  kRead16 = 0x88,
  kWrite16 = 0x8A,
  kServiceActionIn16 = 0x9E,
  kReportLuns = 0xA0,
};
inline constexpr std::uint8_t kServiceActionReadCapacity16 = 0x10;

inline constexpr std::uint8_t kScsiGood = 0x00;
inline constexpr std::uint8_t kScsiCheckCondition = 0x02;
inline constexpr std::uint8_t kScsiBusy = 0x08;

inline constexpr std::size_t kSectorSize = 512;

struct Cdb {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t length = 0;
};

/// READ and WRITE take the 10-byte form when address and count fit it.
[[nodiscard]] Cdb read_command(std::uint64_t sector, std::uint32_t sector_count);
[[nodiscard]] Cdb write_command(std::uint64_t sector, std::uint32_t sector_count,
                                bool force_unit_access);
[[nodiscard]] Cdb synchronize_cache_command();
[[nodiscard]] Cdb inquiry_command(std::uint8_t allocation_bytes);
/// A vital product data page.
[[nodiscard]] Cdb inquiry_page_command(std::uint8_t page, std::uint8_t allocation_bytes);
[[nodiscard]] Cdb read_capacity_10_command();
[[nodiscard]] Cdb read_capacity_16_command(std::uint32_t allocation_bytes);
[[nodiscard]] Cdb test_unit_ready_command();
[[nodiscard]] Cdb request_sense_command(std::uint8_t allocation_bytes);
[[nodiscard]] Cdb mode_sense_6_command(std::uint8_t page, std::uint8_t allocation_bytes);
[[nodiscard]] Cdb report_luns_command(std::uint32_t allocation_bytes);

/// A command that moves sectors.
struct Transfer {
  std::uint64_t sector = 0;
  std::uint32_t sector_count = 0;
  bool is_write = false;
  bool force_unit_access = false;
};
/// READ or WRITE in the 10- or 16-byte form; nothing for any other command or a CDB that is shorter
/// than its opcode says.
[[nodiscard]] std::optional<Transfer> parse_transfer(std::span<const std::uint8_t> cdb);

/// Fixed-format sense data (SPC-4 4.5.3).
struct Sense {
  std::uint8_t key = 0;
  std::uint8_t code = 0;
  std::uint8_t qualifier = 0;
  friend constexpr bool operator==(Sense, Sense) = default;
};
inline constexpr Sense kSenseNone{0x0, 0x00, 0x00};
inline constexpr Sense kSenseMediumReadError{0x3, 0x11, 0x00};
inline constexpr Sense kSenseMediumWriteError{0x3, 0x0C, 0x00};
inline constexpr Sense kSenseInvalidOpcode{0x5, 0x20, 0x00};
inline constexpr Sense kSenseAddressOutOfRange{0x5, 0x21, 0x00};
inline constexpr Sense kSenseInvalidField{0x5, 0x24, 0x00};
inline constexpr Sense kSenseLunNotSupported{0x5, 0x25, 0x00};
inline constexpr Sense kSenseWriteProtected{0x7, 0x27, 0x00};

inline constexpr std::size_t kFixedSenseSize = 18;
[[nodiscard]] std::array<std::uint8_t, kFixedSenseSize> sense_bytes(Sense sense);
[[nodiscard]] std::optional<Sense> parse_sense(std::span<const std::uint8_t> bytes);

/// What READ CAPACITY tells.
struct Capacity {
  std::uint64_t sector_count = 0;
  std::uint32_t sector_bytes = 0;
  friend constexpr bool operator==(Capacity, Capacity) = default;
};
/// Nothing if the data is short, or says that the 16-byte form is to be asked (10-byte form only).
[[nodiscard]] std::optional<Capacity> parse_capacity_10(std::span<const std::uint8_t> data);
[[nodiscard]] std::optional<Capacity> parse_capacity_16(std::span<const std::uint8_t> data);

[[nodiscard]] std::uint16_t load_big_u16(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::uint32_t load_big_u32(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::uint64_t load_big_u64(std::span<const std::uint8_t> bytes);
void store_big_u16(std::span<std::uint8_t> bytes, std::uint16_t value);
void store_big_u32(std::span<std::uint8_t> bytes, std::uint32_t value);
void store_big_u64(std::span<std::uint8_t> bytes, std::uint64_t value);

}  // namespace vmbus::storage
