// The ports that belong to one partition, and its connections to ports of others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/synic/id_index.h"
#include "hv/synic/message_buffers.h"
#include "hv/synic/port.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/status.h"

namespace hv {

/// Records lie in pages of the owner's pool. Callers hold the management lock (the pool is used)
/// and the communication lock to change a table, the latter alone to look at it.
class PortTable {
 public:
  explicit PortTable(PagePool& pool) : records_(pool), buffers_(pool), index_(pool) {}
  PortTable(const PortTable&) = delete;
  PortTable& operator=(const PortTable&) = delete;

  /// check_port()'s statuses; kInvalidPortId if the id is in use; kInsufficientMemory.
  [[nodiscard]] std::expected<Port*, Status> create(PortId id, PartitionId owner,
                                                    PartitionId connection_partition,
                                                    const PortInfo& info);
  [[nodiscard]] Port* find(PortId id) { return index_.find(id); }
  /// Ends a port: its connection leads nowhere from now on. Its messages were dropped from every
  /// queue before.
  void remove(Port& port);
  /// Any port, for as long as there are some: for tearing down.
  [[nodiscard]] Port* any() { return index_.any(); }
  [[nodiscard]] std::uint32_t count() const { return index_.count(); }
  /// Returns all memory to the pool; no port is left.
  void destroy();

  /// The ring of `vp` was full when this doorbell port rang: it waits until take_waiting().
  void wait_for_ring(Port& port, VpIndex vp);
  /// A port that waits for the ring of a SINT of `vp`, and waits no more; null if there is none.
  [[nodiscard]] Port* take_waiting(VpIndex vp, std::uint32_t sint);

 private:
  void forget_waiting(const Port& port);

  /// As many as a child usually has need no page.
  RecordPages<Port, 2> records_;
  MessageBuffers buffers_;
  IdIndex<Port, PortId> index_;
  Port* waiting_ = nullptr;
};

class ConnectionTable {
 public:
  explicit ConnectionTable(PagePool& pool) : records_(pool), index_(pool) {}
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  /// Connects `owner` to a port. check_connection()'s statuses; kInvalidConnectionId if the id is
  /// in use; kInvalidPartitionId if the port is for another partition; kInvalidPortId if it already
  /// has a connection or is not of the type; kNoResources for more monitors than kMonitors;
  /// kInsufficientMemory.
  [[nodiscard]] Status connect(ConnectionId id, PartitionId owner, const ConnectionInfo& info,
                               Port& port);
  [[nodiscard]] Connection* find(ConnectionId id) { return index_.find(id); }
  /// Ends a connection. Messages that are under way still arrive.
  void remove(Connection& connection);
  [[nodiscard]] Connection* any() { return index_.any(); }
  [[nodiscard]] std::uint32_t count() const { return index_.count(); }
  void destroy();

  /// As many monitor connections as one look takes in.
  static constexpr std::size_t kMonitors = 4;
  [[nodiscard]] const std::array<Connection*, kMonitors>& monitors() const { return monitors_; }

 private:
  std::array<Connection*, kMonitors> monitors_{};
  RecordPages<Connection, 4> records_;
  IdIndex<Connection, ConnectionId> index_;
};

}  // namespace hv
