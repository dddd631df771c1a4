// Doorbells: writes of a child that reach the root through an event ring, without an exit to it
// (TLFS "Doorbell Ports"), on the whole hypervisor in the simulator.
#include <catch2/catch.hpp>
#include <cstring>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::ConnectionInfo;
using hv::EventRingLayout;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;

constexpr std::uint32_t kSint = 5;
constexpr std::uint8_t kVector = 0x30;
constexpr Gpa kRingPage{0x40'6000};
constexpr Gpa kRing = kRingPage + kSint * sizeof(EventRingLayout);
constexpr Gpa kBell = child_maker::kHole + 0x10;
constexpr Gpa kAnyBell = child_maker::kHole + 0x20;
/// The last bytes of the page.
constexpr Gpa kLastBell = child_maker::kHole + (machine::kPageSize - 2);
constexpr Gpa kStep = child_maker::kSharedWord;
constexpr std::uint32_t kBursts = EventRingLayout::kEntries + 5;

void child() {
  machine::store_u32(kBell, 42);
  machine::store_u8(kAnyBell, 1);
  machine::store_u64(kAnyBell, ~0ull);
  machine::store_u32(kStep, 1);
  while (machine::load_u32(kStep) != 2) {
    machine::pause();
  }
  for (std::uint32_t ring = 0; ring < kBursts; ++ring) {
    machine::store_u32(kBell, 42);
  }
  machine::store_u32(kStep, 3);
  while (machine::load_u32(kStep) != 4) {
    machine::pause();
  }
  machine::store_u32(kBell, 43);  // no doorbell's value
  machine::store_u32(kStep, 5);
  for (;;) {
    machine::sti_hlt();
  }
}

void child_at_the_end() {
  machine::store_u16(kLastBell, 1);
  machine::store_u32(kStep, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

/// As Linux's root takes ids out of its ring.
class Consumer {
 public:
  std::uint32_t take() {
    const Gpa entry = kRing + offsetof(EventRingLayout, entries) + tail_ * sizeof(std::uint32_t);
    const std::uint32_t id = machine::load_u32(entry);
    if (id != 0) {
      machine::store_u32(entry, 0);
      tail_ = (tail_ + 1) % EventRingLayout::kEntries;
    }
    return id;
  }

 private:
  std::uint32_t tail_ = 0;
};

void connect(const child_maker::Child& made, std::uint32_t id, Gpa gpa, std::uint64_t value,
             std::uint64_t flags) {
  hv::CreatePortInput port;
  port.port_partition = hv::kPartitionIdSelf;
  port.port = hv::PortId{id};
  port.connection_partition = made.id;
  port.info = hv::PortInfo::message(kSint, hv::kVpIndexAny);
  port.info.type = hv::PortType::kDoorbell;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
  hv::ConnectPortInput connection;
  connection.connection_partition = made.id;
  connection.connection = hv::ConnectionId{id};
  connection.port_partition = hv::kPartitionIdSelf;
  connection.port = hv::PortId{id};
  connection.info = {hv::PortType::kDoorbell, 0, gpa.value(), value, flags};
  GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
              Status::kSuccess);
}

std::uint64_t post_count(std::uint32_t id) {
  hv::GetPortPropertyInput input;
  input.partition = hv::kPartitionIdSelf;
  input.port = hv::PortId{id};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPortProperty), input).status() ==
              Status::kSuccess);
  return output<hv::GetPortPropertyOutput>().value;
}

/// The message in SINT0's slot, which is empty afterwards.
hv::Message take_message() {
  while (machine::load_u32(kMessagePage) == 0) {
    machine::pause();
  }
  hv::Message message;
  machine::read_memory(kMessagePage, std::as_writable_bytes(std::span(&message, 1)));
  machine::store_u32(kMessagePage, 0);
  machine::fence();
  machine::write_msr(hv::kMsrEom, 0);
  return message;
}

void expect_sint_intercept() {
  const hv::Message message = take_message();
  GUEST_CHECK(message.header.type == hv::MessageType::kSynicSintIntercept);
  GUEST_CHECK(static_cast<std::uint32_t>(message.payload[0]) == kSint);
}

void root() {
  begin();
  machine::write_msr(hv::kMsrSint0, kVector | hv::SintRegister::kPolling);
  machine::write_msr(hv::kMsrSint0 + kSint, kVector | hv::SintRegister::kAsIntercept);
  machine::write_msr(hv::kMsrSirbp, hv::OverlayPageRegister(kRingPage.page(), true).value());
  const child_maker::Child made = child_maker::make("child");
  connect(made, 7, kBell, 42, ConnectionInfo::kDoorbellDword);
  connect(made, 8, kAnyBell, 0, ConnectionInfo::kDoorbellAnyValue);
  child_maker::start(made, 0);
  const auto await = [&](std::uint32_t step) {
    while (machine::load_u32(made.memory + kStep.value()) != step) {
      machine::pause();
    }
  };
  const auto go_on = [&](std::uint32_t step) {
    machine::store_u32(made.memory + kStep.value(), step);
  };
  // The child goes on by itself; what rang is in the ring, in order, and was told once.
  await(1);
  expect_sint_intercept();
  Consumer consumer;
  for (const std::uint32_t id : {7u, 8u, 8u, 0u}) {
    GUEST_CHECK(consumer.take() == id);
  }
  GUEST_CHECK(machine::load_u32(kMessagePage) == 0);
  machine::store_u8(kRing, 0);  // signal_masked
  // More than the ring holds: it says so, and the port's id comes once more.
  go_on(2);
  await(3);
  expect_sint_intercept();
  GUEST_CHECK(machine::load_u8(kRing + offsetof(EventRingLayout, ring_full)) == 1);
  for (std::uint32_t entry = 0; entry < EventRingLayout::kEntries; ++entry) {
    GUEST_CHECK(consumer.take() == 7);
  }
  GUEST_CHECK(consumer.take() == 0);
  machine::store_u8(kRing + offsetof(EventRingLayout, ring_full), 0);
  GUEST_CHECK(
      call(HypercallControl(CallCode::kNotifyPortRingEmpty), hv::NotifyPortRingEmptyInput{kSint, 0})
          .status() == Status::kSuccess);
  GUEST_CHECK(consumer.take() == 7);
  GUEST_CHECK(consumer.take() == 0);
  GUEST_CHECK(machine::load_u32(kMessagePage) == 0);
  GUEST_CHECK(post_count(7) == kBursts + 1);
  GUEST_CHECK(post_count(8) == 2);
  // What rings nowhere is the parent's to see.
  go_on(4);
  const hv::Message message = take_message();
  GUEST_CHECK(message.header.type == hv::MessageType::kUnmappedGpa);
  hv::MemoryIntercept intercept;
  std::memcpy(&intercept, message.payload.data(), sizeof(intercept));
  GUEST_CHECK(intercept.gpa == kBell.value());
  GUEST_CHECK(intercept.header.access == hv::InterceptAccess::kWrite);
  GUEST_CHECK(consumer.take() == 0);
  child_maker::destroy(made);
  end(0);
}

void root_of_the_end() {
  begin();
  machine::write_msr(hv::kMsrSint0 + kSint, kVector | hv::SintRegister::kPolling);
  machine::write_msr(hv::kMsrSirbp, hv::OverlayPageRegister(kRingPage.page(), true).value());
  const child_maker::Child made = child_maker::make("child");
  connect(made, 9, kLastBell, 0, ConnectionInfo::kDoorbellAnyValue);
  child_maker::start(made, 0);
  while (machine::load_u32(made.memory + kStep.value()) != 1) {
    GUEST_CHECK(machine::load_u32(kMessagePage) == 0);  // no intercept
    machine::pause();
  }
  Consumer consumer;
  GUEST_CHECK(consumer.take() == 9);
  child_maker::destroy(made);
  end(0);
}

}  // namespace

TEST_CASE("a doorbell rings at the root and its child goes on", "[hv][doorbell]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(world_with_child(root, child), seed);
    INFO("seed " << seed << ": " << describe(result));
    CHECK(result.passed());
  }
}

TEST_CASE("a doorbell may be the last bytes of its page", "[hv][doorbell]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world_with_child(root_of_the_end, child_at_the_end), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}
