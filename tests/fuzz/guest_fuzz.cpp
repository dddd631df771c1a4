// A whole guest whose lies are the fuzzer's bytes, beside a root that serves it: its bus, its
// services, its disk. The root must outlive it and get every page back.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "machine/machine.h"
#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/lies/liar.h"
#include "partitions/kernel/interrupts.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/root_services.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/partitions/world_fixture.h"

namespace {

constexpr std::size_t kPages = 10;
constexpr std::size_t kCallPages = 2;

class BytesAsLies final : public child::LieSource {
 public:
  explicit BytesAsLies(fuzz::FuzzInput& input) : input_(input) {}
  [[nodiscard]] std::uint64_t next() override {
    const auto first = input_.take<std::uint8_t>();
    return first < 0xF0 ? first : input_.take<std::uint64_t>();
  }

 private:
  fuzz::FuzzInput& input_;
};

/// The computer runs in this process: its guest finds its input here.
fuzz::FuzzInput* current_input = nullptr;

class LyingKernel final : public kernel::Kernel, private child::ChannelDriver {
 public:
  explicit LyingKernel(std::span<std::byte> heap)
      : Kernel(heap, kernel::OverlayPages::kOwn), bus_(*this, {.number = 1}) {}

  kernel::Task<> run() {
    child::Liar::expect_any_interrupt();
    kernel::install_interrupt_handlers();
    take_pages();
    const bool connected = co_await bus_.connect();
    if (connected && !bus_.devices().empty()) {
      static_cast<void>(
          co_await bus_.open(bus_.devices()[0], *this, std::span(pages_).subspan(kCallPages)));
    }
    tell_lies();
    say_done();
  }

 private:
  void take_pages() {
    const auto first = pages().allocate(kPages);
    for (std::size_t index = 0; index < kPages; ++index) {
      pages_[index] = *first + index;
    }
    machine::fill_memory(machine::Gpa(*first), kPages * machine::kPageSize, 0);
  }
  /// Outside of the task, whose frame it would fill.
  void tell_lies() {
    BytesAsLies lies(*current_input);
    child::Liar liar(lies, hypercall_page(), pages_);
    while (!current_input->empty()) {
      liar.lie();
      machine::spend(1'000);
    }
  }

  void signalled() override {}
  void rescinded() override {}

  static void say_done() {
    const auto verdict = kernel::Verdict::kPassed;
    const auto done = kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                                           std::as_bytes(std::span(&verdict, 1)));
    while (kernel::try_post(done) == hv::Status::kInsufficientBuffers) {
      machine::spend(10'000);
    }
  }

  child::BusDriver bus_;
  std::array<machine::Gpn, kPages> pages_{};
};

void boot_liar() {
  auto& kernel = kernel::build_in_arena<LyingKernel>();
  kernel.run().spawn();
  kernel.processor(0).executor().run();
}

sim::WorldConfiguration world() {
  sim::WorldConfiguration world = partitions_test::computer(
      "children=1\nworkload=plug\ndata_disk=0\n", partitions_test::child_program(boot_liar));
  world.disks.push_back({.model = "d", .serial = "s", .size_bytes = 1 << 20, .content = nullptr});
  world.limits.virtual_ns = 2'000'000'000;
  return world;
}

/// Whether the run ended as it may: the root powers off, with every page back, or the liar is still
/// there because nobody ends it.
bool is_good_end(const sim::RunResult& result) {
  if (result.outcome == sim::Outcome::kTimeLimit) {
    return result.violations.empty();
  }
  const bool only_its_verdict =
      result.violations.empty() ||
      (result.violations.size() == 1 && result.violations[0].property == "root.every_child_passed");
  return only_its_verdict && result.stop_code == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  current_input = &input;
  sim::SeededDecider decider(1);
  sim::World computer(world(), decider);
  const sim::RunResult result = computer.run();
  current_input = nullptr;
  if (!is_good_end(result)) {
    std::fprintf(
        stderr, "%s %s\n", std::string(sim::name_of(result.outcome)).c_str(),
        result.violations.empty() ? result.error.c_str() : result.violations[0].message.c_str());
    std::abort();
  }
  return 0;
}
