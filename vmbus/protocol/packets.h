// Packets in a ring: descriptor, type-specific header, payload, trailer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmbus {

enum class PacketType : std::uint16_t {
  kDataInband = 6,
  kDataUsingTransferPages = 7,
  kDataUsingGpadl = 8,
  kDataUsingGpaDirect = 9,
  kCancelRequest = 0xA,
  kCompletion = 0xB,
};

inline constexpr std::uint16_t kPacketCompletionRequested = 1;

struct PacketDescriptor {
  PacketType type = PacketType::kDataInband;
  /// Where the payload starts and the packet ends, counted in 8 bytes from here; the trailer is not
  /// counted.
  std::uint16_t payload_offset8 = 0;
  std::uint16_t length8 = 0;
  std::uint16_t flags = 0;
  std::uint64_t transaction_id = 0;
};
static_assert(sizeof(PacketDescriptor) == 16 && offsetof(PacketDescriptor, payload_offset8) == 2 &&
              offsetof(PacketDescriptor, length8) == 4 && offsetof(PacketDescriptor, flags) == 6 &&
              offsetof(PacketDescriptor, transaction_id) == 8);

/// A descriptor as the two words that it is in a ring: put together and taken apart in registers,
/// where storing its fields one by one and loading them as a whole would stall the processor.
using DescriptorWords = std::array<std::uint64_t, 2>;

[[nodiscard]] constexpr DescriptorWords descriptor_words(const PacketDescriptor& descriptor) {
  return {static_cast<std::uint64_t>(descriptor.type) |
              std::uint64_t{descriptor.payload_offset8} << 16 |
              std::uint64_t{descriptor.length8} << 32 | std::uint64_t{descriptor.flags} << 48,
          descriptor.transaction_id};
}

[[nodiscard]] constexpr PacketDescriptor descriptor_of(const DescriptorWords& words) {
  return {static_cast<PacketType>(words[0] & 0xFFFF), static_cast<std::uint16_t>(words[0] >> 16),
          static_cast<std::uint16_t>(words[0] >> 32), static_cast<std::uint16_t>(words[0] >> 48),
          words[1]};
}

/// Low half 0, high half the write index at which the packet started. Readers skip it.
inline constexpr std::uint32_t kPacketTrailerSize = 8;
inline constexpr std::uint32_t kPacketDescriptorSize = sizeof(PacketDescriptor);

/// After the descriptor of a kDataUsingGpaDirect packet; the ranges follow.
struct GpaDirectHeader {
  std::uint32_t reserved = 0;
  std::uint32_t range_count = 0;
};
static_assert(sizeof(GpaDirectHeader) == 8 && offsetof(GpaDirectHeader, range_count) == 4);

/// The head of a range, in GPADLs and in GPA-direct packets; its page numbers follow.
struct GpaRangeHeader {
  std::uint32_t byte_count = 0;
  std::uint32_t byte_offset = 0;
};
static_assert(sizeof(GpaRangeHeader) == 8 && offsetof(GpaRangeHeader, byte_offset) == 4);

/// After the descriptor of a kDataUsingTransferPages packet; ranges of byte count and byte offset
/// in the receive buffer follow.
struct TransferPageHeader {
  std::uint16_t page_set_id = 0;
  std::uint8_t sender_owns_set = 0;
  std::uint8_t reserved = 0;
  std::uint32_t range_count = 0;
};
static_assert(sizeof(TransferPageHeader) == 8 && offsetof(TransferPageHeader, range_count) == 4);

}  // namespace vmbus
