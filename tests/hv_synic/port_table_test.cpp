#include "hv/synic/port_table.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "hv/synic/synic.h"
#include "tests/support/fake_spa_memory.h"

namespace {

using hv::Connection;
using hv::ConnectionId;
using hv::ConnectionInfo;
using hv::ConnectionTable;
using hv::MessageType;
using hv::PagePool;
using hv::PartitionId;
using hv::Port;
using hv::PortId;
using hv::PortInfo;
using hv::PortTable;
using hv::PortType;
using hv::Status;
using hv::VpIndex;
using machine::Spn;

constexpr PartitionId kOwner{2};
constexpr PartitionId kSender{1};
constexpr PartitionId kStranger{3};
constexpr PortInfo kMessagePort = PortInfo::message(2, VpIndex{0});
constexpr PortInfo kEventPort = PortInfo::event(2, VpIndex{0}, 100, 8);

constexpr ConnectionInfo connection(PortType type) { return ConnectionInfo{type, 0, 0, 0, 0}; }

PortInfo monitor_port(std::uint64_t gpa) {
  PortInfo info;
  info.type = PortType::kMonitor;
  info.sint = static_cast<std::uint32_t>(gpa);
  info.vp = VpIndex{static_cast<std::uint32_t>(gpa >> 32)};
  return info;
}

struct Fixture {
  explicit Fixture(std::uint64_t pages = 20) {
    for (std::uint64_t page = 0; page < pages; ++page) {
      pool.deposit(Spn(1000 + page));
    }
  }
  test_support::FakeSpaMemory memory;
  PagePool pool;
  PortTable ports{pool};
  ConnectionTable connections{pool};

  Port& port(std::uint32_t id, const PortInfo& info = kMessagePort) {
    const auto created = ports.create(PortId{id}, kOwner, kSender, info);
    REQUIRE(created);
    return **created;
  }
};

}  // namespace

TEST_CASE("a port is refused as the interface says", "[hv][ports]") {
  const PortId id{5};
  CHECK(hv::check_port(PortId{0x1000000}, kMessagePort) == Status::kInvalidPortId);
  CHECK(hv::check_port(PortId{0}, kMessagePort) == Status::kSuccess);
  CHECK(hv::check_port(id, kMessagePort) == Status::kSuccess);
  CHECK(hv::check_port(id, PortInfo::message(0, VpIndex{0})) == Status::kInvalidParameter);
  CHECK(hv::check_port(id, PortInfo::message(15, VpIndex{0})) == Status::kSuccess);
  CHECK(hv::check_port(id, PortInfo::message(16, VpIndex{0})) == Status::kInvalidParameter);
  CHECK(hv::check_port(id, PortInfo::event(2, VpIndex{0}, 0, 2048)) == Status::kSuccess);
  CHECK(hv::check_port(id, PortInfo::event(2, VpIndex{0}, 2047, 1)) == Status::kSuccess);
  CHECK(hv::check_port(id, PortInfo::event(2, VpIndex{0}, 2047, 2)) == Status::kInvalidParameter);
  CHECK(hv::check_port(id, PortInfo::event(2, VpIndex{0}, 0xFFFF, 0xFFFF)) ==
        Status::kInvalidParameter);
  CHECK(hv::check_port(id, PortInfo::event(2, VpIndex{0}, 0, 0)) == Status::kInvalidParameter);
  PortInfo info = kMessagePort;
  info.flag_count = 1;
  CHECK(hv::check_port(id, info) == Status::kInvalidParameter);
  info = kEventPort;
  info.reserved1 = 1;
  CHECK(hv::check_port(id, info) == Status::kInvalidParameter);
  info.reserved1 = 0;
  info.type = PortType::kMonitor;
  CHECK(hv::check_port(id, info) == Status::kInvalidParameter);  // it has no flags
  CHECK(hv::check_port(id, monitor_port(0x1'0000'1000)) == Status::kSuccess);
  CHECK(hv::check_port(id, monitor_port(0)) == Status::kSuccess);
  CHECK(hv::check_port(id, monitor_port(0x1800)) == Status::kInvalidAlignment);
  info.type = PortType::kDoorbell;
  CHECK(hv::check_port(id, info) == Status::kInvalidParameter);  // it has no flags
  info.base_flag = 0;
  info.flag_count = 0;
  CHECK(hv::check_port(id, info) == Status::kSuccess);
  info.sint = 16;
  CHECK(hv::check_port(id, info) == Status::kInvalidParameter);
  for (const std::uint32_t type : {0u, 5u, 0xFFFFFFFFu}) {
    info.type = PortType{type};
    CHECK(hv::check_port(id, info) == Status::kInvalidParameter);
  }
}

TEST_CASE("a message is refused as the interface says", "[hv][ports]") {
  CHECK(hv::check_message(MessageType{1}, 0) == Status::kSuccess);
  CHECK(hv::check_message(MessageType{0x7FFFFFFF}, 240) == Status::kSuccess);
  CHECK(hv::check_message(MessageType{0}, 8) == Status::kInvalidParameter);
  CHECK(hv::check_message(MessageType{0x80000000}, 8) == Status::kInvalidParameter);
  CHECK(hv::check_message(MessageType{1}, 241) == Status::kInvalidParameter);
  CHECK(hv::check_message(MessageType{1}, 0xFFFFFFFF) == Status::kInvalidParameter);
}

TEST_CASE("port and connection ids are unique in their partition", "[hv][ports]") {
  Fixture fixture;
  Port& port = fixture.port(5);
  const auto second = fixture.ports.create(PortId{5}, kOwner, kSender, kEventPort);
  REQUIRE_FALSE(second);
  CHECK(second.error() == Status::kInvalidPortId);
  CHECK(fixture.ports.find(PortId{5}) == &port);
  CHECK(fixture.ports.find(PortId{5 + 32}) == nullptr);  // the same bucket
  CHECK(fixture.connections.connect(ConnectionId{9}, kSender, connection(PortType::kMessage),
                                    port) == Status::kSuccess);
  Port& other = fixture.port(6);
  CHECK(fixture.connections.connect(ConnectionId{9}, kSender, connection(PortType::kMessage),
                                    other) == Status::kInvalidConnectionId);
  CHECK(other.connection == nullptr);
}

TEST_CASE("only the named partition connects, once, with the port's type", "[hv][ports]") {
  Fixture fixture;
  Port& port = fixture.port(5);
  const ConnectionInfo message = connection(PortType::kMessage);
  CHECK(fixture.connections.connect(ConnectionId{1}, kStranger, message, port) ==
        Status::kInvalidPartitionId);
  CHECK(fixture.connections.connect(ConnectionId{1}, kSender, connection(PortType::kEvent), port) ==
        Status::kInvalidPortId);
  CHECK(fixture.connections.connect(ConnectionId{0x1000000}, kSender, message, port) ==
        Status::kInvalidConnectionId);
  ConnectionInfo with_address = message;
  with_address.gpa = 0x1000;
  CHECK(fixture.connections.connect(ConnectionId{1}, kSender, with_address, port) ==
        Status::kInvalidParameter);
  CHECK(fixture.connections.connect(ConnectionId{1}, kSender, message, port) == Status::kSuccess);
  CHECK(fixture.connections.connect(ConnectionId{2}, kSender, message, port) ==
        Status::kInvalidPortId);
  CHECK(fixture.connections.count() == 1);
}

TEST_CASE("an old connection never reaches a new port of the same id", "[hv][ports]") {
  Fixture fixture;
  Port& port = fixture.port(5);
  REQUIRE(fixture.connections.connect(ConnectionId{1}, kSender, connection(PortType::kMessage),
                                      port) == Status::kSuccess);
  fixture.ports.remove(port);
  CHECK(fixture.connections.find(ConnectionId{1})->port == nullptr);
  Port& again = fixture.port(5);
  CHECK(fixture.connections.find(ConnectionId{1})->port == nullptr);
  CHECK(again.connection == nullptr);
  fixture.connections.remove(*fixture.connections.find(ConnectionId{1}));
  CHECK(fixture.connections.find(ConnectionId{1}) == nullptr);
}

TEST_CASE("disconnecting frees the port for another connection", "[hv][ports]") {
  Fixture fixture;
  Port& port = fixture.port(5);
  const ConnectionInfo message = connection(PortType::kMessage);
  REQUIRE(fixture.connections.connect(ConnectionId{1}, kSender, message, port) == Status::kSuccess);
  fixture.connections.remove(*fixture.connections.find(ConnectionId{1}));
  CHECK(port.connection == nullptr);
  CHECK(fixture.connections.connect(ConnectionId{2}, kSender, message, port) == Status::kSuccess);
}

TEST_CASE("a port has 16 message buffers, which come back when a message was delivered",
          "[hv][ports]") {
  Fixture fixture;
  Port& port = fixture.port(5);
  hv::Synic synic(Spn(1), Spn(2));
  synic.reset();
  static_cast<void>(synic.write(hv::kMsrSimp, 0x1001));
  static_cast<void>(synic.write(hv::kMsrScontrol, 1));
  static_cast<void>(synic.write(hv::kMsrSint0 + 2, 0x30));
  const std::vector<std::byte> payload(240, std::byte{7});
  for (int index = 0; index < 17; ++index) {  // one goes to the slot at once
    const auto buffer = port.fill_buffer(MessageType{1}, payload);
    REQUIRE(buffer);
    static_cast<void>(synic.post(2, **buffer, 0));
  }
  CHECK_FALSE(port.has_free_buffer());
  const auto refused = port.fill_buffer(MessageType{1}, payload);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == Status::kInsufficientBuffers);
  const auto delivered = fixture.memory.get<hv::Message>(machine::kPageSize + 2 * 256);
  CHECK(delivered.header.origination == 5);
  CHECK(delivered.header.payload_size == 240);
  CHECK(delivered.payload[239] == std::byte{7});
  fixture.memory.set(machine::kPageSize + 2 * 256, std::uint32_t{0});
  static_cast<void>(synic.deliver(0));
  CHECK(port.has_free_buffer());
  synic.drop(port.messages);
  fixture.ports.remove(port);
}

TEST_CASE("without memory nothing is created, and everything goes back in the end", "[hv][ports]") {
  Fixture fixture(1);
  const auto refused = fixture.ports.create(PortId{1}, kOwner, kSender, kMessagePort);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == Status::kInsufficientMemory);
  CHECK(fixture.ports.count() == 0);
  CHECK(fixture.ports.find(PortId{1}) == nullptr);
  // The page goes for ports; a few connections need none.
  const ConnectionInfo event = connection(PortType::kEvent);
  for (std::uint32_t id = 0; id < 4; ++id) {
    Port& port = fixture.port(id, kEventPort);
    CHECK(fixture.connections.connect(ConnectionId{id}, kSender, event, port) == Status::kSuccess);
  }
  Port& last = fixture.port(4, kEventPort);
  CHECK(fixture.connections.connect(ConnectionId{4}, kSender, event, last) ==
        Status::kInsufficientMemory);
  CHECK(last.connection == nullptr);
  while (Connection* const connected = fixture.connections.any()) {
    fixture.connections.remove(*connected);
  }
  while (Port* const port = fixture.ports.any()) {
    fixture.ports.remove(*port);
  }
  fixture.ports.destroy();
  fixture.connections.destroy();
  CHECK(fixture.pool.in_use() == 0);
  CHECK(fixture.pool.available() == 1);
}

TEST_CASE("a partition that had ports and connections gets every page back", "[hv][ports]") {
  Fixture fixture;
  for (std::uint32_t id = 0; id < 8; ++id) {
    Port& port = fixture.port(id);
    REQUIRE(fixture.connections.connect(ConnectionId{id}, kSender, connection(PortType::kMessage),
                                        port) == Status::kSuccess);
  }
  CHECK(fixture.pool.in_use() > 8);
  while (Connection* const connected = fixture.connections.any()) {
    fixture.connections.remove(*connected);
  }
  while (Port* const port = fixture.ports.any()) {
    fixture.ports.remove(*port);
  }
  fixture.ports.destroy();
  fixture.connections.destroy();
  CHECK(fixture.pool.in_use() == 0);
  CHECK(fixture.pool.available() == 20);
}

TEST_CASE("many ports are found by their ids", "[hv][ports]") {
  Fixture fixture(200);
  for (std::uint32_t id = 0; id < 100; ++id) {
    static_cast<void>(fixture.port(id * 31, kEventPort));
  }
  for (std::uint32_t id = 0; id < 100; ++id) {
    Port* const port = fixture.ports.find(PortId{id * 31});
    REQUIRE(port != nullptr);
    CHECK(port->id == PortId{id * 31});
  }
  CHECK(fixture.ports.count() == 100);
}

TEST_CASE("a partition finds its ports however many there are", "[hv][ports]") {
  Fixture fixture(1200);
  constexpr std::uint32_t kPorts = 3000;
  // As the root numbers them: what tells them apart is in the upper bits.
  const auto id_of = [](std::uint32_t number) { return (number << 12) | 5; };
  for (std::uint32_t number = 0; number < kPorts; ++number) {
    static_cast<void>(fixture.port(id_of(number), kEventPort));
  }
  CHECK(fixture.ports.count() == kPorts);
  for (std::uint32_t number = 0; number < kPorts; ++number) {
    Port* const port = fixture.ports.find(PortId{id_of(number)});
    REQUIRE(port != nullptr);
    REQUIRE(port->id == PortId{id_of(number)});
  }
  CHECK(fixture.ports.find(PortId{id_of(kPorts)}) == nullptr);
  while (Port* const port = fixture.ports.any()) {
    fixture.ports.remove(*port);
  }
  CHECK(fixture.ports.count() == 0);
  fixture.ports.destroy();
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("a pool without pages leaves ports where they are found", "[hv][ports]") {
  // With one page there is memory for the ports, and none for a larger index of them.
  for (const std::uint64_t pages : {1u, 2u, 10u}) {
    CAPTURE(pages);
    Fixture fixture(pages);
    std::uint32_t made = 0;
    while (fixture.ports.create(PortId{made}, kOwner, kSender, kEventPort)) {
      ++made;
    }
    CHECK(made > 30);
    CHECK(fixture.pool.available() == 0);
    for (std::uint32_t number = 0; number < made; ++number) {
      REQUIRE(fixture.ports.find(PortId{number}) != nullptr);
    }
  }
}

TEST_CASE("a table that was emptied takes ports again", "[hv][ports]") {
  Fixture fixture(40);
  for (const std::uint32_t first : {0u, 1000u}) {
    for (std::uint32_t number = 0; number < 100; ++number) {
      static_cast<void>(fixture.port(first + number * 7, kEventPort));
    }
    for (std::uint32_t number = 0; number < 100; ++number) {
      Port* const port = fixture.ports.find(PortId{first + number * 7});
      REQUIRE(port != nullptr);
      fixture.ports.remove(*port);
      REQUIRE(fixture.ports.find(PortId{first + number * 7}) == nullptr);
    }
    CHECK(fixture.ports.any() == nullptr);
  }
  fixture.ports.destroy();
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("ports that come and go leave memory for the buffers of those that stay", "[hv][ports]") {
  Fixture fixture(40);
  const std::vector<std::byte> payload(240, std::byte{7});
  Port& stays = fixture.port(0);
  for (std::uint32_t round = 1; round <= 20; ++round) {
    Port& goes = fixture.port(round);
    for (std::uint32_t buffer = 0; buffer < 16; ++buffer) {
      REQUIRE(goes.fill_buffer(MessageType{1}, payload));
    }
    for (std::uint32_t buffer = 0; buffer < 16; ++buffer) {
      goes.messages.set_free(buffer);
    }
    fixture.ports.remove(goes);
  }
  for (std::uint32_t buffer = 0; buffer < 16; ++buffer) {
    REQUIRE(stays.fill_buffer(MessageType{1}, payload));
  }
  for (std::uint32_t buffer = 0; buffer < 16; ++buffer) {
    stays.messages.set_free(buffer);
  }
  fixture.ports.remove(stays);
  fixture.ports.destroy();
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("no more monitors are connected than one look takes in", "[hv][ports]") {
  Fixture fixture;
  const ConnectionInfo monitor = connection(PortType::kMonitor);
  const auto connect = [&](std::uint32_t id) {
    return fixture.connections.connect(ConnectionId{id}, kSender, monitor,
                                       fixture.port(id, monitor_port(0x1000)));
  };
  for (std::uint32_t id = 1; id <= ConnectionTable::kMonitors; ++id) {
    REQUIRE(connect(id) == Status::kSuccess);
  }
  CHECK(connect(9) == Status::kNoResources);
  CHECK(fixture.connections.count() == ConnectionTable::kMonitors);
  CHECK(fixture.ports.find(PortId{9})->connection == nullptr);
  // Others than monitors are not counted; and one that ends makes room.
  REQUIRE(fixture.connections.connect(ConnectionId{10}, kSender, connection(PortType::kMessage),
                                      fixture.port(10)) == Status::kSuccess);
  fixture.connections.remove(*fixture.connections.find(ConnectionId{2}));
  CHECK(fixture.connections.connect(ConnectionId{9}, kSender, monitor,
                                    *fixture.ports.find(PortId{9})) == Status::kSuccess);
  CHECK(std::ranges::find(fixture.connections.monitors(),
                          fixture.connections.find(ConnectionId{9})) !=
        fixture.connections.monitors().end());
}
