// Streams between a partition and a service of its root (hv_sock): who is called, and what goes
// through the ring (Linux net/vmw_vsock/hyperv_transport.c).
#pragma once

#include <cstddef>
#include <cstdint>

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

/// Services of our root, by their ports: one sends back what comes; one does so once and ends.
inline constexpr std::uint32_t kEchoPort = 7;
inline constexpr std::uint32_t kShortEchoPort = 8;

}  // namespace vmbus
