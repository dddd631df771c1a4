// Takes one path through the hypervisor again and again, from VM exit to VM entry, and turns
// callgrind's counting on for nothing else; exit_paths.sh runs it and prints the instructions.
#include <valgrind/callgrind.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string_view>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

constexpr std::uint32_t kWarmUp = 20;
constexpr std::uint32_t kRounds = 200;
constexpr std::uint32_t kSint = 2;
constexpr std::uint8_t kVector = 0x40;

/// `operate` counts; `prepare` does not.
template <class Prepare, class Operate>
void repeat(Prepare prepare, Operate operate) {
  for (std::uint32_t round = 0; round < kWarmUp + kRounds; ++round) {
    prepare(round);
    if (round < kWarmUp) {
      operate();
    } else {
      CALLGRIND_TOGGLE_COLLECT;
      operate();
      CALLGRIND_TOGGLE_COLLECT;
    }
  }
}

void execute_cpuid() {
  begin();
  repeat([](std::uint32_t) {}, [] { static_cast<void>(machine::cpuid(1, 0)); });
  end(0);
}

/// An interrupt to nobody: all of a call's way, and nothing at its end.
void make_null_call() {
  begin();
  const std::uint64_t control = HypercallControl(CallCode::kSendSyntheticClusterIpi).fast().value();
  repeat([](std::uint32_t) {},
         [control] { static_cast<void>(machine::hypercall(kHypercallPage, control, kVector, 0)); });
  end(0);
}

// --- To a child ----------------------------------------------------------------------------------

/// Takes what comes on its SINT, and counts it where the root can see it.
void receive() {
  const Gpa slot = kMessagePage + kSint * hv::kMessageSlotBytes;
  const Gpa flags = kEventFlagsPage + kSint * hv::kEventFlagsAreaBytes;
  machine::store_u32(slot, 0);
  machine::store_u64(flags, 0);
  machine::store_u64(child_maker::kSharedWord, machine::load_u64(child_maker::kSharedWord) + 1);
}

void child_that_receives() {
  begin();
  machine::set_interrupt_handler(kVector, [](const machine::InterruptFrame&) {
    receive();
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0 + kSint, kVector);
  receive();
  for (;;) {
    machine::sti_hlt();
  }
}

std::uint64_t received(const Child& child) {
  return machine::load_u64(child.memory + child_maker::kSharedWord.value());
}

void wait_for(const Child& child, std::uint64_t count) {
  while (received(child) < count) {
    machine::spend(10'000);
    machine::pause();
  }
}

Child make_receiver(const hv::PortInfo& info) {
  const Child child = child_maker::make("child");
  hv::CreatePortInput port;
  port.port_partition = child.id;
  port.port = hv::PortId{1};
  port.connection_partition = hv::kPartitionIdSelf;
  port.info = info;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
  hv::ConnectPortInput connection;
  connection.connection_partition = hv::kPartitionIdSelf;
  connection.connection = hv::ConnectionId{1};
  connection.port_partition = child.id;
  connection.port = hv::PortId{1};
  connection.info.type = info.type;
  GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
              Status::kSuccess);
  child_maker::start(child, 0);
  wait_for(child, 1);
  return child;
}

void signal_events() {
  begin();
  const Child child = make_receiver(hv::PortInfo::event(kSint, hv::VpIndex{0}, 0, 1));
  const std::uint64_t control = HypercallControl(CallCode::kSignalEvent).fast().value();
  repeat([&child](std::uint32_t round) { wait_for(child, round + 1); },
         [control] { GUEST_CHECK(machine::hypercall(kHypercallPage, control, 1, 0) == 0); });
  end(0);
}

void post_messages() {
  begin();
  const Child child = make_receiver(hv::PortInfo::message(kSint, hv::VpIndex{0}));
  hv::PostMessageInput message;
  message.connection = hv::ConnectionId{1};
  message.type = hv::MessageType{1};
  message.payload_size = 240;
  machine::write_memory(kInputPage, std::as_bytes(std::span(&message, 1)));
  const std::uint64_t control = HypercallControl(CallCode::kPostMessage).value();
  repeat([&child](std::uint32_t round) { wait_for(child, round + 1); },
         [control] {
           GUEST_CHECK(machine::hypercall(kHypercallPage, control, kInputPage.value(), 0) == 0);
         });
  end(0);
}

// --- Memory --------------------------------------------------------------------------------------

constexpr std::uint32_t kPagesAtOnce = 509;  // as many as one call's page holds
constexpr Gpn kTarget{0x1'0000};

void map_pages() {
  begin();
  const Child child = child_maker::make("child");
  std::array<Gpn, kPagesAtOnce> pages;
  for (std::uint32_t page = 0; page < kPagesAtOnce; ++page) {
    pages[page] = child.memory.page() + page;
  }
  const hv::MapGpaPagesInput header{child.id, kTarget, hv::kMapRead | hv::kMapWrite, 0};
  const std::uint64_t control =
      HypercallControl(CallCode::kMapGpaPages).with_reps(kPagesAtOnce).value();
  const auto unmap_and_prepare = [&](std::uint32_t) {
    const hv::UnmapGpaPagesInput gone{child.id, kTarget, 0, 0};
    machine::write_memory(kInputPage, std::as_bytes(std::span(&gone, 1)));
    GUEST_CHECK(call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(kPagesAtOnce)).status() ==
                Status::kSuccess);
    machine::write_memory(kInputPage, std::as_bytes(std::span(&header, 1)));
    machine::write_memory(kInputPage + sizeof(header), std::as_bytes(std::span(pages)));
  };
  repeat(unmap_and_prepare, [control] {
    GUEST_CHECK((machine::hypercall(kHypercallPage, control, kInputPage.value(), 0) & 0xFFFF) == 0);
  });
  end(0);
}

struct Path {
  std::string_view name;
  void (*root)();
  /// What one round does of what the limit is for.
  std::uint32_t operations_a_round;
};

constexpr Path kPaths[] = {
    {"cpuid", execute_cpuid, 1},           {"null-hypercall", make_null_call, 1},
    {"signal-event", signal_events, 1},    {"post-message", post_messages, 1},
    {"map-page", map_pages, kPagesAtOnce},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Path& path : kPaths) {
    if (argc == 2 && path.name == argv[1]) {
      const sim::RunResult result = run(world_with_child(path.root, child_that_receives));
      if (!result.passed()) {
        std::fprintf(stderr, "error: %s: %s\n", argv[1], describe(result).c_str());
        return 1;
      }
      std::printf("%u\n", kRounds * path.operations_a_round);
      return 0;
    }
  }
  std::fputs("usage: exit_paths PATH\n", stderr);
  return 2;
}
