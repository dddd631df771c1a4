#include "hv/synic/port_table.h"

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

Status ConnectionTable::connect(ConnectionId id, PartitionId owner, const ConnectionInfo& info,
                                Port& port) {
  if (const Status status = check_connection(id, info); status != Status::kSuccess) {
    return status;
  }
  if (find(id) != nullptr) {
    return Status::kInvalidConnectionId;
  }
  if (port.connection_partition != owner) {
    return Status::kInvalidPartitionId;
  }
  if (port.connection != nullptr || port.info.type != info.type) {
    return Status::kInvalidPortId;
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
  index_.insert(connection);
  return Status::kSuccess;
}

void ConnectionTable::remove(Connection& connection) {
  if (connection.port != nullptr) {
    connection.port->connection = nullptr;
  }
  index_.remove(connection);
  records_.end(connection);
}

void ConnectionTable::destroy() {
  INVARIANT(index_.count() == 0);
  records_.destroy();
}

}  // namespace hv
