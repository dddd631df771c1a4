#include "hv/synic/port_table.h"

#include <memory>
#include <optional>

#include "machine/invariant.h"
#include "machine/vmx_root.h"

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
  std::optional<machine::Spn> payload_page;
  if (info.type == PortType::kMessage) {
    payload_page = pool_->take();
    if (!payload_page) {
      return std::unexpected(Status::kInsufficientMemory);
    }
  }
  Port& port = records_.make();
  port.id = id;
  port.partition = owner;
  port.connection_partition = connection_partition;
  port.info = info;
  if (payload_page) {
    port.payload_page_ = *payload_page;
    port.prepare_buffers();
  }
  port.next_ = bucket(id);
  bucket(id) = &port;
  ++count_;
  return &port;
}

Port* PortTable::find(PortId id) {
  Port* port = bucket(id);
  while (port != nullptr && port->id != id) {
    port = port->next_;
  }
  return port;
}

void PortTable::remove(Port& port) {
  INVARIANT(port.messages.busy_buffers() == 0);
  if (port.connection != nullptr) {
    port.connection->port = nullptr;
  }
  Port** link = &bucket(port.id);
  while (*link != &port) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next_;
  }
  *link = port.next_;
  if (port.payloads_ != nullptr) {
    pool_->give(port.payload_page_);
  }
  records_.end(port);
  --count_;
}

Port* PortTable::any() {
  for (Port* const first : buckets_) {
    if (first != nullptr) {
      return first;
    }
  }
  return nullptr;
}

void PortTable::destroy() {
  INVARIANT(count_ == 0);
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
  connection.next_ = bucket(id);
  bucket(id) = &connection;
  ++count_;
  return Status::kSuccess;
}

Connection* ConnectionTable::find(ConnectionId id) {
  Connection* connection = bucket(id);
  while (connection != nullptr && connection->id != id) {
    connection = connection->next_;
  }
  return connection;
}

void ConnectionTable::remove(Connection& connection) {
  if (connection.port != nullptr) {
    connection.port->connection = nullptr;
  }
  Connection** link = &bucket(connection.id);
  while (*link != &connection) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next_;
  }
  *link = connection.next_;
  records_.end(connection);
  --count_;
}

Connection* ConnectionTable::any() {
  for (Connection* const first : buckets_) {
    if (first != nullptr) {
      return first;
    }
  }
  return nullptr;
}

void ConnectionTable::destroy() {
  INVARIANT(count_ == 0);
  records_.destroy();
}

}  // namespace hv
