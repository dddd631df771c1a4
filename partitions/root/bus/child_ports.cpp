#include "partitions/root/bus/child_ports.h"

namespace root {

namespace {

struct Pair {
  hv::PartitionId port_partition{};
  hv::PortId port{};
  hv::PartitionId connection_partition{};
  hv::ConnectionId connection{};
};

hv::Status open(PartitionCalls& calls, const Pair& pair, const hv::PortInfo& info) {
  hv::CreatePortInput create;
  create.port_partition = pair.port_partition;
  create.port = pair.port;
  create.connection_partition = pair.connection_partition;
  create.info = info;
  const hv::Status created = calls.create_port(create);
  if (created != hv::Status::kSuccess) {
    return created;
  }
  hv::ConnectPortInput connect;
  connect.connection_partition = pair.connection_partition;
  connect.connection = pair.connection;
  connect.port_partition = pair.port_partition;
  connect.port = pair.port;
  connect.info.type = info.type;
  const hv::Status connected = calls.connect_port(connect);
  if (connected != hv::Status::kSuccess) {
    static_cast<void>(calls.delete_port(pair.port_partition, pair.port));
  }
  return connected;
}

void close(PartitionCalls& calls, const Pair& pair) {
  static_cast<void>(calls.disconnect_port(pair.connection_partition, pair.connection));
  static_cast<void>(calls.delete_port(pair.port_partition, pair.port));
}

}  // namespace

hv::Status ChildPorts::open_in_root(std::uint32_t use, const hv::PortInfo& info,
                                    hv::ConnectionId connection) {
  const hv::PortId port{id_for_child(child_number_, use)};
  return open(calls_, {calls_.own_id(), port, child_, connection}, info);
}

hv::Status ChildPorts::open_in_child(hv::PortId port, const hv::PortInfo& info, std::uint32_t use) {
  return open(calls_, {child_, port, calls_.own_id(), connection(use)}, info);
}

hv::Status ChildPorts::open_loop(std::uint32_t id, const hv::PortInfo& info) {
  return open(calls_, {child_, hv::PortId{id}, child_, hv::ConnectionId{id}}, info);
}

void ChildPorts::close_in_root(std::uint32_t use, hv::ConnectionId connection) {
  const hv::PortId port{id_for_child(child_number_, use)};
  close(calls_, {calls_.own_id(), port, child_, connection});
}

void ChildPorts::close_in_child(hv::PortId port, std::uint32_t use) {
  close(calls_, {child_, port, calls_.own_id(), connection(use)});
}

}  // namespace root
