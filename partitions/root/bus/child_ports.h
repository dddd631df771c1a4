// Ports and connections between the root and one child, made and taken away in pairs.
#pragma once

#include <cstdint>

#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/status.h"
#include "partitions/root/partition_calls.h"

namespace root {

/// Ids of ports and connections are 24 bits: the child's number above, what it is for below.
inline constexpr std::uint32_t kChildIdShift = 12;
[[nodiscard]] constexpr std::uint32_t id_for_child(std::uint32_t child_number, std::uint32_t use) {
  return (child_number << kChildIdShift) | use;
}

/// What a port of the root is for, in the lower bits of its id. Services use the number of their
/// connection.
inline constexpr std::uint32_t kChildIdUseMask = (1u << kChildIdShift) - 1;
/// The event port, and the event connection, of channel c is kChannelUse + c.
inline constexpr std::uint32_t kChannelUse = 0x800;

class ChildPorts {
 public:
  ChildPorts(PartitionCalls& calls, std::uint32_t child_number, hv::PartitionId child)
      : calls_(calls), child_number_(child_number), child_(child) {}

  /// A port of the root for `use`, and the child's connection `connection` to it.
  [[nodiscard]] hv::Status open_in_root(std::uint32_t use, const hv::PortInfo& info,
                                        hv::ConnectionId connection);
  /// Port `port` of the child, and the root's connection for `use` to it.
  [[nodiscard]] hv::Status open_in_child(hv::PortId port, const hv::PortInfo& info,
                                         std::uint32_t use);
  /// A port of the child, and the child's own connection of the same number to it. They go with the
  /// child's partition.
  [[nodiscard]] hv::Status open_loop(std::uint32_t id, const hv::PortInfo& info);
  /// Either end may be gone already, with the child's partition or because it was never made.
  void close_in_root(std::uint32_t use, hv::ConnectionId connection);
  void close_in_child(hv::PortId port, std::uint32_t use);

  /// The root's connection for `use`.
  [[nodiscard]] hv::ConnectionId connection(std::uint32_t use) const {
    return hv::ConnectionId(id_for_child(child_number_, use));
  }

 private:
  PartitionCalls& calls_;
  std::uint32_t child_number_;
  hv::PartitionId child_;
};

}  // namespace root
