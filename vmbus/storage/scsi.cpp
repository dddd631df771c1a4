#include "vmbus/storage/scsi.h"

namespace vmbus::storage {

namespace {

constexpr std::uint8_t kForceUnitAccess = 0x08;
constexpr std::uint64_t kLargest10ByteSector = 0xFFFFFFFF;
constexpr std::uint32_t kLargest10ByteCount = 0xFFFF;

Cdb cdb_of(ScsiOpcode opcode, std::uint8_t length) {
  Cdb cdb;
  cdb.bytes[0] = static_cast<std::uint8_t>(opcode);
  cdb.length = length;
  return cdb;
}

Cdb transfer_command(const Transfer& transfer) {
  const bool short_form =
      transfer.sector <= kLargest10ByteSector && transfer.sector_count <= kLargest10ByteCount;
  const ScsiOpcode opcode10 = transfer.is_write ? ScsiOpcode::kWrite10 : ScsiOpcode::kRead10;
  const ScsiOpcode opcode16 = transfer.is_write ? ScsiOpcode::kWrite16 : ScsiOpcode::kRead16;
  Cdb cdb = short_form ? cdb_of(opcode10, 10) : cdb_of(opcode16, 16);
  const std::span<std::uint8_t> bytes(cdb.bytes);
  if (short_form) {
    store_big_u32(bytes.subspan(2), static_cast<std::uint32_t>(transfer.sector));
    store_big_u16(bytes.subspan(7), static_cast<std::uint16_t>(transfer.sector_count));
  } else {
    store_big_u64(bytes.subspan(2), transfer.sector);
    store_big_u32(bytes.subspan(10), transfer.sector_count);
  }
  cdb.bytes[1] = transfer.force_unit_access ? kForceUnitAccess : std::uint8_t{0};
  return cdb;
}

}  // namespace

// --- Big endian ----------------------------------------------------------------------------------

std::uint16_t load_big_u16(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}
std::uint32_t load_big_u32(std::span<const std::uint8_t> bytes) {
  return std::uint32_t{load_big_u16(bytes)} << 16 | load_big_u16(bytes.subspan(2));
}
std::uint64_t load_big_u64(std::span<const std::uint8_t> bytes) {
  return std::uint64_t{load_big_u32(bytes)} << 32 | load_big_u32(bytes.subspan(4));
}
void store_big_u16(std::span<std::uint8_t> bytes, std::uint16_t value) {
  bytes[0] = static_cast<std::uint8_t>(value >> 8);
  bytes[1] = static_cast<std::uint8_t>(value);
}
void store_big_u32(std::span<std::uint8_t> bytes, std::uint32_t value) {
  store_big_u16(bytes, static_cast<std::uint16_t>(value >> 16));
  store_big_u16(bytes.subspan(2), static_cast<std::uint16_t>(value));
}
void store_big_u64(std::span<std::uint8_t> bytes, std::uint64_t value) {
  store_big_u32(bytes, static_cast<std::uint32_t>(value >> 32));
  store_big_u32(bytes.subspan(4), static_cast<std::uint32_t>(value));
}

// --- Commands ------------------------------------------------------------------------------------

Cdb read_command(std::uint64_t sector, std::uint32_t sector_count) {
  return transfer_command({sector, sector_count, false, false});
}

Cdb write_command(std::uint64_t sector, std::uint32_t sector_count, bool force_unit_access) {
  return transfer_command({sector, sector_count, true, force_unit_access});
}

// Sector 0 and count 0: the whole medium.
Cdb synchronize_cache_command() { return cdb_of(ScsiOpcode::kSynchronizeCache10, 10); }

Cdb inquiry_command(std::uint8_t allocation_bytes) {
  Cdb cdb = cdb_of(ScsiOpcode::kInquiry, 6);
  cdb.bytes[4] = allocation_bytes;
  return cdb;
}

Cdb inquiry_page_command(std::uint8_t page, std::uint8_t allocation_bytes) {
  Cdb cdb = inquiry_command(allocation_bytes);
  cdb.bytes[1] = 1;
  cdb.bytes[2] = page;
  return cdb;
}

Cdb read_capacity_10_command() { return cdb_of(ScsiOpcode::kReadCapacity10, 10); }

Cdb read_capacity_16_command(std::uint32_t allocation_bytes) {
  Cdb cdb = cdb_of(ScsiOpcode::kServiceActionIn16, 16);
  cdb.bytes[1] = kServiceActionReadCapacity16;
  store_big_u32(std::span(cdb.bytes).subspan(10), allocation_bytes);
  return cdb;
}

Cdb test_unit_ready_command() { return cdb_of(ScsiOpcode::kTestUnitReady, 6); }

Cdb request_sense_command(std::uint8_t allocation_bytes) {
  Cdb cdb = cdb_of(ScsiOpcode::kRequestSense, 6);
  cdb.bytes[4] = allocation_bytes;
  return cdb;
}

Cdb mode_sense_6_command(std::uint8_t page, std::uint8_t allocation_bytes) {
  Cdb cdb = cdb_of(ScsiOpcode::kModeSense6, 6);
  cdb.bytes[2] = page;
  cdb.bytes[4] = allocation_bytes;
  return cdb;
}

Cdb report_luns_command(std::uint32_t allocation_bytes) {
  Cdb cdb = cdb_of(ScsiOpcode::kReportLuns, 12);
  store_big_u32(std::span(cdb.bytes).subspan(6), allocation_bytes);
  return cdb;
}

std::optional<Transfer> parse_transfer(std::span<const std::uint8_t> cdb) {
  if (cdb.empty()) {
    return std::nullopt;
  }
  const std::uint8_t opcode = cdb[0];
  const bool is_write = opcode == static_cast<std::uint8_t>(ScsiOpcode::kWrite10) ||
                        opcode == static_cast<std::uint8_t>(ScsiOpcode::kWrite16);
  const bool is_10 = opcode == static_cast<std::uint8_t>(ScsiOpcode::kRead10) ||
                     opcode == static_cast<std::uint8_t>(ScsiOpcode::kWrite10);
  const bool is_16 = opcode == static_cast<std::uint8_t>(ScsiOpcode::kRead16) ||
                     opcode == static_cast<std::uint8_t>(ScsiOpcode::kWrite16);
  if ((!is_10 && !is_16) || cdb.size() < (is_10 ? 10u : 16u)) {
    return std::nullopt;
  }
  Transfer transfer;
  transfer.is_write = is_write;
  transfer.force_unit_access = (cdb[1] & kForceUnitAccess) != 0;
  transfer.sector = is_10 ? load_big_u32(cdb.subspan(2)) : load_big_u64(cdb.subspan(2));
  transfer.sector_count = is_10 ? load_big_u16(cdb.subspan(7)) : load_big_u32(cdb.subspan(10));
  return transfer;
}

// --- Sense and capacity --------------------------------------------------------------------------

std::array<std::uint8_t, kFixedSenseSize> sense_bytes(Sense sense) {
  std::array<std::uint8_t, kFixedSenseSize> bytes{};
  bytes[0] = 0x70;  // current error, fixed format
  bytes[2] = sense.key;
  bytes[7] = kFixedSenseSize - 8;
  bytes[12] = sense.code;
  bytes[13] = sense.qualifier;
  return bytes;
}

std::optional<Sense> parse_sense(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 14 || (bytes[0] & 0x7E) != 0x70) {
    return std::nullopt;
  }
  return Sense{static_cast<std::uint8_t>(bytes[2] & 0x0F), bytes[12], bytes[13]};
}

std::optional<Capacity> parse_capacity_10(std::span<const std::uint8_t> data) {
  if (data.size() < 8 || load_big_u32(data) == 0xFFFFFFFF) {
    return std::nullopt;
  }
  return Capacity{std::uint64_t{load_big_u32(data)} + 1, load_big_u32(data.subspan(4))};
}

std::optional<Capacity> parse_capacity_16(std::span<const std::uint8_t> data) {
  if (data.size() < 12 || load_big_u64(data) == ~std::uint64_t{0}) {
    return std::nullopt;
  }
  return Capacity{load_big_u64(data) + 1, load_big_u32(data.subspan(8))};
}

}  // namespace vmbus::storage
