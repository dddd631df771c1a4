// Streams between a partition and a service of its root (hv_sock): who is called, and what goes
// through the ring (Linux net/vmw_vsock/hyperv_transport.c).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmbus/protocol/guid.h"

namespace vmbus {

/// A port as a service's or an endpoint's GUID: its number is the first field.
[[nodiscard]] constexpr Guid guid_of_port(std::uint32_t port) {
  Guid result = guid("00000000-facb-11e6-bd58-64006a7986d3");
  result.data1 = port;
  return result;
}
/// Whether it names a port at all.
[[nodiscard]] constexpr bool is_port(const Guid& service) {
  return service == guid_of_port(service.data1);
}

inline constexpr std::uint32_t kStreamData = 1;
/// The most that one packet carries behind its header.
inline constexpr std::uint32_t kMostStreamBytes = 16384;

/// The head of an in-band packet; the data follow. No data: the sender sends nothing more.
struct StreamHeader {
  std::uint32_t type = kStreamData;
  std::uint32_t size_bytes = 0;
};
static_assert(sizeof(StreamHeader) == 8 && offsetof(StreamHeader, size_bytes) == 4);

/// What the user data of an offered stream say: who asked for it. Offsets in bytes; what is left
/// out is zero for a pipe of bytes that is for no container.
inline constexpr std::size_t kStreamForAcceptOffset = 4;
inline constexpr std::size_t kStreamVersionOffset = 6;  // 32 bits, unaligned
inline constexpr std::uint8_t kStreamVersionRs5 = 1;

/// The offer calls a service of the partition that it is made to.
constexpr void mark_as_call(std::span<std::uint8_t> user_data) {
  user_data[kStreamForAcceptOffset] = 1;
  user_data[kStreamVersionOffset] = kStreamVersionRs5;
}
[[nodiscard]] constexpr bool is_call(std::span<const std::uint8_t> user_data) {
  return user_data[kStreamForAcceptOffset] != 0;
}

/// Services of our root, by their ports: one sends back what comes; one does so once and ends.
inline constexpr std::uint32_t kEchoPort = 7;
inline constexpr std::uint32_t kShortEchoPort = 8;
/// Services of our children: one sends back what comes; nobody listens at the other.
inline constexpr std::uint32_t kChildEchoPort = 1007;
inline constexpr std::uint32_t kChildDeafPort = 1008;
/// The most that a socket of theirs takes at once.
inline constexpr std::size_t kMostServiceBytes = 1024;

}  // namespace vmbus
