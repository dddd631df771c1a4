// Ports and connections of one partition (TLFS "Inter-Partition Communication").
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "hv/synic/message_buffers.h"
#include "hv/synic/queued_message.h"
#include "hv/tlfs/messages.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

class Connection;
class Partition;
template <class T, class Id>
class IdIndex;

/// Where messages or events of a connection arrive. All of it is guarded by the communication lock,
/// but for the busy bits of `messages`, which Synic clears under the lock of a virtual processor.
class Port {
 public:
  PortId id{};
  PartitionId partition{};
  /// Whose it is, as long as it is: a port ends before its partition.
  Partition* owner = nullptr;
  /// Only this partition may connect.
  PartitionId connection_partition{};
  PortInfo info;
  /// The connection to it, at most one.
  Connection* connection = nullptr;

  /// Of a monitor port: the page that its owner and the sender see; of the owner's pool.
  machine::Spn monitor_page;

  /// Messages, events and doorbells that came through it.
  std::uint64_t post_count = 0;
  /// The port's buffers in the queues of virtual processors; drop it there before the port goes.
  MessageOwner messages;

  /// Takes a free buffer of a message port and fills it; what comes back is ready for
  /// Synic::post(). kInsufficientBuffers when all 16 are under way.
  [[nodiscard]] std::expected<QueuedMessage*, Status> fill_buffer(
      MessageType type, std::span<const std::byte> payload);
  [[nodiscard]] bool has_free_buffer() const;
  /// Of a doorbell: it rang when the ring was full, and its id is not there yet.
  [[nodiscard]] bool waits() const { return waits_; }

 private:
  friend class PortTable;
  friend class IdIndex<Port, PortId>;
  [[nodiscard]] MessageBuffer* find_buffer(std::uint32_t number);

  /// The buffers that were ever needed, the youngest first.
  MessageBuffer* buffers_ = nullptr;
  /// Where they come from; null for ports that are for no messages.
  MessageBuffers* store_ = nullptr;
  Port* next_ = nullptr;
  /// A doorbell port that rang when the ring of this virtual processor was full.
  Port* next_waiting_ = nullptr;
  VpIndex waits_for_{};
  bool waits_ = false;
};

/// The way to a port, of another partition as a rule. A connection outlives its port: then it leads
/// nowhere.
class Connection {
 public:
  ConnectionId id{};
  PartitionId partition{};
  PortType type{};
  PartitionId port_partition{};
  /// Null once the port was deleted.
  Port* port = nullptr;

 private:
  friend class IdIndex<Connection, ConnectionId>;
  Connection* next_ = nullptr;
};

/// What CreatePort may ask for, without regard to other objects: kInvalidPortId for an id of more
/// than 24 bits, kInvalidParameter for what the interface forbids, kInvalidAlignment for a
/// monitor port whose page would not lie where a page begins. Whether the VP exists is not looked
/// at.
[[nodiscard]] Status check_port(PortId id, const PortInfo& info);
/// Likewise for ConnectPort: kInvalidConnectionId, kInvalidParameter, and
/// kInvalidAlignment for a doorbell that would cross a page and a monitor inside one.
[[nodiscard]] Status check_connection(ConnectionId id, const ConnectionInfo& info);
/// Whether `owner` may connect to the port: kInvalidPartitionId if the port is for another
/// partition; kInvalidPortId if it already has a connection or is not of the type.
[[nodiscard]] Status check_connectable(const Port& port, PartitionId owner, PortType type);
/// What PostMessage checks before it looks at any connection: kInvalidParameter.
[[nodiscard]] Status check_message(MessageType type, std::uint32_t payload_size);

}  // namespace hv
