// A child partition from creation to deletion, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/image.h"
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

constexpr hv::PortId kRootPort{0x21};
constexpr hv::ConnectionId kToRoot{0x10};
constexpr std::uint32_t kSint = 3;
constexpr std::uint8_t kVector = 0x33;

void acknowledge(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

/// Waits for a message in a slot of the message page, and takes it.
hv::Message take_message(std::uint32_t sint) {
  const machine::Gpa slot = kMessagePage + sint * hv::kMessageSlotBytes;
  while (machine::load_u32(slot) == 0) {
    machine::sti_hlt();
  }
  hv::Message message;
  machine::read_memory(slot, std::as_writable_bytes(std::span(&message, 1)));
  machine::store_u32(slot, 0);
  machine::fence();
  if ((machine::load_u8(slot + 5) & hv::MessageHeader::kMessagePending) != 0) {
    machine::write_msr(hv::kMsrEom, 0);
  }
  return message;
}

void open_sint(std::uint32_t sint, std::uint8_t vector) {
  machine::set_interrupt_handler(vector, acknowledge);
  machine::write_msr(hv::kMsrSint0 + sint, vector);
}

void give_child_a_way_to_root(PartitionId child) {
  hv::CreatePortInput port;
  port.port_partition = hv::kPartitionIdSelf;
  port.port = kRootPort;
  port.connection_partition = child;
  port.info = hv::PortInfo::message(kSint, hv::VpIndex{0});
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
  hv::ConnectPortInput connection;
  connection.connection_partition = child;
  connection.connection = kToRoot;
  connection.port_partition = hv::kPartitionIdSelf;
  connection.port = kRootPort;
  connection.info.type = hv::PortType::kMessage;
  GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
              Status::kSuccess);
}

void say(std::uint32_t value) {
  hv::PostMessageInput message;
  message.connection = kToRoot;
  message.type = hv::MessageType{3};
  message.payload_size = sizeof(value);
  std::memcpy(message.payload.data(), &value, sizeof(value));
  for (;;) {
    const Status status = call(HypercallControl(CallCode::kPostMessage), message).status();
    if (status == Status::kSuccess) {
      return;
    }
    GUEST_CHECK(status == Status::kInsufficientBuffers);
    machine::pause();
  }
}

std::uint32_t heard(const hv::Message& message) {
  std::uint32_t value = 0;
  std::memcpy(&value, message.payload.data(), sizeof(value));
  return value;
}

// --- A child that talks ----------------------------------------------------

constexpr std::uint32_t kWords = 40;

void talking_child() {
  begin();
  for (std::uint32_t word = 1; word <= kWords; ++word) {
    say(word);
  }
  machine::sti_hlt();
  end(99);
}

void root_that_listens() {
  begin();
  open_sint(kSint, kVector);
  child_maker::Child child = child_maker::make("child");
  give_child_a_way_to_root(child.id);
  child_maker::start(child, 0);
  for (std::uint32_t word = 1; word <= kWords; ++word) {
    const hv::Message message = take_message(kSint);
    GUEST_CHECK(message.header.type == hv::MessageType{3});
    GUEST_CHECK(message.header.origination == static_cast<std::uint64_t>(kRootPort));
    GUEST_CHECK(heard(message) == word);
  }
  child_maker::destroy(child);
  end(0);
}

// --- A child that touches what it does not have ----------------------------

void trespassing_child() {
  begin();
  machine::store_u32(child_maker::kHole, 7);
  say(machine::load_u32(child_maker::kHole));
  machine::sti_hlt();
  end(99);
}

void root_that_maps_on_demand() {
  begin();
  open_sint(0, 0x30);
  open_sint(kSint, kVector);
  child_maker::Child child = child_maker::make("child");
  give_child_a_way_to_root(child.id);
  child_maker::start(child, 0);
  const hv::Message message = take_message(0);
  GUEST_CHECK(message.header.type == hv::MessageType::kUnmappedGpa);
  GUEST_CHECK(message.header.origination == static_cast<std::uint64_t>(child.id));
  hv::MemoryIntercept intercept;
  std::memcpy(&intercept, message.payload.data(), sizeof(intercept));
  GUEST_CHECK(intercept.gpa == child_maker::kHole.value());
  GUEST_CHECK(intercept.header.access == hv::InterceptAccess::kWrite);
  child_maker::map_hole(child);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  GUEST_CHECK(heard(take_message(kSint)) == 7);
  child_maker::destroy(child);
  end(0);
}

// --- A child whose page is taken away ---------------------------------------

constexpr std::uint32_t kTakenAway = 1;

void robbed_child() {
  begin();
  say(machine::load_u32(child_maker::kHole));
  while (machine::load_u32(child_maker::kSharedWord) != kTakenAway) {
    machine::pause();
  }
  static_cast<void>(machine::load_u32(child_maker::kHole));
  say(99);
  machine::sti_hlt();
  end(99);
}

void root_that_takes_a_page() {
  begin();
  open_sint(0, 0x30);
  open_sint(kSint, kVector);
  child_maker::Child child = child_maker::make("child");
  give_child_a_way_to_root(child.id);
  child_maker::map_hole(child);
  child_maker::start(child, 0);
  GUEST_CHECK(heard(take_message(kSint)) == 0);
  child_maker::unmap_hole(child);
  machine::store_u32(child.memory + child_maker::kSharedWord.value(), kTakenAway);
  // Either the access comes here, or the child says that it got by.
  const machine::Gpa said = kMessagePage + kSint * hv::kMessageSlotBytes;
  while (machine::load_u32(kMessagePage) == 0) {
    GUEST_CHECK(machine::load_u32(said) == 0);
    machine::sti_hlt();
  }
  GUEST_CHECK(take_message(0).header.type == hv::MessageType::kUnmappedGpa);
  child_maker::destroy(child);
  end(0);
}

// --- A child with two processors --------------------------------------------

void boot_first() {
  begin();
  say(0);  // the second may start now
  const machine::Gpa word = child_maker::kSharedWord;
  while (machine::load_u32(word) == 0) {
    machine::pause();
  }
  machine::set_interrupt_handler(0x60, acknowledge);
  // Wake the other one, which sleeps.
  static_cast<void>(machine::hypercall(
      kHypercallPage, HypercallControl(CallCode::kSendSyntheticClusterIpi).fast().value(), 0x60,
      2));
  while (machine::load_u32(word) == 1) {
    machine::pause();
  }
  say(machine::load_u32(word));
  machine::sti_hlt();
  end(99);
}

void boot_second() {
  enable_local_apic();
  machine::set_interrupt_handler(0x60, acknowledge);
  machine::store_u32(child_maker::kSharedWord, 1);
  machine::sti_hlt();
  machine::store_u32(child_maker::kSharedWord, 2);
  for (;;) {
    machine::sti_hlt();
  }
}

void root_of_two() {
  begin();
  open_sint(kSint, kVector);
  child_maker::Child child = child_maker::make("child", 2);
  give_child_a_way_to_root(child.id);
  child_maker::start(child, 0);
  GUEST_CHECK(heard(take_message(kSint)) == 0);
  child_maker::start(child, 1);
  GUEST_CHECK(heard(take_message(kSint)) == 2);
  child_maker::destroy(child);
  end(0);
}

sim::RunResult run_pair(void (*root)(), void (*child)(), std::uint32_t processors,
                        std::uint64_t seed, void (*second)() = nullptr) {
  return run(world_with_child(root, child, second, processors), seed);
}

void require_pass(const sim::RunResult& result, std::uint64_t seed) {
  INFO("seed " << seed << " " << describe(result));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("a child's messages arrive in order, and every page comes back", "[hv][child]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      require_pass(run_pair(root_that_listens, talking_child, processors, seed), seed);
    }
  }
}

TEST_CASE("an access to an unmapped page waits for the parent", "[hv][intercept]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    require_pass(run_pair(root_that_maps_on_demand, trespassing_child, processors, 1), 1);
  }
}

TEST_CASE("a page that was taken away is gone for a processor that has used it", "[hv][unmap]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      require_pass(run_pair(root_that_takes_a_page, robbed_child, processors, seed), seed);
    }
  }
}

TEST_CASE("a processor that sleeps is woken by another's interrupt", "[hv][child]") {
  for (const std::uint32_t processors : {1u, 2u, 4u}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      require_pass(run_pair(root_of_two, boot_first, processors, seed, boot_second), seed);
    }
  }
}
