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
  index_.insert(port);
  return &port;
}

void PortTable::remove(Port& port) {
  INVARIANT(port.messages.busy_buffers() == 0);
  if (port.connection != nullptr) {
    port.connection->port = nullptr;
  }
  index_.remove(port);
  if (port.payloads_ != nullptr) {
    pool_->give(port.payload_page_);
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
