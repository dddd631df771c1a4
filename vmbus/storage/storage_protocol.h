// The storage protocol's packets: what storvsc and storvsp put into the ring. Offsets are those of
// the published drivers (Linux drivers/scsi/storvsc_drv.c). All integers are little endian; the
// CDBs and sense data inside are SCSI's, big endian (scsi.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmbus::storage {

enum class Operation : std::uint32_t {
  kCompleteIo = 1,
  kRemoveDevice = 2,
  kExecuteSrb = 3,
  kResetLun = 4,
  kResetAdapter = 5,
  kResetBus = 6,
  kBeginInitialization = 7,
  kEndInitialization = 8,
  kQueryProtocolVersion = 9,
  kQueryProperties = 10,
  kEnumerateBus = 11,
  kFibreChannelData = 12,
  kCreateSubChannels = 13,
  kEventNotification = 14,
};

/// NTSTATUS values of replies.
enum class NtStatus : std::uint32_t {
  kSuccess = 0,
  kUnsuccessful = 0xC0000001,
  kInvalidParameter = 0xC000000D,
  kInvalidDeviceRequest = 0xC0000010,
  kRevisionMismatch = 0xC0000059,
  kDeviceDoesNotExist = 0xC00000C0,
  kCancelled = 0xC0000120,
  kInvalidDeviceState = 0xC0000184,
  kIoDeviceError = 0xC0000185,
};

enum class StorageVersion : std::uint16_t {
  kWin8 = 0x0501,
  kWin8_1 = 0x0600,
  kWin10 = 0x0602,
};
inline constexpr std::array<StorageVersion, 3> kStorageVersionsNewestFirst = {
    StorageVersion::kWin10, StorageVersion::kWin8_1, StorageVersion::kWin8};

inline constexpr std::uint32_t kPacketWantsCompletion = 1;

/// Transaction ids that Linux uses; those of requests are chosen by the client and never 0.
inline constexpr std::uint64_t kInitializationTransaction = ~std::uint64_t{0} - 2;
inline constexpr std::uint64_t kResetTransaction = ~std::uint64_t{0} - 3;

enum class DataDirection : std::uint8_t { kToDevice = 0, kFromDevice = 1, kNone = 2 };

inline constexpr std::uint8_t kSrbStatusSuccess = 0x01;
inline constexpr std::uint8_t kSrbStatusAborted = 0x02;
inline constexpr std::uint8_t kSrbStatusError = 0x04;
inline constexpr std::uint8_t kSrbStatusInvalidRequest = 0x06;
inline constexpr std::uint8_t kSrbStatusDataOverrun = 0x12;
inline constexpr std::uint8_t kSrbStatusInvalidLun = 0x20;
inline constexpr std::uint8_t kSrbStatusAutosenseValid = 0x80;

inline constexpr std::uint32_t kSrbFlagQueueAction = 0x2;
inline constexpr std::uint32_t kSrbFlagNoAutosense = 0x20;
inline constexpr std::uint32_t kSrbFlagDataIn = 0x40;
inline constexpr std::uint32_t kSrbFlagDataOut = 0x80;

inline constexpr std::size_t kMaxCdbSize = 16;
inline constexpr std::size_t kSenseBufferSize = 20;

/// SCSI request block. `cdb_or_sense` is the CDB in a request, sense data in a reply.
struct Srb {
  std::uint16_t length = 0x34;
  std::uint8_t srb_status = 0;
  std::uint8_t scsi_status = 0;
  std::uint8_t port = 0;
  std::uint8_t path = 0;
  std::uint8_t target = 0;
  std::uint8_t lun = 0;
  std::uint8_t cdb_length = 0;
  std::uint8_t sense_length = 0;
  DataDirection direction = DataDirection::kNone;
  std::uint8_t reserved = 0;
  std::uint32_t transfer_length = 0;
  std::array<std::uint8_t, kSenseBufferSize> cdb_or_sense{};
  std::uint16_t reserved_2 = 0;
  std::uint8_t queue_tag = 0xFF;
  std::uint8_t queue_action = 0x20;
  std::uint32_t flags = 0;
  std::uint32_t timeout_seconds = 0;
  std::uint32_t sort_key = 0;
};
static_assert(sizeof(Srb) == 52 && alignof(Srb) == 4);
static_assert(offsetof(Srb, srb_status) == 2 && offsetof(Srb, scsi_status) == 3 &&
              offsetof(Srb, port) == 4 && offsetof(Srb, path) == 5 && offsetof(Srb, target) == 6 &&
              offsetof(Srb, lun) == 7 && offsetof(Srb, cdb_length) == 8 &&
              offsetof(Srb, sense_length) == 9 && offsetof(Srb, direction) == 10 &&
              offsetof(Srb, transfer_length) == 12 && offsetof(Srb, cdb_or_sense) == 16 &&
              offsetof(Srb, queue_tag) == 38 && offsetof(Srb, queue_action) == 39 &&
              offsetof(Srb, flags) == 40 && offsetof(Srb, timeout_seconds) == 44 &&
              offsetof(Srb, sort_key) == 48);

inline constexpr std::uint32_t kPropertyMultiChannel = 1;

/// The reply to QUERY_PROPERTIES.
struct ChannelProperties {
  std::uint32_t reserved = 0;
  std::uint16_t max_subchannel_count = 0;
  std::uint16_t reserved_2 = 0;
  std::uint32_t flags = 0;
  std::uint32_t max_transfer_bytes = 0;
  std::array<std::uint32_t, 2> reserved_3{};
};
static_assert(sizeof(ChannelProperties) == 24 && offsetof(ChannelProperties, flags) == 8 &&
              offsetof(ChannelProperties, max_subchannel_count) == 4 &&
              offsetof(ChannelProperties, max_transfer_bytes) == 12);

struct ProtocolVersion {
  std::uint16_t version = 0;
  std::uint16_t revision = 0;
};
static_assert(sizeof(ProtocolVersion) == 4);

/// The payload of every storage packet.
struct StoragePacket {
  Operation operation = Operation::kCompleteIo;
  std::uint32_t flags = 0;
  NtStatus status = NtStatus::kSuccess;
  /// Srb, ChannelProperties, ProtocolVersion or a u16 count of sub-channels, by operation.
  std::array<std::byte, sizeof(Srb)> body{};
};
static_assert(sizeof(StoragePacket) == 64 && offsetof(StoragePacket, flags) == 4 &&
              offsetof(StoragePacket, status) == 8 && offsetof(StoragePacket, body) == 12);

/// User data of the offer of an IDE disk on the fast path.
struct IdeOfferData {
  std::uint16_t reserved = 0;
  std::uint8_t path = 0;
  std::uint8_t target = 0;
  std::uint32_t reserved_2 = 0;
  std::uint32_t flags = 2;
  std::array<std::uint32_t, 3> reserved_3{};
};
static_assert(sizeof(IdeOfferData) == 24 && offsetof(IdeOfferData, target) == 3 &&
              offsetof(IdeOfferData, flags) == 8);

}  // namespace vmbus::storage
