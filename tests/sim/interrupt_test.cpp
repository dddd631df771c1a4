// Interrupts: when they reach a guest and the hypervisor, and that no wake-up is lost.
#include <catch2/catch.hpp>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Gpa;
using vmx::ExitReason;

constexpr std::uint8_t kVector = 0x50;
constexpr std::uint64_t kCountAt = 0x0070'0000;
constexpr std::uint64_t kSecondAt = 0x0070'0008;

void end(std::uint64_t code) {
  static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), 1, code, 0));
}

void count_interrupt(const machine::InterruptFrame& frame) {
  const machine::Gpa count(kCountAt);
  const bool disabled = !machine::interrupts_enabled();
  const std::uint64_t before = machine::load_u64(count);
  machine::store_u64(count, before + (disabled && frame.vector == kVector ? 1 : 1'000'000));
}

/// Preempts the guest all the time and injects an interrupt at each HLT, and at preemptions when
/// the guest can take it.
void harass(tiny::Guest& guest) {
  const bool open = (machine::vmread(machine::VmcsNatural::kGuestRflags) & x86::kRflagsIf) != 0;
  switch (guest.reason) {
    case ExitReason::kVmcall:
      machine::stop(static_cast<std::uint32_t>(guest.registers.rdx));
    case ExitReason::kHlt:
      tiny::advance();
      tiny::inject_interrupt(kVector);
      break;
    case ExitReason::kPreemptionTimer:
      if (open) {
        tiny::inject_interrupt(kVector);
      }
      break;
    default:
      INVARIANT(guest.reason == ExitReason::kVmcall);
  }
  tiny::set_preemption_ticks(20);
}

void boot_harassed(const machine::BootInformation& information, std::uint32_t lp) {
  tiny::run(information, lp, [] { tiny::set_preemption_ticks(1); }, harass);
}

constexpr std::uint64_t kEnd = 1;
constexpr std::uint64_t kInterruptMe = 2;

/// Injects an interrupt as soon as the guest takes one, once for each time that it asks.
void interrupt_on_request(tiny::Guest& guest) {
  const std::uint32_t controls = machine::vmread(machine::Vmcs32::kProcessorBasedControls);
  if (guest.reason == ExitReason::kInterruptWindow) {
    machine::vmwrite(machine::Vmcs32::kProcessorBasedControls,
                     controls & ~vmx::kInterruptWindowExiting);
    tiny::inject_interrupt(kVector);
    return;
  }
  INVARIANT(guest.reason == ExitReason::kVmcall);
  if (guest.registers.rcx == kEnd) {
    machine::stop(static_cast<std::uint32_t>(guest.registers.rdx));
  }
  machine::vmwrite(machine::Vmcs32::kProcessorBasedControls,
                   controls | vmx::kInterruptWindowExiting);
  tiny::advance();
}

void boot_interrupting(const machine::BootInformation& information, std::uint32_t lp) {
  tiny::run(information, lp, [] {}, interrupt_on_request);
}

}  // namespace

TEST_CASE("an interrupt that waits is taken between STI and the operation that follows",
          "[sim][interrupt]") {
  // STI holds it back for one instruction (SDM vol. 3 6.8.1), and that is the return from the
  // seam's own function: software above cannot do anything, not even CLI, before it comes.
  const auto kernel = [] {
    machine::set_interrupt_handler(kVector, count_interrupt);
    for (std::uint64_t turn = 1; turn <= 20; ++turn) {
      static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), kInterruptMe, 0, 0));
      machine::store_u64(Gpa(kSecondAt), turn);
      const std::uint64_t disabled = machine::load_u64(Gpa(kCountAt));
      machine::enable_interrupts();
      static_cast<void>(machine::disable_interrupts());
      const std::uint64_t after = machine::load_u64(Gpa(kCountAt));
      if (disabled != turn - 1 || after != turn) {
        end(static_cast<std::uint32_t>(turn));
      }
    }
    end(0);
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CHECK(tiny::run_world(tiny::world(boot_interrupting, kernel), seed).passed());
  }
}

TEST_CASE("an interrupt reaches a guest only while RFLAGS.IF is set", "[sim][interrupt]") {
  const auto kernel = [] {
    machine::set_interrupt_handler(kVector, count_interrupt);
    for (std::uint32_t turn = 0; turn < 200; ++turn) {
      machine::store_u64(Gpa(kSecondAt), turn);
    }
    const std::uint64_t disabled = machine::load_u64(Gpa(kCountAt));
    machine::enable_interrupts();
    for (std::uint32_t turn = 0; turn < 200; ++turn) {
      machine::store_u64(Gpa(kSecondAt), turn);
    }
    static_cast<void>(machine::disable_interrupts());
    const std::uint64_t enabled = machine::load_u64(Gpa(kCountAt));
    end(disabled == 0 && enabled > 2 && enabled < 1000 ? 0 : 1);
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CHECK(tiny::run_world(tiny::world(boot_harassed, kernel), seed).passed());
  }
}

TEST_CASE("STI and HLT sleep until an interrupt has been handled", "[sim][interrupt]") {
  const auto kernel = [] {
    machine::set_interrupt_handler(kVector, count_interrupt);
    for (std::uint64_t turn = 1; turn <= 10; ++turn) {
      machine::store_u64(Gpa(kCountAt), 0);
      machine::sti_hlt();
      if (machine::load_u64(Gpa(kCountAt)) == 0 || machine::interrupts_enabled()) {
        end(1);
      }
    }
    end(0);
  };
  CHECK(tiny::run_world(tiny::world(boot_harassed, kernel)).passed());
}

TEST_CASE("a handler may run at any operation and leaves its results alone", "[sim][interrupt]") {
  const auto kernel = [] {
    machine::set_interrupt_handler(kVector, count_interrupt);
    machine::enable_interrupts();
    bool fine = true;
    for (std::uint64_t turn = 0; turn < 500; ++turn) {
      machine::store_u64(Gpa(kSecondAt), turn);
      fine = fine && machine::load_u64(Gpa(kSecondAt)) == turn;
      fine = fine && machine::compare_exchange_u64(Gpa(kSecondAt), turn, turn + 1) == turn;
    }
    end(fine ? 0 : 1);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(boot_harassed, kernel));
  CHECK(result.passed());
  CHECK(result.interrupts_delivered > 10);
}

TEST_CASE("a vector without a handler is fatal to the guest", "[sim][interrupt]") {
  const auto handle = [](tiny::Guest& guest) {
    machine::stop(guest.reason == ExitReason::kTripleFault ? 0 : 1);
  };
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(
        information, lp, [] { tiny::inject_exception(x86::kVectorGeneralProtection); },
        decltype(handle)());
  };
  const auto kernel = [] { machine::fence(); };
  CHECK(tiny::run_world(tiny::world(hypervisor, kernel)).passed());
}

namespace {

/// A processor that waits for a word, by the book: checks with interrupts disabled, then sleeps.
struct Mailbox {
  machine::Shared<std::uint64_t> word{0};
  machine::Shared<std::uint64_t> done{0};
};

Mailbox& mailbox() { return *reinterpret_cast<Mailbox*>(machine::arena().data()); }

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

void enable_apic() {
  machine::write_msr(x86::kMsrApicBase,
                     machine::read_msr(x86::kMsrApicBase) | x86::kApicBaseX2ApicEnable);
  machine::set_interrupt_handler(kVector, acknowledge);
}

constexpr std::uint64_t kRounds = 50;

void wait_for_words(bool careful) {
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    for (;;) {
      static_cast<void>(machine::disable_interrupts());
      if (mailbox().word.load() >= round) {
        break;
      }
      if (!careful) {
        // The race that sti_hlt() closes: the interrupt comes between the check and the sleep.
        machine::enable_interrupts();
        machine::fence();
        static_cast<void>(machine::disable_interrupts());
      }
      machine::sti_hlt();
    }
    mailbox().done.store(round);
  }
}

void post_words() {
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    mailbox().word.store(round);
    machine::write_msr(x86::kX2ApicIcr, (std::uint64_t{1} << 32) | kVector);
    while (mailbox().done.load() != round) {
      machine::pause();
    }
  }
  machine::stop(0);
}

template <bool kCareful>
void boot_pair(const machine::BootInformation&, std::uint32_t lp) {
  enable_apic();
  if (lp == 0) {
    post_words();
  }
  wait_for_words(kCareful);
  for (;;) {
    machine::sti_hlt();
  }
}

sim::WorldConfiguration pair(machine::HypervisorEntry entry) {
  sim::WorldConfiguration configuration = tiny::world(entry, [] {});
  configuration.logical_processors = 2;
  configuration.limits.virtual_ns = 50'000'000;
  return configuration;
}

}  // namespace

TEST_CASE("no wake-up is lost between a check and sti_hlt", "[sim][interrupt]") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CHECK(tiny::run_world(pair(boot_pair<true>), seed).passed());
  }
}

TEST_CASE("a wake-up that can be lost is lost for some seeds", "[sim][interrupt]") {
  std::uint32_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    sim::SeededDecider decider(seed);
    sim::World world(pair(boot_pair<false>), decider);
    lost += world.run().passed() ? 0 : 1;
  }
  CHECK(lost > 5);
}

TEST_CASE("a world where all sleep and nothing can happen is a deadlock", "[sim][interrupt]") {
  const auto hypervisor = [](const machine::BootInformation&, std::uint32_t) {
    machine::sti_hlt();
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, [] {}));
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].property == "no deadlock");
}

TEST_CASE("a TSC deadline wakes a sleeping processor at its time", "[sim][interrupt]") {
  const auto hypervisor = [](const machine::BootInformation&, std::uint32_t) {
    enable_apic();
    machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kVector);
    const std::uint64_t deadline = machine::read_tsc() + 2'500'000;
    machine::write_msr(x86::kMsrTscDeadline, deadline);
    machine::sti_hlt();
    const std::uint64_t late = machine::read_tsc() - deadline;
    machine::stop(late < 250'000 ? 0 : 1);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, [] {}));
  CHECK(result.passed());
  CHECK(result.virtual_ns > 1'000'000);
}
