// Lies for a while: one processor calls, posts and writes registers, the others change words in
// what the first one shares with the hypervisor and the root.
#include <array>

#include "machine/machine.h"
#include "machine/shared.h"
#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/lies/liar.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/interrupts.h"
#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr std::size_t kRingPages = 8;
constexpr std::size_t kCallPages = 2;
constexpr std::uint64_t kBetweenLiesNs = 300;
constexpr machine::Gpa kCallPageUnknown{};

class RandomLies final : public LieSource {
 public:
  explicit RandomLies(std::uint64_t seed) : random_(seed) {}
  [[nodiscard]] std::uint64_t next() override { return random_.next(); }

 private:
  kernel::Random random_;
};

/// It hears nothing: what is sent to it stays where it is.
class DeafDriver final : public ChannelDriver {
 public:
  void signalled() override {}
  void rescinded() override {}
};

/// What the processors of a lying child share.
struct Conspiracy {
  std::array<machine::Gpn, kCallPages + kRingPages> pages{};
  std::uint64_t seed = 0;
  machine::Shared<std::uint32_t> over{0};
};

/// On another processor, until it is over.
void scribble_meanwhile(ProcessorState& here, std::uint64_t conspiracy) {
  // An address of the same kernel, carried as an errand's argument.
  auto& shared = *reinterpret_cast<Conspiracy*>(static_cast<std::uintptr_t>(conspiracy));
  RandomLies lies(shared.seed + static_cast<std::uint32_t>(here.processor().index()));
  Liar liar(lies, kCallPageUnknown, shared.pages);
  while (shared.over.load() == 0) {
    liar.scribble();
    machine::spend(kBetweenLiesNs);
    machine::pause();
  }
}

class LyingChild {
 public:
  explicit LyingChild(Program& program)
      : program_(program), bus_(program, bus_options(program.settings())) {}

  kernel::Task<bool> run() {
    Liar::expect_any_interrupt();
    kernel::install_interrupt_handlers();
    install_processor_interrupts();
    const auto pages = program_.pages().allocate(shared_.pages.size());
    if (!pages) {
      co_return false;
    }
    for (std::size_t index = 0; index < shared_.pages.size(); ++index) {
      shared_.pages[index] = *pages + index;
    }
    machine::fill_memory(machine::Gpa(*pages), shared_.pages.size() * machine::kPageSize, 0);
    // Behind a channel that was opened as it should be there is more to lie to.
    const bool connected = co_await bus_.connect();
    if (connected && !bus_.devices().empty()) {
      static_cast<void>(co_await bus_.open(bus_.devices()[0], driver_,
                                           std::span(shared_.pages).subspan(kCallPages)));
    }
    tell_lies();
    co_return true;
  }

 private:
  void tell_lies() {
    shared_.seed = program_.settings().seed * 0x1'0000;
    for (std::uint32_t index = 1; index < program_.processor_count(); ++index) {
      program_.heap()
          .create<Errand>(program_.state(index), &scribble_meanwhile,
                          static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&shared_)))
          ->go();
    }
    RandomLies lies(shared_.seed);
    Liar liar(lies, program_.hypercall_page(), shared_.pages);
    for (std::uint32_t count = 0; count < program_.settings().lies; ++count) {
      liar.lie();
      machine::spend(kBetweenLiesNs);
    }
    shared_.over.store(1);
  }

  Program& program_;
  BusDriver bus_;
  DeafDriver driver_;
  Conspiracy shared_;
};

}  // namespace

kernel::Task<bool> lie(Program& program) {
  auto* liar = program.heap().create<LyingChild>(program);
  const bool good = co_await liar->run();
  co_return good;
}

}  // namespace child
