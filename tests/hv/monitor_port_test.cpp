// Monitor ports: signals that a child gives by a bit in a page which it shares with the root (TLFS
// 2.0a "Monitored Notifications"), on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::ConnectionId;
using hv::HypercallControl;
using hv::MonitorTrigger;
using hv::PartitionId;
using hv::PortId;
using hv::PortInfo;
using hv::PortType;
using hv::Status;
using hv::VpIndex;
using machine::Gpa;

constexpr std::uint32_t kSint = 3;
constexpr std::uint8_t kVector = 0x35;
constexpr std::uint16_t kBaseFlag = 8;
constexpr std::uint16_t kFlags = 4;
constexpr PortId kEventPort{0x21};
constexpr PortId kMonitorPort{0x22};
constexpr ConnectionId kEventConnection{0x31};
constexpr ConnectionId kMonitorConnection{0x32};
/// Where the port's owner sees the page, and where the sender does; a place that is memory, and one
/// where nothing is.
constexpr Gpa kOwnersPlace{0x40'8000};
constexpr Gpa kSendersPlace{0x40'9000};
constexpr Gpa kEmptyPlace = child_maker::kHole;
constexpr Gpa kStep = child_maker::kSharedWord;
constexpr Gpa kDelay = child_maker::kSharedWord + 8;
constexpr std::uint16_t kLatency = 2'000;
constexpr std::uint16_t kLongLatency = 0xFFFF;
constexpr std::uint64_t kTick = 10'000;
constexpr std::uint64_t kPatience = 5 * kTick;

PortInfo monitor_port(Gpa place) {
  PortInfo info;
  info.type = PortType::kMonitor;
  info.sint = static_cast<std::uint32_t>(place.value());
  info.vp = VpIndex{static_cast<std::uint32_t>(place.value() >> 32)};
  return info;
}

Status create(PartitionId owner, PartitionId sender, PortId id, const PortInfo& info) {
  hv::CreatePortInput input;
  input.port_partition = owner;
  input.port = id;
  input.connection_partition = sender;
  input.info = info;
  return call(HypercallControl(CallCode::kCreatePort), input).status();
}
Status connect(PartitionId sender, PartitionId owner, ConnectionId id, PortId port,
               const hv::ConnectionInfo& info) {
  hv::ConnectPortInput input;
  input.connection_partition = sender;
  input.connection = id;
  input.port_partition = owner;
  input.port = port;
  input.info = info;
  return call(HypercallControl(CallCode::kConnectPort), input).status();
}
Status connect_monitor(PartitionId sender, PartitionId owner, Gpa place) {
  hv::ConnectionInfo info;
  info.type = PortType::kMonitor;
  info.gpa = place.value();
  return connect(sender, owner, kMonitorConnection, kMonitorPort, info);
}
Status disconnect(PartitionId sender) {
  return call(HypercallControl(CallCode::kDisconnectPort),
              hv::DisconnectPortInput{sender, kMonitorConnection, 0})
      .status();
}
Status delete_monitor(PartitionId owner) {
  return call(HypercallControl(CallCode::kDeletePort), hv::DeletePortInput{owner, kMonitorPort, 0})
      .status();
}
std::uint64_t post_count(PartitionId owner, PortId id) {
  hv::GetPortPropertyInput input;
  input.partition = owner;
  input.port = id;
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPortProperty), input).status() ==
              Status::kSuccess);
  return output<hv::GetPortPropertyOutput>().value;
}

/// An event port and a monitor port of `owner`, and the sender's connections to them.
void make_paths(PartitionId owner, PartitionId sender, Gpa owners_place, Gpa senders_place) {
  GUEST_CHECK(create(owner, sender, kEventPort,
                     PortInfo::event(kSint, VpIndex{0}, kBaseFlag, kFlags)) == Status::kSuccess);
  hv::ConnectionInfo event;
  event.type = PortType::kEvent;
  GUEST_CHECK(connect(sender, owner, kEventConnection, kEventPort, event) == Status::kSuccess);
  GUEST_CHECK(create(owner, sender, kMonitorPort, monitor_port(owners_place)) == Status::kSuccess);
  GUEST_CHECK(connect_monitor(sender, owner, senders_place) == Status::kSuccess);
}

/// What a trigger is for.
void set_trigger(Gpa page, std::uint8_t id, std::uint16_t flag, std::uint16_t latency,
                 ConnectionId connection = kEventConnection) {
  const MonitorTrigger trigger(id);
  machine::store_u16(page + trigger.latency_offset(), latency);
  machine::store_u64(page + trigger.parameter_offset(),
                     static_cast<std::uint64_t>(connection) | std::uint64_t{flag} << 32);
}
void enable(Gpa page, std::uint32_t groups) { machine::store_u32(page, groups); }
void pull(Gpa page, std::uint8_t id) {
  const MonitorTrigger trigger(id);
  machine::fetch_or_u32(page + trigger.pending_offset(), trigger.bit());
}
bool is_pending(Gpa page, std::uint8_t id) {
  const MonitorTrigger trigger(id);
  return (machine::load_u32(page + trigger.pending_offset()) & trigger.bit()) != 0;
}

bool take_flag(std::uint16_t flag) {
  const std::uint32_t number = kBaseFlag + flag;
  const Gpa word = kEventFlagsPage + kSint * hv::kEventFlagsAreaBytes + number / 32 * 4;
  return (machine::fetch_and_u32(word, ~(1u << number % 32)) >> number % 32 & 1) != 0;
}
std::uint64_t now() { return machine::read_msr(hv::kMsrTimeRefCount); }
bool comes_soon(std::uint16_t flag) {
  for (const std::uint64_t start = now(); now() - start < kPatience;) {
    if (take_flag(flag)) {
      return true;
    }
    machine::pause();
  }
  return false;
}

void begin_and_listen() {
  begin();
  machine::write_msr(hv::kMsrSint0 + kSint, kVector | hv::SintRegister::kPolling);
}
void await(const Child& child, std::uint32_t step) {
  while (machine::load_u32(child.memory + kStep.value()) != step) {
    machine::pause();
  }
}
void go_on(const Child& child, std::uint32_t step) {
  machine::store_u32(child.memory + kStep.value(), step);
}
void child_awaits(std::uint32_t step) {
  while (machine::load_u32(kStep) != step) {
    machine::pause();
  }
}
[[noreturn]] void child_halts() {
  for (;;) {
    machine::sti_hlt();
  }
}

// --- A child that runs on and measures -----------------------------------------------------------

constexpr std::uint32_t kPulls = 10;

/// How long the longest of some signals waits.
std::uint64_t longest_delay(std::uint8_t trigger) {
  std::uint64_t longest = 0;
  for (std::uint32_t pulled = 0; pulled < kPulls; ++pulled) {
    machine::spend(37'000);
    const std::uint64_t start = now();
    pull(kSendersPlace, trigger);
    while (is_pending(kSendersPlace, trigger)) {
      machine::spend(500);
      machine::pause();
    }
    const std::uint64_t delay = now() - start;
    longest = delay > longest ? delay : longest;
  }
  return longest;
}

void child_that_measures() {
  begin();
  machine::store_u64(kDelay, longest_delay(37));
  machine::store_u32(kStep, 1);
  child_awaits(2);
  machine::store_u64(kDelay, longest_delay(37));
  machine::store_u32(kStep, 3);
  child_halts();
}

void root_of_the_measuring() {
  begin_and_listen();
  const Child child = child_maker::make("child");
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kSendersPlace);
  set_trigger(kOwnersPlace, 37, 2, kLatency);
  set_trigger(kOwnersPlace, 38, 0, kLongLatency);  // the least of the group's is what counts
  enable(kOwnersPlace, 1u << 1);
  child_maker::start(child, 0);
  await(child, 1);
  constexpr std::uint64_t kSlack = 300;
  const std::uint64_t quick = machine::load_u64(child.memory + kDelay.value());
  GUEST_CHECK(quick != 0 && quick <= kLatency + kSlack);
  GUEST_CHECK(take_flag(2));
  GUEST_CHECK(!take_flag(0) && !take_flag(1) && !take_flag(3));
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kMonitorPort) == kPulls);
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kEventPort) == kPulls);
  // Later, if the page says so, but not for ever.
  set_trigger(kOwnersPlace, 37, 2, kLongLatency);
  go_on(child, 2);
  await(child, 3);
  const std::uint64_t slow = machine::load_u64(child.memory + kDelay.value());
  GUEST_CHECK(slow > quick && slow <= kTick + kSlack);
  GUEST_CHECK(take_flag(2));
  child_maker::destroy(child);
  GUEST_CHECK(delete_monitor(hv::kPartitionIdSelf) == Status::kSuccess);
  end(0);
}

// --- A child that halts --------------------------------------------------------------------------

void child_that_halts() {
  begin();
  pull(kEmptyPlace, 0);
  pull(kEmptyPlace, 64);
  child_halts();
}

void root_of_the_halting() {
  begin_and_listen();
  const Child child = child_maker::make("child");
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kEmptyPlace);
  set_trigger(kOwnersPlace, 0, 1, kLongLatency);
  set_trigger(kOwnersPlace, 64, 3, kLongLatency);
  enable(kOwnersPlace, 1);
  child_maker::start(child, 0);
  GUEST_CHECK(comes_soon(1));
  // What waits for its group is not lost, though nobody runs who could set a bit.
  GUEST_CHECK(!comes_soon(3));
  GUEST_CHECK(is_pending(kOwnersPlace, 64));
  enable(kOwnersPlace, 1u << 2 | hv::kMonitorDisabled);
  GUEST_CHECK(!comes_soon(3));
  enable(kOwnersPlace, 1u << 2);
  GUEST_CHECK(comes_soon(3));
  GUEST_CHECK(!is_pending(kOwnersPlace, 64));
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kMonitorPort) == 2);
  // Of the child, nothing holds its connection or the page any more.
  child_maker::destroy(child);
  GUEST_CHECK(!take_flag(1));
  GUEST_CHECK(delete_monitor(hv::kPartitionIdSelf) == Status::kSuccess);
  end(0);
}

// --- Ends with a signal under way ----------------------------------------------------------------

constexpr std::uint32_t kBeneath = 0x1234'5678;

void child_of_the_ends() {
  for (std::uint32_t step = 0; step < 4; step += 2) {
    child_awaits(step);
    pull(kSendersPlace, 5);
    machine::store_u32(kStep, step + 1);
  }
  child_awaits(4);
  GUEST_CHECK(machine::load_u32(kSendersPlace) == kBeneath);
  machine::store_u32(kSendersPlace, kBeneath + 1);
  machine::store_u32(kStep, 5);
  child_awaits(99);
}

void root_of_the_ends() {
  begin_and_listen();
  const Child child = child_maker::make("child");
  machine::store_u32(child.memory + kSendersPlace.value(), kBeneath);
  machine::store_u32(kOwnersPlace, kBeneath);
  go_on(child, 0);
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kSendersPlace);
  GUEST_CHECK(machine::load_u32(kOwnersPlace) == 0);  // an overlay
  set_trigger(kOwnersPlace, 5, 1, kLongLatency);
  enable(kOwnersPlace, 1);
  child_maker::start(child, 0);
  await(child, 1);
  GUEST_CHECK(disconnect(child.id) == Status::kSuccess);
  GUEST_CHECK(take_flag(1));
  GUEST_CHECK(disconnect(child.id) == Status::kInvalidConnectionId);
  // The page is the port's, and is as it was for whoever connects next.
  GUEST_CHECK(machine::load_u32(kOwnersPlace) == 1);
  GUEST_CHECK(connect_monitor(child.id, hv::kPartitionIdSelf, kSendersPlace) == Status::kSuccess);
  go_on(child, 2);
  await(child, 3);
  GUEST_CHECK(delete_monitor(hv::kPartitionIdSelf) == Status::kSuccess);
  GUEST_CHECK(take_flag(1));
  GUEST_CHECK(machine::load_u32(kOwnersPlace) == kBeneath);
  // Now the child's memory is there, and only the child's.
  go_on(child, 4);
  await(child, 5);
  GUEST_CHECK(machine::load_u32(child.memory + kSendersPlace.value()) == kBeneath + 1);
  GUEST_CHECK(disconnect(child.id) == Status::kSuccess);
  GUEST_CHECK(!take_flag(1));
  child_maker::destroy(child);
  end(0);
}

// --- The page stays where it is ------------------------------------------------------------------

void child_that_resets() {
  pull(kSendersPlace, 5);
  const std::uint32_t rounds = machine::load_u32(kStep);
  machine::store_u32(kStep, rounds + 1);
  machine::write_msr(hv::kMsrReset, hv::kResetPartition);
  end(98);
}

void take_fetch_at_reset_vector() {
  while (machine::load_u32(kMessagePage) !=
         static_cast<std::uint32_t>(hv::MessageType::kUnmappedGpa)) {
    machine::pause();
  }
  machine::store_u32(kMessagePage, 0);
  machine::fence();
  machine::write_msr(hv::kMsrEom, 0);
}

/// Other memory for the child where it sees the monitor page.
void remap_beneath(const Child& child) {
  constexpr Gpa kOther{0x40'A000};
  machine::store_u32(kOther, kBeneath);
  const hv::MapGpaPagesInput header{child.id, kSendersPlace.page(), hv::kMapRead | hv::kMapWrite,
                                    0};
  const std::array<machine::Gpn, 1> pages{kOther.page()};
  GUEST_CHECK(
      call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const machine::Gpn>(pages))
          .status() == Status::kSuccess);
}

void root_of_the_resetting() {
  begin_and_listen();
  machine::write_msr(hv::kMsrSint0, kVector | hv::SintRegister::kPolling);
  const Child child = child_maker::make("child");
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kSendersPlace);
  set_trigger(kOwnersPlace, 5, 1, kLongLatency);
  enable(kOwnersPlace, 1);
  child_maker::start(child, 0);
  take_fetch_at_reset_vector();
  GUEST_CHECK(take_flag(1));
  remap_beneath(child);
  child_maker::set_register(child, 0, hv::RegisterName::kExplicitSuspend, 1);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  child_maker::start(child, 0);
  take_fetch_at_reset_vector();
  GUEST_CHECK(machine::load_u32(child.memory + kStep.value()) == 2);
  GUEST_CHECK(take_flag(1));
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kMonitorPort) == 2);
  GUEST_CHECK(disconnect(child.id) == Status::kSuccess);
  child_maker::destroy(child);
  end(0);
}

// --- A page full of lies -------------------------------------------------------------------------

void child_that_lies() {
  const std::array<std::uint64_t, 5> lies{
      0x00FF'FFFF, 0xFFFF'FFFF, std::uint64_t{kFlags} << 32 | 0x31, ~0ull,
      0x32,  // the monitor itself
  };
  for (std::uint8_t id = 0; id < lies.size(); ++id) {
    machine::store_u64(kSendersPlace + MonitorTrigger(id).parameter_offset(), lies[id]);
    machine::store_u16(kSendersPlace + MonitorTrigger(id).latency_offset(), 1);
    pull(kSendersPlace, id);
  }
  for (std::uint32_t times = 0; times < 50; ++times) {
    for (std::uint8_t id = 32; id < 128; ++id) {
      pull(kSendersPlace, id);
    }
    machine::spend(20'000);
  }
  set_trigger(kSendersPlace, 7, 3, 1);
  pull(kSendersPlace, 7);
  child_halts();
}

void root_of_the_lying() {
  begin_and_listen();
  const Child child = child_maker::make("child");
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kSendersPlace);
  enable(kOwnersPlace, 0xFFFF'FFEF);
  child_maker::start(child, 0);
  while (!take_flag(3)) {
    machine::pause();
  }
  GUEST_CHECK(!take_flag(0) && !take_flag(1) && !take_flag(2));
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kMonitorPort) == 1);
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kEventPort) == 1);
  child_maker::destroy(child);
  end(0);
}

void take_the_privilege(PartitionId id) {
  const hv::GetPartitionPropertyInput get{id, hv::PartitionProperty::kPrivilegeFlags, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionProperty), get).status() ==
              Status::kSuccess);
  const auto before = output<hv::GetPartitionPropertyOutput>().value;
  const auto privilege = static_cast<std::uint64_t>(hv::Privilege::kSignalEvents);
  GUEST_CHECK((before & privilege) != 0);
  const hv::SetPartitionPropertyInput set{id, hv::PartitionProperty::kPrivilegeFlags, 0,
                                          before & ~privilege};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), set).status() ==
              Status::kSuccess);
}

/// Who may not signal by a call may not by a page.
void root_of_the_unprivileged() {
  begin_and_listen();
  const Child child = child_maker::make("child", 1, take_the_privilege);
  make_paths(hv::kPartitionIdSelf, child.id, kOwnersPlace, kEmptyPlace);
  set_trigger(kOwnersPlace, 0, 1, kLatency);
  set_trigger(kOwnersPlace, 64, 1, kLatency);
  enable(kOwnersPlace, hv::kMonitorAllGroups);
  child_maker::start(child, 0);
  GUEST_CHECK(!comes_soon(1));
  GUEST_CHECK(post_count(hv::kPartitionIdSelf, kMonitorPort) == 0);
  child_maker::destroy(child);
  end(0);
}

// --- A child that signals itself, and the root that signals a child ------------------------------

void acknowledge(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

void child_that_listens() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0 + kSint, kVector);
  machine::store_u32(kStep, 1);
  child_awaits(2);
  if (machine::load_u32(kDelay) != 0) {
    pull(kSendersPlace, 9);
  }
  while (!take_flag(1)) {
    machine::sti_hlt();
  }
  machine::store_u32(kStep, 3);
  child_halts();
}

void root_of_the_self_signalling() {
  begin();
  const Child child = child_maker::make("child");
  machine::store_u32(child.memory + kDelay.value(), 1);
  make_paths(child.id, child.id, kEmptyPlace, kSendersPlace);
  child_maker::start(child, 0);
  await(child, 1);
  go_on(child, 2);
  await(child, 3);
  child_maker::destroy(child);
  end(0);
}

void child_that_signals_itself() {
  set_trigger(kEmptyPlace, 9, 1, kLongLatency);
  enable(kEmptyPlace, 1);
  GUEST_CHECK(machine::load_u32(kSendersPlace) == 1);  // the same page
  child_that_listens();
}

void root_that_signals() {
  begin();
  const Child child = child_maker::make("child");
  make_paths(child.id, hv::kPartitionIdSelf, kEmptyPlace, kOwnersPlace);
  child_maker::start(child, 0);
  await(child, 1);
  go_on(child, 2);
  set_trigger(kOwnersPlace, 9, 1, kLatency);
  enable(kOwnersPlace, 1);
  pull(kOwnersPlace, 9);
  await(child, 3);
  GUEST_CHECK(post_count(child.id, kMonitorPort) == 1);
  // The page was the child's: it goes with it.
  child_maker::destroy(child);
  machine::store_u32(kOwnersPlace, kBeneath);
  GUEST_CHECK(machine::load_u32(kOwnersPlace) == kBeneath);
  GUEST_CHECK(disconnect(hv::kPartitionIdSelf) == Status::kSuccess);
  end(0);
}

void expect_pass(const sim::WorldConfiguration& configuration) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(configuration, seed);
    INFO("seed " << seed << ": " << describe(result));
    CHECK(result.passed());
  }
}
void expect_pass(void (*root)(), void (*child)()) { expect_pass(world_with_child(root, child)); }

}  // namespace

TEST_CASE("a bit in a monitor page is a signal, within the latency that the page asks for",
          "[hv][monitor]") {
  sim::WorldConfiguration configuration =
      world_with_child(root_of_the_measuring, child_that_measures);
  configuration.stall_interval_ns = 0;  // a processor that stalls looks at nothing
  expect_pass(configuration);
}

TEST_CASE("what was set before a processor halts is a signal once its group is enabled",
          "[hv][monitor]") {
  expect_pass(root_of_the_halting, child_that_halts);
}

TEST_CASE("a monitor that ends with a signal under way passes it on", "[hv][monitor]") {
  expect_pass(root_of_the_ends, child_of_the_ends);
}

TEST_CASE("a monitor page outlives a reset, and other memory beneath it", "[hv][monitor]") {
  expect_pass(root_of_the_resetting, child_that_resets);
}

TEST_CASE("what a monitor page says wrongly is lost, and nothing else", "[hv][monitor]") {
  expect_pass(root_of_the_lying, child_that_lies);
}

TEST_CASE("a partition that may not signal events signals none by a page", "[hv][monitor]") {
  expect_pass(root_of_the_unprivileged, child_that_halts);
}

TEST_CASE("a processor that halts is woken by its own signal", "[hv][monitor]") {
  expect_pass(root_of_the_self_signalling, child_that_signals_itself);
}

TEST_CASE("a root signals a child by a page of the child's", "[hv][monitor]") {
  expect_pass(root_that_signals, child_that_listens);
}
