#include "vmbus/storage/scsi_disk.h"

#include <optional>
#include <string_view>

namespace vmbus::storage {

namespace {

constexpr std::size_t kStandardInquirySize = 36;
constexpr std::uint8_t kDescribesSpc3 = 5;
constexpr std::uint8_t kNoDeviceHere = 0x7F;

constexpr std::uint8_t kPageSupported = 0x00;
constexpr std::uint8_t kPageSerialNumber = 0x80;
constexpr std::uint8_t kPageIdentification = 0x83;
constexpr std::uint8_t kPageBlockLimits = 0xB0;
constexpr std::uint8_t kPageCharacteristics = 0xB1;

constexpr std::uint8_t kModePageCaching = 0x08;
constexpr std::uint8_t kModePageAll = 0x3F;
constexpr std::uint8_t kModeWriteProtected = 0x80;
constexpr std::uint8_t kModeForceUnitAccess = 0x10;

DiskDecision fail(Sense sense) {
  DiskDecision decision;
  decision.action = DiskAction::kFail;
  decision.sense = sense;
  return decision;
}

/// `size` bytes of the answer hold data, of which the initiator gets what it has room for: the
/// allocation length of its CDB and the buffer that goes with it.
DiskDecision answered(DiskDecision decision, std::uint32_t size, std::uint32_t allocation,
                      const Srb& srb) {
  const std::uint32_t room = allocation < srb.transfer_length ? allocation : srb.transfer_length;
  decision.action = DiskAction::kAnswer;
  decision.answer_bytes = size < room ? size : room;
  const bool from_device = srb.direction == DataDirection::kFromDevice;
  return decision.answer_bytes == 0 || from_device ? decision : fail(kSenseInvalidField);
}

void put_text(std::span<std::uint8_t> to, std::string_view text) {
  for (std::size_t index = 0; index < to.size(); ++index) {
    to[index] = index < text.size() ? static_cast<std::uint8_t>(text[index]) : std::uint8_t{' '};
  }
}

DiskDecision standard_inquiry(std::uint8_t first_byte, std::uint32_t allocation, const Srb& srb) {
  DiskDecision decision;
  const std::span<std::uint8_t> data(decision.answer);
  data[0] = first_byte;
  data[2] = kDescribesSpc3;
  data[3] = 2;  // response data format
  data[4] = kStandardInquirySize - 5;
  data[7] = 0x02;  // command queueing
  put_text(data.subspan(8, 8), "Msft");
  put_text(data.subspan(16, 16), "Virtual Disk");
  put_text(data.subspan(32, 4), "1.0");
  return answered(decision, kStandardInquirySize, allocation, srb);
}

DiskDecision inquiry_page(std::uint8_t page, std::uint32_t allocation, const Srb& srb,
                          const DiskGeometry& geometry) {
  DiskDecision decision;
  const std::span<std::uint8_t> data(decision.answer);
  const std::string_view serial(geometry.serial.data(), geometry.serial.size());
  data[1] = page;
  std::uint16_t length = 0;
  if (page == kPageSupported) {
    constexpr std::array<std::uint8_t, 5> kPages = {kPageSupported, kPageSerialNumber,
                                                    kPageIdentification, kPageBlockLimits,
                                                    kPageCharacteristics};
    for (std::size_t index = 0; index < kPages.size(); ++index) {
      data[4 + index] = kPages[index];
    }
    length = kPages.size();
  } else if (page == kPageSerialNumber) {
    put_text(data.subspan(4, serial.size()), serial);
    length = static_cast<std::uint16_t>(serial.size());
  } else if (page == kPageIdentification) {
    data[4] = 2;  // ASCII
    data[5] = 1;  // T10 vendor identification, of the logical unit
    data[7] = static_cast<std::uint8_t>(8 + serial.size());
    put_text(data.subspan(8, 8), "Msft");
    put_text(data.subspan(16, serial.size()), serial);
    length = static_cast<std::uint16_t>(12 + serial.size());
  } else if (page == kPageBlockLimits) {
    store_big_u32(data.subspan(8),
                  static_cast<std::uint32_t>(geometry.max_transfer_bytes / kSectorSize));
    length = 60;
  } else if (page == kPageCharacteristics) {
    store_big_u16(data.subspan(4), 1);  // not rotating
    length = 60;
  } else {
    return fail(kSenseInvalidField);
  }
  store_big_u16(data.subspan(2), length);
  return answered(decision, 4u + length, allocation, srb);
}

DiskDecision decide_inquiry(const Srb& srb, std::span<const std::uint8_t> cdb,
                            const DiskGeometry& geometry) {
  const std::uint32_t allocation = load_big_u16(cdb.subspan(3));
  if ((cdb[1] & 1) != 0) {
    return inquiry_page(cdb[2], allocation, srb, geometry);
  }
  return cdb[2] == 0 ? standard_inquiry(0, allocation, srb) : fail(kSenseInvalidField);
}

DiskDecision decide_mode_sense(const Srb& srb, std::span<const std::uint8_t> cdb,
                               const DiskGeometry& geometry) {
  const bool is_10 = cdb[0] == static_cast<std::uint8_t>(ScsiOpcode::kModeSense10);
  const std::uint8_t page = cdb[2] & 0x3F;
  const std::uint32_t allocation = is_10 ? load_big_u16(cdb.subspan(7)) : cdb[4];
  if (page != kModePageCaching && page != kModePageAll) {
    return fail(kSenseInvalidField);
  }
  DiskDecision decision;
  const std::span<std::uint8_t> data(decision.answer);
  const std::uint32_t header = is_10 ? 8 : 4;
  constexpr std::uint32_t kCachingPageSize = 20;
  const std::uint32_t size = header + kCachingPageSize;
  const std::uint8_t device_specific = static_cast<std::uint8_t>(
      kModeForceUnitAccess | (geometry.read_only ? kModeWriteProtected : 0));
  if (is_10) {
    store_big_u16(data, static_cast<std::uint16_t>(size - 2));
    data[3] = device_specific;
  } else {
    data[0] = static_cast<std::uint8_t>(size - 1);
    data[2] = device_specific;
  }
  data[header] = kModePageCaching;
  data[header + 1] = kCachingPageSize - 2;
  data[header + 2] = geometry.write_cache ? 0x04 : 0x00;
  return answered(decision, size, allocation, srb);
}

DiskDecision decide_capacity_10(const Srb& srb, const DiskGeometry& geometry) {
  DiskDecision decision;
  const std::span<std::uint8_t> data(decision.answer);
  const std::uint64_t last = geometry.sector_count - 1;
  store_big_u32(data, last > 0xFFFFFFFE ? 0xFFFFFFFF : static_cast<std::uint32_t>(last));
  store_big_u32(data.subspan(4), kSectorSize);
  return answered(decision, 8, 8, srb);
}

DiskDecision decide_service_action(const Srb& srb, std::span<const std::uint8_t> cdb,
                                   const DiskGeometry& geometry) {
  if ((cdb[1] & 0x1F) != kServiceActionReadCapacity16) {
    return fail(kSenseInvalidField);
  }
  DiskDecision decision;
  const std::span<std::uint8_t> data(decision.answer);
  store_big_u64(data, geometry.sector_count - 1);
  store_big_u32(data.subspan(8), kSectorSize);
  return answered(decision, 32, load_big_u32(cdb.subspan(10)), srb);
}

DiskDecision decide_transfer(const Srb& srb, const Transfer& transfer,
                             const DiskGeometry& geometry) {
  const std::uint64_t bytes = std::uint64_t{transfer.sector_count} * kSectorSize;
  const DataDirection direction =
      transfer.is_write ? DataDirection::kToDevice : DataDirection::kFromDevice;
  if (transfer.sector >= geometry.sector_count ||
      geometry.sector_count - transfer.sector < transfer.sector_count) {
    return fail(kSenseAddressOutOfRange);
  }
  if (transfer.is_write && geometry.read_only) {
    return fail(kSenseWriteProtected);
  }
  DiskDecision decision;
  if (transfer.sector_count == 0) {
    return answered(decision, 0, 0, srb);  // no sectors are not an error (SBC-3 5.7)
  }
  if (bytes > geometry.max_transfer_bytes || bytes != srb.transfer_length ||
      direction != srb.direction) {
    return fail(kSenseInvalidField);
  }
  decision.action = transfer.is_write ? DiskAction::kWrite : DiskAction::kRead;
  decision.transfer = transfer;
  return decision;
}

DiskDecision report_luns(const Srb& srb, std::span<const std::uint8_t> cdb, bool lun_0_exists) {
  DiskDecision decision;
  const std::uint32_t list_bytes = lun_0_exists ? 8 : 0;
  store_big_u32(decision.answer, list_bytes);
  return answered(decision, 8 + list_bytes, load_big_u32(cdb.subspan(6)), srb);
}

/// The opcode's group tells the length (SPC-4 4.2.5.1).
std::size_t cdb_length_of(std::uint8_t opcode) {
  constexpr std::array<std::uint8_t, 8> kLengths = {6, 10, 10, 0, 16, 12, 0, 0};
  return kLengths[opcode >> 5];
}

/// The CDB of a request; empty if it is shorter than its opcode says.
std::span<const std::uint8_t> cdb_of(const Srb& srb) {
  const std::size_t needed = cdb_length_of(srb.cdb_or_sense[0]);
  if (srb.cdb_length > kMaxCdbSize || srb.cdb_length < needed || srb.cdb_length == 0) {
    return {};
  }
  return std::span(srb.cdb_or_sense).first(kMaxCdbSize);
}

}  // namespace

DiskDecision decide(const Srb& srb, const DiskGeometry& geometry) {
  const std::span<const std::uint8_t> cdb = cdb_of(srb);
  if (cdb.empty()) {
    return fail(kSenseInvalidField);
  }
  DiskDecision decision;
  switch (static_cast<ScsiOpcode>(cdb[0])) {
    case ScsiOpcode::kRead10:
    case ScsiOpcode::kWrite10:
    case ScsiOpcode::kRead16:
    case ScsiOpcode::kWrite16:
      return decide_transfer(srb, *parse_transfer(cdb), geometry);
    case ScsiOpcode::kSynchronizeCache10:
      decision.action = DiskAction::kFlush;
      return decision;
    case ScsiOpcode::kTestUnitReady:
    case ScsiOpcode::kStartStopUnit:
      return answered(decision, 0, 0, srb);
    case ScsiOpcode::kRequestSense: {
      const auto bytes = sense_bytes(kSenseNone);
      for (std::size_t index = 0; index < bytes.size(); ++index) {
        decision.answer[index] = bytes[index];
      }
      return answered(decision, kFixedSenseSize, cdb[4], srb);
    }
    case ScsiOpcode::kInquiry:
      return decide_inquiry(srb, cdb, geometry);
    case ScsiOpcode::kModeSense6:
    case ScsiOpcode::kModeSense10:
      return decide_mode_sense(srb, cdb, geometry);
    case ScsiOpcode::kReadCapacity10:
      return decide_capacity_10(srb, geometry);
    case ScsiOpcode::kServiceActionIn16:
      return decide_service_action(srb, cdb, geometry);
    case ScsiOpcode::kReportLuns:
      return report_luns(srb, cdb, true);
  }
  return fail(kSenseInvalidOpcode);
}

DiskDecision decide_absent(const Srb& srb, bool lun_0_exists) {
  const std::span<const std::uint8_t> cdb = cdb_of(srb);
  if (!cdb.empty() && cdb[0] == static_cast<std::uint8_t>(ScsiOpcode::kInquiry)) {
    if ((cdb[1] & 1) != 0) {
      // No such page: nothing is transferred, and the initiator sees that it did not match.
      return answered(DiskDecision{}, 0, 0, srb);
    }
    return standard_inquiry(kNoDeviceHere, load_big_u16(cdb.subspan(3)), srb);
  }
  if (!cdb.empty() && cdb[0] == static_cast<std::uint8_t>(ScsiOpcode::kReportLuns)) {
    return report_luns(srb, cdb, lun_0_exists);
  }
  DiskDecision decision;
  decision.action = DiskAction::kInvalidLun;
  return decision;
}

}  // namespace vmbus::storage
