// The status that each call answers for each kind of bad input, and that nothing changed then. The
// root of a simulated computer makes the calls.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using machine::Gpn;

constexpr PartitionId kNobody{77};

Status simple(CallCode code, PartitionId id) {
  return call(HypercallControl(code), hv::PartitionInput{id}).status();
}

PartitionId create() {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}

std::uint64_t free_pages(PartitionId id) {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kGetMemoryBalance), hv::MemoryPoolInput{id, {}}).status() ==
      Status::kSuccess);
  return output<hv::GetMemoryBalanceOutput>().pages_available;
}

hv::HypercallResult deposit(PartitionId id, Gpn page) {
  const std::array<Gpn, 1> pages{page};
  return call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{id},
              std::span<const Gpn>(pages));
}

hv::HypercallResult map(PartitionId id, std::uint64_t target, std::uint64_t source,
                        std::uint32_t flags) {
  const std::array<Gpn, 1> pages{Gpn(source)};
  return call(HypercallControl(CallCode::kMapGpaPages),
              hv::MapGpaPagesInput{id, Gpn(target), flags, 0}, std::span<const Gpn>(pages));
}

hv::HypercallResult unmap(PartitionId id, std::uint64_t target, std::uint32_t flags) {
  const hv::UnmapGpaPagesInput input{id, Gpn(target), flags, 0};
  return call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1), input);
}

// --- Conventions -----------------------------------------------------------

void break_conventions() {
  begin();
  const auto raw = [](std::uint64_t control, std::uint64_t input, std::uint64_t result) {
    return hv::HypercallResult(machine::hypercall(kHypercallPage, control, input, result));
  };
  const auto is = [](hv::HypercallResult result, Status status) {
    return result.status() == status;
  };
  const std::uint64_t get_id = HypercallControl(CallCode::kGetPartitionId).value();
  GUEST_CHECK(is(raw(0, 0, 0), Status::kInvalidHypercallCode));
  GUEST_CHECK(is(raw(0xFFFF, 0, 0), Status::kInvalidHypercallCode));
  GUEST_CHECK(is(raw(get_id | (1ull << 63), 0, 0x40'2000), Status::kInvalidHypercallInput));
  GUEST_CHECK(is(raw(get_id | (1ull << 32), 0, 0x40'2000), Status::kInvalidHypercallInput));
  GUEST_CHECK(is(raw(get_id | (1ull << 17), 0, 0x40'2000), Status::kInvalidHypercallInput));
  GUEST_CHECK(is(raw(get_id, 0, 0x40'2004), Status::kInvalidAlignment));
  GUEST_CHECK(is(raw(get_id, 0, 0x40'2FFC), Status::kInvalidAlignment));
  GUEST_CHECK(is(raw(get_id, 0, 1ull << 46), Status::kInvalidAlignment));
  // No memory is there, but devices: their registers are read and written by nobody's mistake.
  const std::uint64_t delete_it = HypercallControl(CallCode::kDeletePartition).value();
  GUEST_CHECK(is(raw(get_id, 0, 0xF000'0000), Status::kInvalidAlignment));
  GUEST_CHECK(is(raw(delete_it, 0xF000'0000, 0), Status::kInvalidAlignment));
  GUEST_CHECK(is(raw(get_id, 0x3, 0x40'2000), Status::kSuccess));  // it has no input block
  const HypercallControl list(CallCode::kDepositMemory);
  GUEST_CHECK(is(raw(list.value(), 0x40'1000, 0), Status::kInvalidHypercallInput));
  GUEST_CHECK(is(raw(list.with_reps(511).value(), 0x40'1008, 0), Status::kInvalidAlignment));
  end(0);
}

// --- Partitions ------------------------------------------------------------

void misuse_partitions() {
  begin();
  hv::CreatePartitionInput flags;
  flags.flags = 1ull << 40;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePartition), flags).status() ==
              Status::kInvalidParameter);
  for (const CallCode code :
       {CallCode::kInitializePartition, CallCode::kFinalizePartition, CallCode::kDeletePartition}) {
    GUEST_CHECK(simple(code, kNobody) == Status::kInvalidPartitionId);
    GUEST_CHECK(simple(code, hv::kPartitionIdSelf) == Status::kAccessDenied);
  }
  const PartitionId child = create();
  GUEST_CHECK(simple(CallCode::kInitializePartition, child) == Status::kInsufficientMemory);
  GUEST_CHECK(simple(CallCode::kFinalizePartition, child) == Status::kInvalidPartitionState);
  for (std::uint64_t page = 0; page < 20; ++page) {
    GUEST_CHECK(deposit(child, Gpn(0x6000 + page)).status() == Status::kSuccess);
  }
  GUEST_CHECK(deposit(child, Gpn(0x6000)).status() == Status::kOperationDenied);
  GUEST_CHECK(deposit(child, Gpn(0xFFFF'FFFF)).status() == Status::kOperationDenied);
  GUEST_CHECK(deposit(kNobody, Gpn(0x6100)).status() == Status::kInvalidPartitionId);
  GUEST_CHECK(deposit(child, kHypercallPage.page()).status() == Status::kObjectInUse);
  GUEST_CHECK(free_pages(child) == 20);
  hv::CreateVpInput vp;
  vp.partition = child;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), vp).status() ==
              Status::kInvalidPartitionState);
  GUEST_CHECK(simple(CallCode::kDeletePartition, child) == Status::kOperationDenied);
  GUEST_CHECK(simple(CallCode::kInitializePartition, child) == Status::kSuccess);
  GUEST_CHECK(simple(CallCode::kInitializePartition, child) == Status::kInvalidPartitionState);
  GUEST_CHECK(simple(CallCode::kDeletePartition, child) == Status::kInvalidPartitionState);
  GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), vp).status() == Status::kSuccess);
  GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), vp).status() == Status::kInvalidVpIndex);
  vp.vp = hv::VpIndex{1000};
  GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), vp).status() == Status::kInvalidVpIndex);
  const hv::DeleteVpInput other{child, hv::VpIndex{1}, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kDeleteVp), other).status() ==
              Status::kInvalidVpIndex);
  const hv::DeleteVpInput own{child, hv::VpIndex{0}, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kDeleteVp), own).status() == Status::kSuccess);
  GUEST_CHECK(simple(CallCode::kFinalizePartition, child) == Status::kSuccess);
  GUEST_CHECK(free_pages(child) == 20);
  GUEST_CHECK(simple(CallCode::kFinalizePartition, child) == Status::kInvalidPartitionState);
  end(0);
}

void run_out_of_memory() {
  begin();
  const PartitionId child = create();
  // One page after another: each call either succeeds or leaves the pool as it was.
  std::uint64_t next = 0x6000;
  const auto feed = [&] { GUEST_CHECK(deposit(child, Gpn(next++)).status() == Status::kSuccess); };
  while (simple(CallCode::kInitializePartition, child) == Status::kInsufficientMemory) {
    const std::uint64_t before = free_pages(child);
    GUEST_CHECK(simple(CallCode::kInitializePartition, child) == Status::kInsufficientMemory);
    GUEST_CHECK(free_pages(child) == before);
    feed();
  }
  hv::CreateVpInput vp;
  vp.partition = child;
  // Some fit into what the partition has, others need their tables to grow.
  for (const std::uint32_t index : {0u, 1u, 2u, 9u, 63u}) {
    vp.vp = hv::VpIndex{index};
    for (;;) {
      const std::uint64_t before = free_pages(child);
      const Status status = call(HypercallControl(CallCode::kCreateVp), vp).status();
      if (status == Status::kSuccess) {
        break;
      }
      GUEST_CHECK(status == Status::kInsufficientMemory);
      GUEST_CHECK(free_pages(child) == before);
      feed();
    }
    // It is found by its index from now on.
    GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), vp).status() ==
                Status::kInvalidVpIndex);
  }
  while (map(child, 0, 0x7000, hv::kMapRead).status() != Status::kSuccess) {
    feed();
  }
  GUEST_CHECK(simple(CallCode::kFinalizePartition, child) == Status::kSuccess);
  GUEST_CHECK(free_pages(child) == next - 0x6000);
  end(0);
}

// --- Memory ----------------------------------------------------------------

/// What a child has mapped does not become the hypervisor's, whatever the size of the mapping.
void deposit_what_a_child_has() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  const PartitionId other = create();
  constexpr std::uint64_t kFree = 0x9000;
  constexpr std::uint64_t kLarge = 0x9200;
  const auto denied = [&](std::uint64_t page) {
    const std::uint64_t before = free_pages(other);
    return deposit(other, Gpn(page)).status() == Status::kOperationDenied &&
           free_pages(other) == before;
  };
  const std::uint64_t own = child.memory.page().value() + 3;
  GUEST_CHECK(denied(own));
  GUEST_CHECK(map(child.id, 0x4000, kFree, hv::kMapNoAccess).status() == Status::kSuccess);
  GUEST_CHECK(map(child.id, 0x4800, kFree, hv::kMapRead).status() == Status::kSuccess);
  GUEST_CHECK(unmap(child.id, 0x4000, 0).status() == Status::kSuccess);
  GUEST_CHECK(denied(kFree));
  GUEST_CHECK(unmap(child.id, 0x4800, 0).status() == Status::kSuccess);
  GUEST_CHECK(deposit(other, Gpn(kFree)).status() == Status::kSuccess);
  GUEST_CHECK(map(child.id, 0x4000, kFree, hv::kMapRead).status() == Status::kOperationDenied);
  GUEST_CHECK(map(child.id, 0x4000, kLarge, hv::kMapRead | hv::kMapLargePage).status() ==
              Status::kSuccess);
  GUEST_CHECK(denied(kLarge + 5));
  GUEST_CHECK(unmap(child.id, 0x4005, 0).status() == Status::kSuccess);
  GUEST_CHECK(denied(kLarge + 4));
  GUEST_CHECK(deposit(other, Gpn(kLarge + 5)).status() == Status::kSuccess);
  GUEST_CHECK(map(child.id, 0x4000, kLarge, hv::kMapRead | hv::kMapLargePage).status() ==
              Status::kOperationDenied);
  // Of those in one call, all are taken or none.
  const std::array<Gpn, 3> pages{Gpn(kFree + 1), Gpn(kLarge + 6), Gpn(kFree + 2)};
  const auto some = call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{other},
                         std::span<const Gpn>(pages));
  GUEST_CHECK(some.status() == Status::kOperationDenied && some.reps_completed() == 0);
  GUEST_CHECK(free_pages(other) == 2);
  child_maker::destroy(child);
  for (const std::uint64_t page : {own, kLarge + 4, kLarge + 511}) {
    GUEST_CHECK(deposit(other, Gpn(page)).status() == Status::kSuccess);
  }
  end(0);
}

void misuse_memory() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  const PartitionId id = child.id;
  constexpr std::uint64_t kFree = 0x9000;
  const auto status_of = [&](std::uint64_t source, std::uint32_t flags) {
    return map(id, 0x4000, source, flags).status();
  };
  GUEST_CHECK(status_of(kFree, hv::kMapWrite) == Status::kInvalidParameter);
  GUEST_CHECK(status_of(kFree, hv::kMapExecute) == Status::kInvalidParameter);
  GUEST_CHECK(status_of(kFree, 1u << 20 | 1u << 30) == Status::kInvalidParameter);
  GUEST_CHECK(status_of(kFree, hv::kMapRead | hv::kMapNoAccess) == Status::kInvalidParameter);
  GUEST_CHECK(status_of(0x6000, hv::kMapRead) == Status::kOperationDenied);  // deposited
  GUEST_CHECK(status_of(1ull << 35, hv::kMapRead) == Status::kOperationDenied);
  GUEST_CHECK(map(id, 1ull << 60, kFree, hv::kMapRead).status() == Status::kInvalidParameter);
  GUEST_CHECK(map(kNobody, 0, kFree, hv::kMapRead).status() == Status::kInvalidPartitionId);
  GUEST_CHECK(map(hv::kPartitionIdSelf, 0, kFree, hv::kMapRead).status() == Status::kAccessDenied);
  GUEST_CHECK(map(id, 0x4001, kFree, hv::kMapRead | hv::kMapLargePage).status() ==
              Status::kInvalidParameter);
  GUEST_CHECK(status_of(kFree, hv::kMapRead) == Status::kSuccess);
  GUEST_CHECK(unmap(id, 0x4000, 1u << 9).status() == Status::kInvalidParameter);
  GUEST_CHECK(unmap(id, 1ull << 60, 0).status() == Status::kInvalidParameter);
  GUEST_CHECK(unmap(hv::kPartitionIdSelf, 0x4000, 0).status() == Status::kAccessDenied);
  GUEST_CHECK(unmap(id, 0x4000, 0).status() == Status::kSuccess);
  GUEST_CHECK(unmap(id, 0x4000, 0).status() == Status::kSuccess);
  child_maker::destroy(child);
  end(0);
}

// --- Registers and properties ----------------------------------------------

void misuse_registers() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  const auto get = [&](PartitionId id, std::uint32_t vp, hv::RegisterName name) {
    hv::VpRegistersInput header;
    header.partition = id;
    header.vp = hv::VpIndex{vp};
    const std::array<hv::RegisterName, 1> names{name};
    return call(HypercallControl(CallCode::kGetVpRegisters), header,
                std::span<const hv::RegisterName>(names))
        .status();
  };
  GUEST_CHECK(get(kNobody, 0, hv::RegisterName::kRip) == Status::kInvalidPartitionId);
  GUEST_CHECK(get(child.id, 9, hv::RegisterName::kRip) == Status::kInvalidVpIndex);
  GUEST_CHECK(get(child.id, 0, hv::RegisterName{0x123456}) == Status::kUnknownRegisterName);
  GUEST_CHECK(get(child.id, 0, hv::RegisterName::kExplicitSuspend) == Status::kSuccess);
  GUEST_CHECK(output<hv::RegisterValue>().low == 1);
  child_maker::set_register(child, 0, hv::RegisterName::kR11, 0x1234'5678'9ABC'DEF0);
  GUEST_CHECK(get(child.id, 0, hv::RegisterName::kR11) == Status::kSuccess);
  GUEST_CHECK(output<hv::RegisterValue>().low == 0x1234'5678'9ABC'DEF0);
  GUEST_CHECK(get(hv::kPartitionIdSelf, 0, hv::RegisterName::kRip) == Status::kSuccess);
  const auto property = [&](hv::PartitionProperty code, std::uint64_t value) {
    hv::SetPartitionPropertyInput input;
    input.partition = child.id;
    input.property = code;
    input.value = value;
    return call(HypercallControl(CallCode::kSetPartitionProperty), input).status();
  };
  using hv::PartitionProperty;
  GUEST_CHECK(property(PartitionProperty{0x99}, 0) == Status::kUnknownProperty);
  GUEST_CHECK(property(PartitionProperty::kCpuWeight, 0) == Status::kPropertyValueOutOfRange);
  GUEST_CHECK(property(PartitionProperty::kCpuWeight, 500) == Status::kSuccess);
  GUEST_CHECK(property(PartitionProperty::kPrivilegeFlags, 0) == Status::kInvalidPartitionState);
  GUEST_CHECK(property(PartitionProperty::kReferenceTime, 0) == Status::kInvalidPartitionState);
  child_maker::destroy(child);
  end(0);
}

// --- Communication ---------------------------------------------------------

void misuse_communication() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  hv::CreatePortInput port;
  port.port_partition = hv::kPartitionIdSelf;
  port.port = hv::PortId{5};
  port.connection_partition = child.id;
  port.info = hv::PortInfo::message(3, hv::VpIndex{0});
  const auto create_port = [](const hv::CreatePortInput& input) {
    return call(HypercallControl(CallCode::kCreatePort), input).status();
  };
  hv::CreatePortInput bad = port;
  bad.info.sint = 0;
  GUEST_CHECK(create_port(bad) == Status::kInvalidParameter);
  bad = port;
  bad.port = hv::PortId{0x0100'0000};
  GUEST_CHECK(create_port(bad) == Status::kInvalidPortId);
  bad = port;
  bad.connection_partition = hv::kPartitionIdSelf;
  GUEST_CHECK(create_port(bad) == Status::kInvalidPartitionId);
  bad = port;
  bad.info.vp = hv::VpIndex{9};
  GUEST_CHECK(create_port(bad) == Status::kInvalidVpIndex);
  GUEST_CHECK(create_port(port) == Status::kSuccess);
  GUEST_CHECK(create_port(port) == Status::kInvalidPortId);
  hv::ConnectPortInput connection;
  connection.connection_partition = child.id;
  connection.connection = hv::ConnectionId{1};
  connection.port_partition = hv::kPartitionIdSelf;
  connection.port = hv::PortId{6};
  connection.info.type = hv::PortType::kMessage;
  const auto connect = [](const hv::ConnectPortInput& input) {
    return call(HypercallControl(CallCode::kConnectPort), input).status();
  };
  GUEST_CHECK(connect(connection) == Status::kInvalidPortId);
  connection.port = hv::PortId{5};
  GUEST_CHECK(connect(connection) == Status::kSuccess);
  GUEST_CHECK(connect(connection) == Status::kInvalidConnectionId);
  hv::PostMessageInput message;
  message.connection = hv::ConnectionId{1};
  const auto post = [](const hv::PostMessageInput& input) {
    return call(HypercallControl(CallCode::kPostMessage), input).status();
  };
  GUEST_CHECK(post(message) == Status::kInvalidParameter);
  message.type = hv::MessageType{0x8000'0001};
  GUEST_CHECK(post(message) == Status::kInvalidParameter);
  message.type = hv::MessageType{1};
  message.payload_size = 241;
  GUEST_CHECK(post(message) == Status::kInvalidParameter);
  message.payload_size = 240;
  GUEST_CHECK(post(message) == Status::kInvalidConnectionId);  // that one is the child's
  const auto signal = HypercallControl(CallCode::kSignalEvent).fast().value();
  GUEST_CHECK(machine::hypercall(kHypercallPage, signal, 1, 0) ==
              static_cast<std::uint64_t>(Status::kInvalidConnectionId));
  const hv::DeletePortInput gone{hv::kPartitionIdSelf, hv::PortId{5}, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kDeletePort), gone).status() == Status::kSuccess);
  GUEST_CHECK(call(HypercallControl(CallCode::kDeletePort), gone).status() ==
              Status::kInvalidPortId);
  const hv::DisconnectPortInput end_it{child.id, hv::ConnectionId{1}, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kDisconnectPort), end_it).status() ==
              Status::kSuccess);
  GUEST_CHECK(call(HypercallControl(CallCode::kDisconnectPort), end_it).status() ==
              Status::kInvalidConnectionId);
  child_maker::destroy(child);
  end(0);
}

void idle_child() { machine::sti_hlt(); }

void require_pass(void (*root)()) {
  const sim::RunResult result = run(world_with_child(root, idle_child));
  INFO(describe(result));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("a call that breaks the calling convention says how", "[hv][status]") {
  require_pass(break_conventions);
}
TEST_CASE("partitions answer with the state they are in", "[hv][status]") {
  require_pass(misuse_partitions);
}
TEST_CASE("a call that lacks memory has taken none", "[hv][status]") {
  require_pass(run_out_of_memory);
}
TEST_CASE("memory calls refuse what would break isolation", "[hv][status]") {
  require_pass(misuse_memory);
}
TEST_CASE("no page that a child has mapped is taken as a deposit", "[hv][status]") {
  require_pass(deposit_what_a_child_has);
}
TEST_CASE("register and property calls refuse what does not exist", "[hv][status]") {
  require_pass(misuse_registers);
}
TEST_CASE("ports, connections and messages are checked before anything moves", "[hv][status]") {
  require_pass(misuse_communication);
}
