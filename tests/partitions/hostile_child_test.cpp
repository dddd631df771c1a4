// Children that break the rules. The root must outlive each of them and get every page back.
#include <algorithm>
#include <catch2/catch.hpp>

#include "hv/tlfs/msr.h"
#include "machine/guest.h"
#include "partitions/child/bus/bus_driver.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/random.h"
#include "partitions/kernel/root_services.h"
#include "tests/partitions/world_fixture.h"
#include "vmbus/ring.h"
#include "vmbus/storage/requests.h"

using partitions_test::child_program;
using partitions_test::computer;
using partitions_test::lines_of;

namespace {

class HostileKernel final : public kernel::Kernel {
 public:
  explicit HostileKernel(std::span<std::byte> heap) : Kernel(heap, kernel::OverlayPages::kOwn) {}
};

[[noreturn]] void sleep_for_ever() {
  while (true) {
    machine::disable_interrupts();
    machine::sti_hlt();
  }
}

void say_done() {
  const auto verdict = kernel::Verdict::kPassed;
  const auto done = kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                                         std::as_bytes(std::span(&verdict, 1)));
  while (kernel::try_post(done) == hv::Status::kInsufficientBuffers) {
    machine::spend(10'000);
  }
}

void touch_nothing_there() {
  static_cast<void>(machine::load_u8(machine::Gpa(0x80000000)));
  sleep_for_ever();
}

constexpr machine::Gpa kCrashText{0x20'0000};

/// As a kernel that panics: it says why, and stops by doing what it may not.
void crash(std::uint64_t text_gpa, std::uint64_t text_bytes, std::uint64_t control) {
  constexpr std::string_view kText = "broken promise at line 7\x1B[2J";
  machine::write_memory(kCrashText, std::as_bytes(std::span(kText)));
  machine::write_msr(hv::kMsrCrashP0, 0xBAD);
  machine::write_msr(hv::kMsrCrashP0 + 1, 0);
  machine::write_msr(hv::kMsrCrashP0 + 2, ~0ull);
  machine::write_msr(hv::kMsrCrashP0 + 3, text_gpa);
  machine::write_msr(hv::kMsrCrashP0 + 4, text_bytes);
  machine::write_msr(hv::kMsrCrashCtl, control);
  touch_nothing_there();
}
void crash_with_text() { crash(kCrashText.value(), 28, hv::kCrashNotify | hv::kCrashMessage); }
void crash_without_text() { crash(kCrashText.value(), 28, hv::kCrashNotify); }
void crash_with_text_nowhere() { crash(~0ull - 3, ~0ull, hv::kCrashNotify | hv::kCrashMessage); }

/// Anything but the message that ends it, to every connection it has and to some it has not; half
/// of it looks like the bus's own messages.
void babble() {
  static_cast<void>(kernel::build_in_arena<HostileKernel>());
  constexpr std::array<std::uint32_t, 5> kConnections = {1, 4, 0x10, 0x11, 0x777};
  kernel::Random random(99);
  for (int turn = 0; turn < 3'000; ++turn) {
    std::array<std::uint32_t, 60> words{};
    for (std::uint32_t& word : words) {
      word = static_cast<std::uint32_t>(random.below(4) == 0 ? random.next() : random.below(8));
    }
    const bool like_the_bus = random.below(2) == 0;
    if (like_the_bus) {
      words[0] = static_cast<std::uint32_t>(1 + random.below(26));
      words[1] = 0;
      if (words[0] == 14 && random.below(2) == 0) {
        words[2] = 0x00050003;  // INITIATE_CONTACT of a version that there is
        words[3] = 0;
      }
    }
    const std::uint32_t connection =
        like_the_bus ? (random.below(2) == 0 ? 1 : 4) : kConnections[random.below(5)];
    const auto type = static_cast<hv::MessageType>(like_the_bus ? 1 : 1 + random.below(3));
    const auto bytes = std::as_bytes(std::span(words)).first(random.below(241));
    static_cast<void>(
        kernel::try_post(kernel::make_message(hv::ConnectionId(connection), type, bytes)));
    static_cast<void>(
        kernel::signal_event(hv::ConnectionId(static_cast<std::uint32_t>(0x2000 + random.below(6))),
                             static_cast<std::uint16_t>(random.below(3))));
    machine::spend(2'000);
  }
  say_done();
  sleep_for_ever();
}

/// A driver that opens its channel as it should and then sends nonsense.
class Scribbler final : public child::ChannelDriver {
 public:
  explicit Scribbler(kernel::Kernel& kernel) : kernel_(kernel), bus_(kernel, {.number = 1}) {}

  void signalled() override {}
  void rescinded() override {}

  kernel::Task<> run() {
    const bool connected = co_await bus_.connect();
    const auto pages = kernel_.pages().allocate(2 * kRingPages);
    for (std::size_t index = 0; index < ring_.size(); ++index) {
      ring_[index] = *pages + index;
    }
    machine::fill_memory(machine::Gpa(*pages), ring_.size() * machine::kPageSize, 0);
    const bool opened = connected && co_await bus_.open(bus_.devices()[1], *this, ring_);
    for (int turn = 0; opened && turn < 400; ++turn) {
      send_nonsense(turn);
      static_cast<void>(kernel::signal_event(bus_.devices()[1].signal, 0));
      co_await kernel::sleep_for(1'000);
    }
    for (int turn = 0; opened && turn < 100; ++turn) {
      scribble();
      static_cast<void>(kernel::signal_event(bus_.devices()[1].signal, 0));
      co_await kernel::sleep_for(1'000);
    }
    say_done();
  }

 private:
  static constexpr std::size_t kRingPages = 4;

  /// A packet that the ring's rules allow; its content is anything. The first ones are the
  /// handshake, so that the others are looked at.
  void send_nonsense(int turn) {
    constexpr std::array<vmbus::storage::Operation, 4> kHandshake = {
        vmbus::storage::Operation::kBeginInitialization,
        vmbus::storage::Operation::kQueryProtocolVersion,
        vmbus::storage::Operation::kQueryProperties, vmbus::storage::Operation::kEndInitialization};
    const std::span<const machine::Gpn> ring(ring_);
    vmbus::RingWriter outgoing{vmbus::GpaPagesMemory(ring.first(kRingPages))};
    vmbus::RingReader incoming{vmbus::GpaPagesMemory(ring.subspan(kRingPages))};
    vmbus::PacketView view;
    while (incoming.peek(view) == vmbus::RingStatus::kDone) {
      incoming.consume();
    }
    static_cast<void>(incoming.publish());

    std::array<std::uint64_t, 24> words{};
    for (std::uint64_t& word : words) {
      word = random_.below(3) == 0 ? random_.next() : random_.below(5'000);
    }
    words[0] = std::uint64_t{1} << 32;                         // one range
    words[1] = random_.below(2) == 0 ? 4096 : random_.next();  // of a page, or of anything
    vmbus::storage::Srb srb;
    srb.cdb_length = 10;
    srb.transfer_length = random_.below(2) == 0 ? 4096 : static_cast<std::uint32_t>(random_.next());
    srb.direction = static_cast<vmbus::storage::DataDirection>(random_.below(3));
    for (std::uint8_t& byte : srb.cdb_or_sense) {
      byte = static_cast<std::uint8_t>(random_.below(3) == 0 ? random_.next() : 0);
    }
    srb.cdb_or_sense[0] = random_.below(2) == 0 ? 0x28 : 0x2A;
    srb.cdb_or_sense[8] = 8;
    vmbus::storage::StoragePacket packet;
    packet.operation = turn < 4 ? kHandshake[static_cast<std::size_t>(turn)]
                                : vmbus::storage::Operation::kExecuteSrb;
    if (turn == 1) {
      packet.body[0] = std::byte{0x02};
      packet.body[1] = std::byte{0x06};
    }
    if (turn >= 4) {
      vmbus::storage::put_srb(packet, srb);
    }
    vmbus::OutgoingPacket out;
    out.completion_requested = turn < 4 || random_.below(8) != 0;
    out.transaction_id = random_.next();
    out.payload = vmbus::bytes_of(packet);
    if (turn >= 4 && random_.below(8) != 0) {
      out.type = vmbus::PacketType::kDataUsingGpaDirect;
      out.header = std::as_bytes(std::span(words)).first(8 * (1 + random_.below(24)));
    }
    static_cast<void>(outgoing.write(out));
    static_cast<void>(outgoing.publish());
  }

  /// Any word of the rings, the indices above all.
  void scribble() {
    const std::uint64_t page = random_.below(2 * kRingPages);
    const std::uint64_t offset = random_.below(random_.below(2) == 0 ? 5 : 1024) * 4;
    machine::store_u32(machine::Gpa(ring_[page]) + offset,
                       static_cast<std::uint32_t>(random_.next()));
  }

  kernel::Kernel& kernel_;
  child::BusDriver bus_;
  std::array<machine::Gpn, 2 * kRingPages> ring_{};
  kernel::Random random_{7};
};

void scribble() {
  auto& kernel = kernel::build_in_arena<HostileKernel>();
  kernel.heap().create<Scribbler>(kernel)->run().spawn();
  kernel.processor(0).executor().run();
}

void stay_busy() {
  while (true) {
    machine::spend(1'000);
    machine::pause();
  }
}

sim::RunResult run_with(void (*boot)(), const std::string& parameters,
                        std::uint64_t virtual_ns = 10'000'000'000) {
  auto configuration = computer(parameters, child_program(boot));
  configuration.disks.push_back({"data", "1", 65'536, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 4 << 20, nullptr, 64});
  configuration.limits.virtual_ns = virtual_ns;
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  return world.run();
}

/// What the child that works said and did, whenever that was.
std::vector<std::string> victim_beside_liars(std::uint32_t liars, std::uint64_t seed) {
  auto configuration = computer(
      "children=1\nworkload=storage\nrequests=40\nin_flight=1\n"
      "scratch_mib=1\nlies=200\nlying_children=" +
      std::to_string(liars) + "\n");
  configuration.disks.push_back({"data", "1", 65'536, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 4 << 20, nullptr, 64});
  configuration.logical_processors = 3;
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  const sim::RunResult result = world.run();
  CHECK(result.passed());
  CHECK(result.traces.at("hv.hypercall") > 200 * liars);
  std::vector<std::string> said = lines_of(result);
  std::erase_if(said, [](const std::string& line) { return !line.starts_with("[child 1]"); });
  return said;
}

bool has_line(const sim::RunResult& result, const std::string& line) {
  return std::ranges::count(lines_of(result), line) == 1;
}

}  // namespace

TEST_CASE("a child that touches what is not there is stopped and its pages come back",
          "[partitions][hostile]") {
  const sim::RunResult result = run_with(touch_nothing_there, "children=1\n");
  CHECK(has_line(result, "[root] child 1 is stopped: it touched an address without memory"));
  CHECK(has_line(result, "[root] child 1 is gone"));
  CHECK(has_line(result, "[root] all pages returned"));
}

TEST_CASE("why a child crashed stands in the root's log", "[partitions][hostile]") {
  const sim::RunResult told = run_with(crash_with_text, "children=1\n");
  CHECK(has_line(told, "[root] child 1 is stopped: it touched an address without memory"));
  CHECK(has_line(told,
                 "[root] child 1 (partition 2) crashed on processor 0: P0=0xbad P1=0x0 "
                 "P2=0xffffffffffffffff P3=0x200000 P4=0x1c"));
  CHECK(has_line(told, "[child 1] broken promise at line 7?[2J"));
  CHECK(has_line(told, "[root] all pages returned"));

  const sim::RunResult bare = run_with(crash_without_text, "children=1\n");
  CHECK(has_line(bare,
                 "[root] child 1 (partition 2) crashed on processor 0: P0=0xbad P1=0x0 "
                 "P2=0xffffffffffffffff P3=0x200000 P4=0x1c"));
  CHECK_FALSE(has_line(bare, "[child 1] broken promise at line 7?[2J"));

  const sim::RunResult nowhere = run_with(crash_with_text_nowhere, "children=1\n");
  CHECK(has_line(nowhere,
                 "[root] child 1 (partition 2) crashed on processor 0: P0=0xbad P1=0x0 "
                 "P2=0xffffffffffffffff P3=0xfffffffffffffffc P4=0xffffffffffffffff"));
  CHECK(has_line(nowhere, "[root] all pages returned"));

  // A child that wrote none of the registers has told nothing.
  const sim::RunResult silent = run_with(touch_nothing_there, "children=1\n");
  for (const std::string& line : lines_of(silent)) {
    CHECK(line.find("crashed") == std::string::npos);
  }
}

TEST_CASE("nothing that a child posts harms the root", "[partitions][hostile]") {
  const sim::RunResult result =
      run_with(babble, "children=2\nworkload=storage\nscratch_mib=1\n", 60'000'000'000);
  CHECK(result.passed());
  CHECK(has_line(result, "[root] child 1 is gone"));
  CHECK(has_line(result, "[root] child 2 is gone"));
  CHECK(has_line(result, "[root] all pages returned"));
}

TEST_CASE("nothing that a child puts into its ring harms the root", "[partitions][hostile]") {
  const sim::RunResult result =
      run_with(scribble, "children=2\nworkload=storage\nscratch_mib=1\n", 60'000'000'000);
  CHECK(result.passed());
  // The disk was reached: among the nonsense are requests that can be carried out.
  CHECK(result.traces.at("storage.request") > 100);
  CHECK(has_line(result, "[root] child 1 is gone"));
  CHECK(has_line(result, "[root] child 2 is gone"));
  CHECK(has_line(result, "[root] all pages returned"));
}

TEST_CASE("a child beside children that lie says what it says alone", "[partitions][hostile]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const std::vector<std::string> alone = victim_beside_liars(0, seed);
    CHECK(alone.size() >= 4);
    CHECK(victim_beside_liars(2, seed) == alone);
  }
}

TEST_CASE("a child that never rests does not keep the root from its work",
          "[partitions][hostile]") {
  const sim::RunResult result = run_with(stay_busy, "children=3\n", 200'000'000);
  CHECK(result.outcome == sim::Outcome::kTimeLimit);
  CHECK(has_line(result, "[root] 3 children of 1 processor, 16 MiB: hello"));
  CHECK(result.violations.empty());
}
