#include "hv/synic/port_table.h"

#include <algorithm>

#include "machine/invariant.h"

namespace hv {

std::expected<Port*, Status> PortTable::create(PortId id, PartitionId owner,
                                               PartitionId connection_partition,
                                               const PortInfo& info) {
  if (const Status status = check_port(id, info); status != Status::kSuccess) {
    return std::unexpected(status);
  }
  if (find(id) != nullptr) {
    return std::unexpected(Status::kInvalidPortId);
  }
  if (!records_.has_room()) {
    return std::unexpected(Status::kInsufficientMemory);
  }
  const bool for_messages = info.type == PortType::kMessage;
  if (for_messages && !buffers_.promise_port()) {
    return std::unexpected(Status::kInsufficientMemory);
  }
  Port& port = records_.make();
  port.id = id;
  port.partition = owner;
  port.connection_partition = connection_partition;
  port.info = info;
  port.store_ = for_messages ? &buffers_ : nullptr;
  index_.insert(port);
  return &port;
}

void PortTable::remove(Port& port) {
  INVARIANT(port.messages.busy_buffers() == 0);
  if (port.connection != nullptr) {
    port.connection->port = nullptr;
  }
  forget_waiting(port);
  index_.remove(port);
  while (MessageBuffer* const buffer = port.buffers_) {
    port.buffers_ = buffer->next;
    buffers_.give(*buffer);
  }
  if (port.store_ != nullptr) {
    buffers_.forget_port();
  }
  records_.end(port);
}

void PortTable::destroy() {
  INVARIANT(index_.count() == 0);
  records_.destroy();
}

void PortTable::wait_for_ring(Port& port, VpIndex vp) {
  INVARIANT(port.info.type == PortType::kDoorbell);
  if (port.waits_) {
    return;
  }
  port.waits_ = true;
  port.waits_for_ = vp;
  port.next_waiting_ = waiting_;
  waiting_ = &port;
}

Port* PortTable::take_waiting(VpIndex vp, std::uint32_t sint) {
  Port* port = waiting_;
  while (port != nullptr && (port->waits_for_ != vp || port->info.sint != sint)) {
    port = port->next_waiting_;
  }
  if (port != nullptr) {
    forget_waiting(*port);
  }
  return port;
}

void PortTable::forget_waiting(const Port& port) {
  for (Port** at = &waiting_; *at != nullptr; at = &(*at)->next_waiting_) {
    if (*at == &port) {
      (*at)->waits_ = false;
      *at = port.next_waiting_;
      return;
    }
  }
}

Status ConnectionTable::connect(ConnectionId id, PartitionId owner, const ConnectionInfo& info,
                                Port& port) {
  INVARIANT(info.type != PortType::kDoorbell);
  if (const Status status = check_connection(id, info); status != Status::kSuccess) {
    return status;
  }
  if (find(id) != nullptr) {
    return Status::kInvalidConnectionId;
  }
  if (const Status status = check_connectable(port, owner, info.type); status != Status::kSuccess) {
    return status;
  }
  const bool is_monitor = info.type == PortType::kMonitor;
  const auto place = std::ranges::find(monitors_, nullptr);
  if (is_monitor && place == monitors_.end()) {
    return Status::kNoResources;
  }
  if (!records_.has_room()) {
    return Status::kInsufficientMemory;
  }
  Connection& connection = records_.make();
  connection.id = id;
  connection.partition = owner;
  connection.type = info.type;
  connection.port_partition = port.partition;
  connection.port = &port;
  port.connection = &connection;
  if (is_monitor) {
    *place = &connection;
  }
  index_.insert(connection);
  return Status::kSuccess;
}

Status check_connectable(const Port& port, PartitionId owner, PortType type) {
  if (port.connection_partition != owner) {
    return Status::kInvalidPartitionId;
  }
  return port.connection == nullptr && port.info.type == type ? Status::kSuccess
                                                              : Status::kInvalidPortId;
}

void ConnectionTable::remove(Connection& connection) {
  if (connection.port != nullptr) {
    connection.port->connection = nullptr;
  }
  std::ranges::replace(monitors_, &connection, nullptr);
  index_.remove(connection);
  records_.end(connection);
}

void ConnectionTable::destroy() {
  INVARIANT(index_.count() == 0);
  records_.destroy();
}

}  // namespace hv
