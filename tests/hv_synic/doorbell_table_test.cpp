#include "hv/synic/doorbell_table.h"

#include <catch2/catch.hpp>

#include "hv/synic/port_table.h"
#include "tests/support/fake_spa_memory.h"

namespace {

using hv::ConnectionId;
using hv::ConnectionInfo;
using hv::Doorbell;
using hv::GuestStore;
using hv::PartitionId;
using hv::Port;
using hv::PortId;
using hv::PortInfo;
using hv::PortType;
using hv::Status;
using hv::VpIndex;

constexpr PartitionId kRoot{1};
constexpr PartitionId kChild{2};
constexpr std::uint64_t kGpa = 0xF000'0010;

constexpr PortInfo doorbell_port(std::uint32_t sint = 5) {
  PortInfo info = PortInfo::message(sint, hv::kVpIndexAny);
  info.type = PortType::kDoorbell;
  return info;
}

constexpr ConnectionInfo bell(std::uint64_t gpa, std::uint64_t value, std::uint64_t flags) {
  return ConnectionInfo{PortType::kDoorbell, 0, gpa, value, flags};
}

struct Fixture {
  explicit Fixture(std::uint64_t pages = 8) {
    for (std::uint64_t page = 0; page < pages; ++page) {
      pool.deposit(machine::Spn(1000 + page));
    }
  }
  ~Fixture() {
    while (Doorbell* const doorbell = doorbells.any()) {
      doorbells.remove(*doorbell);
    }
    doorbells.destroy();
    while (Port* const port = ports.any()) {
      ports.remove(*port);
    }
    ports.destroy();
    CHECK(pool.in_use() == 0);
  }
  Port& port(std::uint32_t id, const PortInfo& info = doorbell_port()) {
    const auto created = ports.create(PortId{id}, kRoot, kChild, info);
    REQUIRE(created);
    return **created;
  }
  Status connect(std::uint32_t id, const ConnectionInfo& info, Port& port) {
    return doorbells.connect(ConnectionId{id}, kChild, info, port);
  }
  test_support::FakeSpaMemory memory;
  hv::PagePool pool;
  hv::PortTable ports{pool};
  hv::DoorbellTable doorbells{pool};
};

}  // namespace

TEST_CASE("a doorbell is refused as the interface says", "[hv][ports][doorbell]") {
  CHECK(hv::check_doorbell(bell(kGpa, 0, 0)) == Status::kSuccess);
  for (std::uint64_t size = 0; size <= 7; ++size) {
    CHECK(hv::check_doorbell(bell(0x1000, 0, size)) ==
          (size <= 4 ? Status::kSuccess : Status::kInvalidParameter));
  }
  CHECK(hv::check_doorbell(bell(kGpa, 0, 8)) == Status::kInvalidParameter);
  CHECK(hv::check_doorbell(bell(kGpa, 0, 1ull << 32)) == Status::kInvalidParameter);
  CHECK(hv::check_doorbell(bell(kGpa, 7, ConnectionInfo::kDoorbellAnyValue)) == Status::kSuccess);
  // The value must fit the size.
  CHECK(hv::check_doorbell(bell(kGpa, 0xFF, ConnectionInfo::kDoorbellByte)) == Status::kSuccess);
  CHECK(hv::check_doorbell(bell(kGpa, 0x100, ConnectionInfo::kDoorbellByte)) ==
        Status::kInvalidParameter);
  CHECK(hv::check_doorbell(bell(kGpa, 0x1'0000'0000, ConnectionInfo::kDoorbellDword)) ==
        Status::kInvalidParameter);
  CHECK(hv::check_doorbell(bell(kGpa, ~0ull, ConnectionInfo::kDoorbellQword)) == Status::kSuccess);
  // It does not cross a page.
  CHECK(hv::check_doorbell(bell(0x1FFF, 0, ConnectionInfo::kDoorbellByte)) == Status::kSuccess);
  CHECK(hv::check_doorbell(bell(0x1FFF, 0, ConnectionInfo::kDoorbellWord)) ==
        Status::kInvalidAlignment);
  CHECK(hv::check_doorbell(bell(0x1FF9, 0, ConnectionInfo::kDoorbellQword)) ==
        Status::kInvalidAlignment);
}

TEST_CASE("a write rings where address, size and value are right", "[hv][ports][doorbell]") {
  Fixture fixture;
  REQUIRE(fixture.connect(1, bell(kGpa, 42, ConnectionInfo::kDoorbellDword), fixture.port(1)) ==
          Status::kSuccess);
  REQUIRE(fixture.connect(2, bell(kGpa + 0x100, 0, ConnectionInfo::kDoorbellAnyValue),
                          fixture.port(2)) == Status::kSuccess);
  REQUIRE(fixture.connect(3, bell(kGpa, 43, ConnectionInfo::kDoorbellAnySize), fixture.port(3)) ==
          Status::kSuccess);
  const auto rung = [&](std::uint64_t gpa, std::uint32_t size, std::uint64_t value) {
    const Doorbell* const found = fixture.doorbells.find(GuestStore{gpa, size, value});
    return found == nullptr ? 0u : static_cast<std::uint32_t>(found->id);
  };
  CHECK(rung(kGpa, 4, 42) == 1);
  CHECK(rung(kGpa, 8, 42) == 0);
  CHECK(rung(kGpa, 4, 41) == 0);
  CHECK(rung(kGpa + 1, 4, 42) == 0);
  for (const std::uint32_t size : {1u, 2u, 4u, 8u}) {
    CHECK(rung(kGpa, size, 43) == 3);
    CHECK(rung(kGpa + 0x100, size, 7) == 2);
  }
  // Without its port it leads nowhere.
  fixture.ports.remove(*fixture.ports.find(PortId{1}));
  CHECK(rung(kGpa, 4, 42) == 0);
  CHECK(fixture.doorbells.find(ConnectionId{1}) != nullptr);
}

TEST_CASE("a doorbell connects under the same conditions as other connections",
          "[hv][ports][doorbell]") {
  Fixture fixture;
  Port& port = fixture.port(1);
  Port& other = fixture.port(2);
  Port& message = fixture.port(3, PortInfo::message(2, VpIndex{0}));
  const ConnectionInfo info = bell(kGpa, 0, 0);
  CHECK(fixture.connect(0x1000000, info, port) == Status::kInvalidConnectionId);
  CHECK(fixture.connect(1, bell(kGpa, 0, 7), port) == Status::kInvalidParameter);
  CHECK(fixture.doorbells.connect(ConnectionId{1}, kRoot, info, port) ==
        Status::kInvalidPartitionId);
  CHECK(fixture.connect(1, info, message) == Status::kInvalidPortId);
  CHECK(fixture.doorbells.empty());
  CHECK(fixture.connect(1, info, port) == Status::kSuccess);
  CHECK(fixture.connect(1, info, other) == Status::kInvalidConnectionId);
  CHECK(fixture.connect(2, info, port) == Status::kInvalidPortId);
  CHECK(fixture.connect(2, info, other) == Status::kSuccess);
  fixture.doorbells.remove(*fixture.doorbells.find(ConnectionId{1}));
  CHECK(port.connection == nullptr);
  CHECK(fixture.doorbells.find(ConnectionId{1}) == nullptr);
  CHECK(fixture.doorbells.find(ConnectionId{2}) != nullptr);
  CHECK(fixture.connect(3, info, port) == Status::kSuccess);
}

TEST_CASE("without memory there is no doorbell", "[hv][ports][doorbell]") {
  Fixture fixture(0);
  Port& port = fixture.port(1);
  CHECK(fixture.connect(1, bell(kGpa, 0, 0), port) == Status::kInsufficientMemory);
  CHECK(port.connection == nullptr);
}

TEST_CASE("a doorbell port waits for the ring of one SINT of one processor",
          "[hv][ports][doorbell]") {
  Fixture fixture;
  Port& first = fixture.port(1);
  Port& second = fixture.port(2);
  Port& elsewhere = fixture.port(3, doorbell_port(6));
  hv::PortTable& ports = fixture.ports;
  ports.wait_for_ring(first, VpIndex{0});
  ports.wait_for_ring(first, VpIndex{0});  // once
  ports.wait_for_ring(second, VpIndex{1});
  ports.wait_for_ring(elsewhere, VpIndex{0});
  CHECK(first.waits());
  CHECK(ports.take_waiting(VpIndex{0}, 5) == &first);
  CHECK_FALSE(first.waits());
  CHECK(ports.take_waiting(VpIndex{0}, 5) == nullptr);
  CHECK(ports.take_waiting(VpIndex{1}, 6) == nullptr);
  // A port that goes waits no more.
  ports.remove(second);
  CHECK(ports.take_waiting(VpIndex{1}, 5) == nullptr);
  CHECK(ports.take_waiting(VpIndex{0}, 6) == &elsewhere);
}
