// CreatePort, DeletePort, ConnectPort, DisconnectPort, GetPortProperty, SetPortProperty (TLFS
// "Inter-Partition Communication").
#include "tests/interface/case_tables.h"
#include "tests/interface/communication_world.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::ConnectionId;
using hv::ConnectionInfo;
using hv::PartitionId;
using hv::PortId;
using hv::PortInfo;
using hv::PortType;
using hv::Status;
using hv::VpIndex;

constexpr PartitionId kSelf = hv::kPartitionIdSelf;
constexpr PortInfo kMessagePort = PortInfo::message(kUsedSint, VpIndex{0});
constexpr PortInfo kEventPort = PortInfo::event(kUsedSint, VpIndex{0}, 8, 4);

constexpr PortInfo doorbell_port(std::uint32_t sint = 5) {
  PortInfo info = PortInfo::message(sint, hv::kVpIndexAny);
  info.type = PortType::kDoorbell;
  return info;
}

/// Where a page of the root's, and of a child's, is seen.
constexpr std::uint64_t kRootsPlace = 0x40'8000;
constexpr std::uint64_t kChildsPlace = 0x40'9000;
/// Beyond what any partition's address space has.
constexpr std::uint64_t kNowhere = 1ull << 52;

constexpr PortInfo monitor_port(std::uint64_t gpa = kRootsPlace) {
  PortInfo info;
  info.type = PortType::kMonitor;
  info.sint = static_cast<std::uint32_t>(gpa);
  info.vp = VpIndex{static_cast<std::uint32_t>(gpa >> 32)};
  return info;
}
Status connect_monitor(const Child& child, std::uint64_t gpa = kChildsPlace,
                       ConnectionId id = kConnection, PortId port = kPort) {
  hv::ConnectPortInput input = connect_input(child.id, kSelf, PortType::kMonitor, id, port);
  input.info.gpa = gpa;
  return connect_port(input);
}
/// Leaves a child without a page that is not in use.
void take_its_memory(const Child& child) {
  const hv::MemoryPoolInput input{child.id, {}};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  GUEST_CHECK(call(hv::HypercallControl(CallCode::kWithdrawMemory).with_reps(200)).status() ==
              Status::kNoResources);
}

/// A port of the root's that a new child may connect to.
Status create_for_child(const PortInfo& info, PortId id = kPort) {
  return create_port(port_input(kSelf, make_child().id, info, id));
}
/// A new child with the path to a port of the root's.
Child child_with_path(const PortInfo& info) {
  const Child child = make_child();
  make_path(kSelf, child.id, info);
  return child;
}

PartitionId finalized() {
  const Child child = make_child();
  GUEST_CHECK(try_call(CallCode::kFinalizePartition, hv::PartitionInput{child.id}) ==
              Status::kSuccess);
  return child.id;
}

Status create_with(auto change) {
  hv::CreatePortInput input = port_input(kSelf, make_child().id, kMessagePort);
  change(input);
  return create_port(input);
}
Status connect_with(auto change) {
  const Child child = make_child();
  GUEST_CHECK(create_port(port_input(kSelf, child.id, kMessagePort)) == Status::kSuccess);
  hv::ConnectPortInput input = connect_input(child.id, kSelf, PortType::kMessage);
  change(input);
  return connect_port(input);
}
Status connect_doorbell(std::uint64_t gpa, std::uint64_t value, std::uint64_t flags) {
  const Child child = make_child();
  GUEST_CHECK(create_port(port_input(kSelf, child.id, doorbell_port())) == Status::kSuccess);
  hv::ConnectPortInput input = connect_input(child.id, kSelf, PortType::kDoorbell);
  input.info.gpa = gpa;
  input.info.trigger_value = value;
  input.info.flags = flags;
  return connect_port(input);
}

Status get_property(PartitionId owner, std::uint32_t code, PortId id = kPort) {
  hv::GetPortPropertyInput input;
  input.partition = owner;
  input.port = id;
  input.property = hv::PortProperty{code};
  return try_call(CallCode::kGetPortProperty, input);
}
Status set_property(PartitionId owner, std::uint32_t code, std::uint64_t value, PortId id = kPort) {
  hv::SetPortPropertyInput input;
  input.partition = owner;
  input.port = id;
  input.property = hv::PortProperty{code};
  input.value = value;
  return try_call(CallCode::kSetPortProperty, input);
}
std::uint64_t property(PartitionId owner, std::uint32_t code) {
  GUEST_CHECK(get_property(owner, code) == Status::kSuccess);
  return output<hv::GetPortPropertyOutput>().value;
}

constexpr CallCase kCreate[] = {
    {CallCode::kCreatePort, "a message port of the root's", Status::kSuccess,
     [] { return create_for_child(kMessagePort); }},
    {CallCode::kCreatePort, "an event port of the root's", Status::kSuccess,
     [] { return create_for_child(kEventPort); }},
    {CallCode::kCreatePort, "an event port with all flags of SINT 15", Status::kSuccess,
     [] { return create_for_child(PortInfo::event(15, hv::kVpIndexAny, 0, 2048)); }},
    {CallCode::kCreatePort, "a doorbell port of the root's", Status::kSuccess,
     [] { return create_for_child(doorbell_port()); }},
    {CallCode::kCreatePort, "a child's port that the root connects to", Status::kSuccess,
     [] { return create_port(port_input(make_child().id, kSelf, kMessagePort)); }},
    {CallCode::kCreatePort, "a child's port that the child itself connects to, made by its parent",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       return create_port(port_input(child.id, child.id, kMessagePort));
     }},
    {CallCode::kCreatePort, "the largest id", Status::kSuccess,
     [] { return create_for_child(kMessagePort, PortId{0xFF'FFFF}); }},
    {CallCode::kCreatePort, "an id of 25 bits", Status::kInvalidPortId,
     [] { return create_for_child(kMessagePort, PortId{0x100'0000}); }},
    {CallCode::kCreatePort, "an id in use", Status::kInvalidPortId,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, kMessagePort)) == Status::kSuccess);
       return create_port(port_input(kSelf, child.id, kEventPort));
     }},
    {CallCode::kCreatePort, "port and connection of the caller itself", Status::kInvalidPartitionId,
     [] { return create_port(port_input(kSelf, kSelf, kMessagePort)); }},
    {CallCode::kCreatePort, "no partition's id for the port", Status::kInvalidPartitionId,
     [] { return create_port(port_input(kNobody, kSelf, kMessagePort)); }},
    {CallCode::kCreatePort, "no partition's id for the connection", Status::kInvalidPartitionId,
     [] { return create_port(port_input(kSelf, kNobody, kMessagePort)); }},
    {CallCode::kCreatePort, "a finalized partition for the port", Status::kInvalidPartitionState,
     [] { return create_port(port_input(finalized(), kSelf, kMessagePort)); }},
    {CallCode::kCreatePort, "a finalized partition for the connection",
     Status::kInvalidPartitionState,
     [] { return create_port(port_input(kSelf, finalized(), kMessagePort)); }},
    {CallCode::kCreatePort, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return create_for_child(PortInfo::message(kUsedSint, VpIndex{7})); }},
    {CallCode::kCreatePort, "SINT 0", Status::kInvalidParameter,
     [] { return create_for_child(PortInfo::message(0, VpIndex{0})); }},
    {CallCode::kCreatePort, "SINT 16", Status::kInvalidParameter,
     [] { return create_for_child(PortInfo::event(16, VpIndex{0}, 0, 1)); }},
    {CallCode::kCreatePort, "port type 0", Status::kInvalidParameter,
     [] {
       PortInfo info = kMessagePort;
       info.type = PortType{0};
       return create_for_child(info);
     }},
    {CallCode::kCreatePort, "port type 5", Status::kInvalidParameter,
     [] {
       PortInfo info = kMessagePort;
       info.type = PortType{5};
       return create_for_child(info);
     }},
    {CallCode::kCreatePort, "flags beyond 2048", Status::kInvalidParameter,
     [] { return create_for_child(PortInfo::event(kUsedSint, VpIndex{0}, 2040, 9)); }},
    {CallCode::kCreatePort, "no flags", Status::kInvalidParameter,
     [] { return create_for_child(PortInfo::event(kUsedSint, VpIndex{0}, 8, 0)); }},
    {CallCode::kCreatePort, "a reserved field of the port's information", Status::kInvalidParameter,
     [] { return create_with([](hv::CreatePortInput& input) { input.info.reserved0 = 1; }); }},
    {CallCode::kCreatePort, "a reserved field", Status::kInvalidParameter,
     [] { return create_with([](hv::CreatePortInput& input) { input.reserved = 1; }); }},
    {CallCode::kCreatePort, "a VTL", Status::kInvalidParameter,
     [] { return create_with([](hv::CreatePortInput& input) { input.port_vtl = 1; }); }},
    {CallCode::kCreatePort, "a doorbell port of the id that a ring has where it is empty",
     Status::kInvalidPortId,
     [] {
       return create_port(port_input(kSelf, make_child().id, doorbell_port(), hv::PortId{0}));
     }},
    {CallCode::kCreatePort, "a doorbell port of a child's", Status::kInvalidParameter,
     [] { return create_port(port_input(make_child().id, kSelf, doorbell_port(5))); }},
    {CallCode::kCreatePort, "a child without memory for it", Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       take_its_memory(child);
       return create_port(port_input(child.id, kSelf, kMessagePort));
     }},
    {CallCode::kCreatePort, "a monitor port, whose page covers what is at its place",
     Status::kSuccess,
     [] {
       machine::store_u32(machine::Gpa(kRootsPlace), 77);
       const Status status = create_for_child(monitor_port());
       GUEST_CHECK(machine::load_u32(machine::Gpa(kRootsPlace)) == 0);
       return status;
     }},
    {CallCode::kCreatePort, "a monitor port of a child's", Status::kSuccess,
     [] { return create_port(port_input(make_child().id, kSelf, monitor_port(kChildsPlace))); }},
    {CallCode::kCreatePort, "a monitor port with its page inside a page", Status::kInvalidAlignment,
     [] { return create_for_child(monitor_port(kRootsPlace + 8)); }},
    {CallCode::kCreatePort, "a monitor port with its page beyond the address space",
     Status::kInvalidParameter, [] { return create_for_child(monitor_port(kNowhere)); }},
    {CallCode::kCreatePort, "a monitor port with flags", Status::kInvalidParameter,
     [] {
       PortInfo info = monitor_port();
       info.flag_count = 1;
       return create_for_child(info);
     }},
    {CallCode::kCreatePort, "a monitor port with an id in use", Status::kInvalidPortId,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, kMessagePort)) == Status::kSuccess);
       machine::store_u32(machine::Gpa(kRootsPlace), 77);
       const Status status = create_port(port_input(kSelf, child.id, monitor_port()));
       GUEST_CHECK(machine::load_u32(machine::Gpa(kRootsPlace)) == 77);
       return status;
     }},
    {CallCode::kCreatePort, "a monitor port of a child without memory for its page",
     Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       take_its_memory(child);
       const Status status = create_port(port_input(child.id, kSelf, monitor_port(kChildsPlace)));
       GUEST_CHECK(delete_port(child.id) == Status::kInvalidPortId);
       return status;
     }},
    {CallCode::kCreatePort, "a child without the privilege", Status::kAccessDenied,
     [] { return create_port(port_input(kSelf, PartitionId{1}, kMessagePort)); }, Caller::kChild},
};

constexpr CallCase kDelete[] = {
    {CallCode::kDeletePort, "a port without a connection", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       const Status status = delete_port(kSelf);
       GUEST_CHECK(delete_port(kSelf) == Status::kInvalidPortId);
       return status;
     }},
    {CallCode::kDeletePort, "a monitor port with a connection, whose page nobody sees any more",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       const machine::Gpa in_child = child.memory + kChildsPlace;
       machine::store_u32(machine::Gpa(kRootsPlace), 77);
       machine::store_u32(in_child, 78);
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       GUEST_CHECK(connect_monitor(child) == Status::kSuccess);
       machine::store_u32(machine::Gpa(kRootsPlace), 79);
       const Status status = delete_port(kSelf);
       GUEST_CHECK(machine::load_u32(machine::Gpa(kRootsPlace)) == 77);
       GUEST_CHECK(machine::load_u32(in_child) == 78);
       GUEST_CHECK(disconnect_port(child.id) == Status::kSuccess);
       return status;
     }},
    {CallCode::kDeletePort, "an id that no port has", Status::kInvalidPortId,
     [] { return delete_port(kSelf); }},
    {CallCode::kDeletePort, "an id of 25 bits", Status::kInvalidPortId,
     [] { return delete_port(kSelf, PortId{0x100'0021}); }},
    {CallCode::kDeletePort, "no partition's id", Status::kInvalidPartitionId,
     [] { return delete_port(kNobody); }},
    {CallCode::kDeletePort, "a finalized partition", Status::kInvalidPartitionState,
     [] { return delete_port(finalized()); }},
    {CallCode::kDeletePort, "a reserved field", Status::kInvalidParameter,
     [] { return try_call(CallCode::kDeletePort, hv::DeletePortInput{kSelf, kPort, 1}); }},
    {CallCode::kDeletePort, "a child without the privilege", Status::kAccessDenied,
     [] { return delete_port(kSelf); }, Caller::kChild},
};

constexpr CallCase kConnect[] = {
    {CallCode::kConnectPort, "a child to the root's message port", Status::kSuccess,
     [] { return connect_with([](hv::ConnectPortInput&) {}); }},
    {CallCode::kConnectPort, "the root to a child's event port", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(child.id, kSelf, kEventPort)) == Status::kSuccess);
       return connect_port(connect_input(kSelf, child.id, PortType::kEvent));
     }},
    {CallCode::kConnectPort, "a child to its own port, by its parent", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(child.id, child.id, kMessagePort)) == Status::kSuccess);
       return connect_port(connect_input(child.id, child.id, PortType::kMessage));
     }},
    {CallCode::kConnectPort, "a doorbell", Status::kSuccess,
     [] { return connect_doorbell(0xF000'0000, 9, ConnectionInfo::kDoorbellDword); }},
    {CallCode::kConnectPort, "a doorbell for any value", Status::kSuccess,
     [] { return connect_doorbell(0xF000'0FFF, 0, ConnectionInfo::kDoorbellAnyValue); }},
    {CallCode::kConnectPort, "a doorbell across a page", Status::kInvalidAlignment,
     [] { return connect_doorbell(0xF000'0FFF, 0, ConnectionInfo::kDoorbellWord); }},
    {CallCode::kConnectPort, "a doorbell of a size that does not exist", Status::kInvalidParameter,
     [] { return connect_doorbell(0xF000'0000, 0, 5); }},
    {CallCode::kConnectPort, "a doorbell for a value wider than its size",
     Status::kInvalidParameter,
     [] { return connect_doorbell(0xF000'0000, 0x100, ConnectionInfo::kDoorbellByte); }},
    {CallCode::kConnectPort, "a monitor", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       return connect_monitor(child);
     }},
    {CallCode::kConnectPort, "a monitor with its page inside a page", Status::kInvalidAlignment,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       return connect_monitor(child, kChildsPlace + 0x800);
     }},
    {CallCode::kConnectPort, "a monitor with its page beyond the address space",
     Status::kInvalidParameter,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       const Status status = connect_monitor(child, kNowhere);
       GUEST_CHECK(connect_monitor(child) == Status::kSuccess);  // the port is free as before
       return status;
     }},
    {CallCode::kConnectPort, "a monitor with a value", Status::kInvalidParameter,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       hv::ConnectPortInput input = connect_input(child.id, kSelf, PortType::kMonitor);
       input.info.gpa = kChildsPlace;
       input.info.trigger_value = 1;
       return connect_port(input);
     }},
    {CallCode::kConnectPort, "a monitor to a message port", Status::kInvalidPortId,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, kMessagePort)) == Status::kSuccess);
       return connect_monitor(child);
     }},
    {CallCode::kConnectPort, "a monitor port that is connected", Status::kInvalidPortId,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       GUEST_CHECK(connect_monitor(child) == Status::kSuccess);
       return connect_monitor(child, kChildsPlace, ConnectionId{2});
     }},
    {CallCode::kConnectPort, "a fifth monitor", Status::kNoResources,
     [] {
       const Child child = make_child();
       for (std::uint32_t number = 1; number < 5; ++number) {
         GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port(), PortId{number})) ==
                     Status::kSuccess);
         GUEST_CHECK(connect_monitor(child, kChildsPlace, ConnectionId{number}, PortId{number}) ==
                     Status::kSuccess);
       }
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       return connect_monitor(child);
     }},
    {CallCode::kConnectPort, "a monitor of a child without memory to show it",
     Status::kInsufficientMemory,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       take_its_memory(child);
       const Status status = connect_monitor(child);
       GUEST_CHECK(disconnect_port(child.id) == Status::kInvalidConnectionId);
       return status;
     }},
    {CallCode::kConnectPort, "a reserved field of the connection's information",
     Status::kInvalidParameter,
     [] { return connect_with([](hv::ConnectPortInput& input) { input.info.reserved = 1; }); }},
    {CallCode::kConnectPort, "an id of 25 bits", Status::kInvalidConnectionId,
     [] {
       return connect_with(
           [](hv::ConnectPortInput& input) { input.connection = ConnectionId{0x100'0000}; });
     }},
    {CallCode::kConnectPort, "an id in use", Status::kInvalidConnectionId,
     [] {
       const Child child = child_with_path(kMessagePort);
       GUEST_CHECK(create_port(port_input(kSelf, child.id, kMessagePort, PortId{5})) ==
                   Status::kSuccess);
       return connect_port(
           connect_input(child.id, kSelf, PortType::kMessage, kConnection, PortId{5}));
     }},
    {CallCode::kConnectPort, "a port that does not exist", Status::kInvalidPortId,
     [] { return connect_with([](hv::ConnectPortInput& input) { input.port = PortId{0x22}; }); }},
    {CallCode::kConnectPort, "a port that is connected", Status::kInvalidPortId,
     [] {
       const Child child = child_with_path(kMessagePort);
       return connect_port(connect_input(child.id, kSelf, PortType::kMessage, ConnectionId{2}));
     }},
    {CallCode::kConnectPort, "a port of another type", Status::kInvalidPortId,
     [] {
       return connect_with([](hv::ConnectPortInput& input) { input.info.type = PortType::kEvent; });
     }},
    {CallCode::kConnectPort, "a partition that the port is not for", Status::kInvalidPartitionId,
     [] {
       return connect_with([](hv::ConnectPortInput& input) { input.connection_partition = kSelf; });
     }},
    {CallCode::kConnectPort, "no partition's id for the connection", Status::kInvalidPartitionId,
     [] {
       return connect_with(
           [](hv::ConnectPortInput& input) { input.connection_partition = kNobody; });
     }},
    {CallCode::kConnectPort, "no partition's id for the port", Status::kInvalidPartitionId,
     [] {
       return connect_with([](hv::ConnectPortInput& input) { input.port_partition = kNobody; });
     }},
    {CallCode::kConnectPort, "a finalized partition", Status::kInvalidPartitionState,
     [] { return connect_port(connect_input(finalized(), kSelf, PortType::kMessage)); }},
    {CallCode::kConnectPort, "a message connection with an address", Status::kInvalidParameter,
     [] { return connect_with([](hv::ConnectPortInput& input) { input.info.gpa = 0x1000; }); }},
    {CallCode::kConnectPort, "connection type 0", Status::kInvalidParameter,
     [] {
       return connect_with([](hv::ConnectPortInput& input) { input.info.type = PortType{0}; });
     }},
    {CallCode::kConnectPort, "a VTL", Status::kInvalidParameter,
     [] { return connect_with([](hv::ConnectPortInput& input) { input.connection_vtl = 1; }); }},
    {CallCode::kConnectPort, "a reserved field", Status::kInvalidParameter,
     [] { return connect_with([](hv::ConnectPortInput& input) { input.reserved1 = 1; }); }},
    {CallCode::kConnectPort, "a child without the privilege", Status::kAccessDenied,
     [] { return connect_port(connect_input(kSelf, PartitionId{1}, PortType::kMessage)); },
     Caller::kChild},
};

constexpr CallCase kDisconnect[] = {
    {CallCode::kDisconnectPort, "a connection, whose port is free for another", Status::kSuccess,
     [] {
       const Child child = child_with_path(kMessagePort);
       const Status status = disconnect_port(child.id);
       GUEST_CHECK(disconnect_port(child.id) == Status::kInvalidConnectionId);
       GUEST_CHECK(connect_port(connect_input(child.id, kSelf, PortType::kMessage,
                                              ConnectionId{9})) == Status::kSuccess);
       return status;
     }},
    {CallCode::kDisconnectPort, "a monitor, whose page is seen no more", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(create_port(port_input(kSelf, child.id, monitor_port())) == Status::kSuccess);
       GUEST_CHECK(connect_monitor(child) == Status::kSuccess);
       const Status status = disconnect_port(child.id);
       GUEST_CHECK(connect_monitor(child, 0x50'0000, ConnectionId{9}) == Status::kSuccess);
       return status;
     }},
    {CallCode::kDisconnectPort, "a doorbell by its flag", Status::kSuccess,
     [] {
       const Child child = child_with_path(doorbell_port());
       GUEST_CHECK(disconnect_port(child.id) == Status::kInvalidConnectionId);
       return disconnect_port(child.id, kConnection, hv::DisconnectPortInput::kDoorbell);
     }},
    {CallCode::kDisconnectPort, "a message connection with the doorbells' flag",
     Status::kInvalidConnectionId,
     [] {
       const Child child = child_with_path(kMessagePort);
       return disconnect_port(child.id, kConnection, hv::DisconnectPortInput::kDoorbell);
     }},
    {CallCode::kDisconnectPort, "an id that no connection has", Status::kInvalidConnectionId,
     [] { return disconnect_port(make_child().id); }},
    {CallCode::kDisconnectPort, "a flag that does not exist", Status::kInvalidParameter,
     [] { return disconnect_port(make_child().id, kConnection, 2); }},
    {CallCode::kDisconnectPort, "no partition's id", Status::kInvalidPartitionId,
     [] { return disconnect_port(kNobody); }},
    {CallCode::kDisconnectPort, "a finalized partition", Status::kInvalidPartitionState,
     [] { return disconnect_port(finalized()); }},
    {CallCode::kDisconnectPort, "a child without the privilege", Status::kAccessDenied,
     [] { return disconnect_port(kSelf); }, Caller::kChild},
};

constexpr CallCase kGetProperty[] = {
    {CallCode::kGetPortProperty, "the post count of a new port, which is 0", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(kEventPort) == Status::kSuccess);
       GUEST_CHECK(property(kSelf, 0) == 0);
       return Status::kSuccess;
     }},
    {CallCode::kGetPortProperty, "the post count after two events and a refused one",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       make_path(child.id, kSelf, kEventPort);
       GUEST_CHECK(signal(0) == Status::kInvalidSynicState);
       GUEST_CHECK(property(child.id, 0) == 0);
       return get_property(child.id, 0);
     }},
    {CallCode::kGetPortProperty, "the target VP of a port for any", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(PortInfo::message(kUsedSint, hv::kVpIndexAny)) ==
                   Status::kSuccess);
       GUEST_CHECK(property(kSelf, 1) == 0xFFFF'FFFF);
       return Status::kSuccess;
     }},
    {CallCode::kGetPortProperty, "the post count of a monitor port", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(monitor_port()) == Status::kSuccess);
       GUEST_CHECK(property(kSelf, 0) == 0);
       return Status::kSuccess;
     }},
    {CallCode::kGetPortProperty, "the target VP of a monitor port, which has none",
     Status::kUnknownProperty,
     [] {
       GUEST_CHECK(create_for_child(monitor_port()) == Status::kSuccess);
       return get_property(kSelf, 1);
     }},
    {CallCode::kGetPortProperty, "property code 2", Status::kUnknownProperty,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       return get_property(kSelf, 2);
     }},
    {CallCode::kGetPortProperty, "an id that no port has", Status::kInvalidPortId,
     [] { return get_property(kSelf, 0); }},
    {CallCode::kGetPortProperty, "no partition's id", Status::kInvalidPartitionId,
     [] { return get_property(kNobody, 0); }},
    {CallCode::kGetPortProperty, "a finalized partition", Status::kInvalidPartitionState,
     [] { return get_property(finalized(), 0); }},
    {CallCode::kGetPortProperty, "a child without the privilege", Status::kAccessDenied,
     [] { return get_property(kSelf, 0); }, Caller::kChild},
};

constexpr CallCase kSetProperty[] = {
    {CallCode::kSetPortProperty, "the post count", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       const Status status = set_property(kSelf, 0, 0x1'0000'0001);
       GUEST_CHECK(property(kSelf, 0) == 0x1'0000'0001);
       return status;
     }},
    {CallCode::kSetPortProperty, "another target VP", Status::kSuccess,
     [] {
       const Child child = make_child(2);
       GUEST_CHECK(create_port(port_input(child.id, kSelf, kEventPort)) == Status::kSuccess);
       const Status status = set_property(child.id, 1, 1);
       GUEST_CHECK(property(child.id, 1) == 1);
       return status;
     }},
    {CallCode::kSetPortProperty, "any target VP", Status::kSuccess,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       const Status status = set_property(kSelf, 1, 0xFFFF'FFFF);
       GUEST_CHECK(property(kSelf, 1) == 0xFFFF'FFFF);
       return status;
     }},
    {CallCode::kSetPortProperty, "a target VP that does not exist", Status::kInvalidVpIndex,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       const Status status = set_property(kSelf, 1, 9);
       GUEST_CHECK(property(kSelf, 1) == 0);
       return status;
     }},
    {CallCode::kSetPortProperty, "a target VP of more than 32 bits", Status::kInvalidVpIndex,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       return set_property(kSelf, 1, 0x1'0000'0000);
     }},
    {CallCode::kSetPortProperty, "the target VP of a monitor port, which has none",
     Status::kUnknownProperty,
     [] {
       GUEST_CHECK(create_for_child(monitor_port()) == Status::kSuccess);
       return set_property(kSelf, 1, 0);
     }},
    {CallCode::kSetPortProperty, "property code 2", Status::kUnknownProperty,
     [] {
       GUEST_CHECK(create_for_child(kMessagePort) == Status::kSuccess);
       return set_property(kSelf, 2, 0);
     }},
    {CallCode::kSetPortProperty, "an id that no port has", Status::kInvalidPortId,
     [] { return set_property(kSelf, 0, 0); }},
    {CallCode::kSetPortProperty, "no partition's id", Status::kInvalidPartitionId,
     [] { return set_property(kNobody, 0, 0); }},
    {CallCode::kSetPortProperty, "a child without the privilege", Status::kAccessDenied,
     [] { return set_property(kSelf, 0, 0); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> create_port_cases() { return kCreate; }
std::span<const CallCase> delete_port_cases() { return kDelete; }
std::span<const CallCase> connect_port_cases() { return kConnect; }
std::span<const CallCase> disconnect_port_cases() { return kDisconnect; }
std::span<const CallCase> get_port_property_cases() { return kGetProperty; }
std::span<const CallCase> set_port_property_cases() { return kSetProperty; }

}  // namespace interface_test
