// The smallest worlds: a tiny hypervisor and one guest, and what each end sees of the other.
#include <catch2/catch.hpp>
#include <stdexcept>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

namespace vmx = machine::vmx;
using machine::Gpa;
using vmx::ExitReason;

/// Answers CPUID with the leaf and 1, 2, 3; a hypercall with input + output, and control 1 ends.
void serve(tiny::Guest& guest) {
  machine::GuestRegisters& registers = guest.registers;
  switch (guest.reason) {
    case ExitReason::kCpuid:
      registers = {.rax = registers.rax, .rcx = 2, .rdx = 3, .rbx = 1};
      tiny::advance();
      break;
    case ExitReason::kVmcall:
      if (registers.rcx == 1) {
        machine::stop(static_cast<std::uint32_t>(registers.rdx));
      }
      registers.rax = registers.rdx + registers.r8;
      tiny::advance();
      break;
    default:
      INVARIANT(guest.reason == ExitReason::kCpuid);
  }
}

void end(std::uint64_t code) {
  static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), 1, code, 0));
}

}  // namespace

TEST_CASE("a guest's operations reach memory, the hypervisor and back", "[sim][world]") {
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, serve);
  };
  const auto kernel = [] {
    machine::store_u64(Gpa(0x0070'0000), 0x1122'3344'5566'7788);
    const std::uint32_t half = machine::load_u32(Gpa(0x0070'0004));
    const machine::CpuidResult identity = machine::cpuid(0x4000'0000, 0);
    const std::uint64_t sum = machine::hypercall(Gpa(tiny::kHypercallPage), 7, 30, 12);
    const bool fine = half == 0x1122'3344 && identity.eax == 0x4000'0000 && identity.ebx == 1 &&
                      identity.ecx == 2 && identity.edx == 3 && sum == 42;
    end(fine ? 0 : 99);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, kernel));
  CHECK(result.passed());
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kVmcall)] == 2);
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kCpuid)] == 1);
  CHECK(result.hypercalls.at(7) == 1);
  CHECK(result.virtual_ns > 0);
}

TEST_CASE("a hypercall whose RIP stays is executed again, with the registers as they are now",
          "[sim][world]") {
  const auto handle = [](tiny::Guest& guest) {
    if (guest.reason == ExitReason::kVmcall && guest.registers.rcx == 7 && guest.registers.r8 < 5) {
      ++guest.registers.r8;
      return;
    }
    serve(guest);
  };
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, decltype(handle)());
  };
  const auto kernel = [] {
    end(machine::hypercall(Gpa(tiny::kHypercallPage), 7, 30, 0) == 35 ? 0 : 1);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, kernel));
  CHECK(result.passed());
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kVmcall)] == 7);
}

TEST_CASE("a hypervisor that forgets to advance RIP runs the instruction for ever",
          "[sim][world]") {
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, [](tiny::Guest&) {});
  };
  const auto kernel = [] {
    static_cast<void>(machine::cpuid(0, 0));
    end(0);
  };
  sim::WorldConfiguration configuration = tiny::world(hypervisor, kernel);
  configuration.limits.virtual_ns = 10'000'000;
  const sim::RunResult result = tiny::run_world(configuration);
  CHECK(result.outcome == sim::Outcome::kTimeLimit);
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kCpuid)] > 1000);
}

TEST_CASE("an access that the EPT refuses happens once it is allowed", "[sim][world]") {
  const auto handle = [](tiny::Guest& guest) {
    if (guest.reason == ExitReason::kEptViolation) {
      tiny::set_small_page(tiny::kSmallPage + 0x1000, vmx::kEptRead | vmx::kEptWrite);
      return;
    }
    serve(guest);
  };
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, [] { tiny::set_small_page(0, 0); }, decltype(handle)());
  };
  const auto kernel = [] {
    machine::store_u32(Gpa(tiny::kSmallPage + 8), 77);
    end(machine::load_u32(Gpa(tiny::kSmallPage + 0x1008)) == 77 ? 0 : 1);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, kernel));
  CHECK(result.passed());
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kEptViolation)] == 1);
}

TEST_CASE("a skipped INVEPT lets a guest reach what was unmapped", "[sim][world]") {
  // Control 7 takes the small page away; 8 does so and invalidates.
  const auto handle = [](tiny::Guest& guest) {
    if (guest.reason == ExitReason::kVmcall && guest.registers.rcx >= 7) {
      tiny::set_small_page(0, 0);
      if (guest.registers.rcx == 8) {
        tiny::invalidate();
      }
      tiny::advance();
    } else if (guest.reason == ExitReason::kEptViolation) {
      machine::stop(0);
    } else {
      serve(guest);
    }
  };
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, decltype(handle)());
  };
  const auto forgetful = [] {
    static_cast<void>(machine::load_u32(Gpa(tiny::kSmallPage)));
    static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), 7, 0, 0));
    static_cast<void>(machine::load_u32(Gpa(tiny::kSmallPage)));
    end(1);
  };
  const auto careful = [] {
    static_cast<void>(machine::load_u32(Gpa(tiny::kSmallPage)));
    static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), 8, 0, 0));
    static_cast<void>(machine::load_u32(Gpa(tiny::kSmallPage)));
    end(1);
  };
  CHECK(tiny::run_world(tiny::world(hypervisor, forgetful)).stop_code == 1);
  CHECK(tiny::run_world(tiny::world(hypervisor, careful)).passed());
}

TEST_CASE("an exception for a tried MSR access is the result of the try", "[sim][world]") {
  const auto handle = [](tiny::Guest& guest) {
    if (guest.reason == ExitReason::kRdmsr || guest.reason == ExitReason::kWrmsr) {
      if (guest.registers.rcx == 0x4000'0001) {
        guest.registers.rax = 5;
        guest.registers.rdx = 6;
        tiny::advance();
      } else {
        tiny::inject_exception(machine::x86::kVectorGeneralProtection);
      }
      return;
    }
    serve(guest);
  };
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, decltype(handle)());
  };
  const auto kernel = [] {
    const auto known = machine::try_read_msr(0x4000'0001);
    const auto unknown = machine::try_read_msr(0x4000'0002);
    const auto written = machine::try_write_msr(0x4000'0002, 1);
    const machine::Exception refused{machine::x86::kVectorGeneralProtection, 0};
    const bool fine = known == 0x6'0000'0005 && !unknown && unknown.error() == refused &&
                      !written && written.error() == refused;
    end(fine ? 0 : 1);
  };
  CHECK(tiny::run_world(tiny::world(hypervisor, kernel)).passed());
}

TEST_CASE("a program stays within its link set", "[sim][world]") {
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    tiny::run(information, lp, nullptr, serve);
  };
  const auto kernel = [] { static_cast<void>(machine::load_u32(machine::Spa(0x1000))); };
  const sim::RunResult guest = tiny::run_world(tiny::world(hypervisor, kernel));
  REQUIRE(guest.violations.size() == 1);
  CHECK(guest.violations[0].property == "programs stay within their link set");

  const auto confused = [](const machine::BootInformation&, std::uint32_t) {
    static_cast<void>(machine::load_u32(Gpa(0x1000)));
  };
  const sim::RunResult root = tiny::run_world(tiny::world(confused, kernel));
  REQUIRE(root.violations.size() == 1);
  CHECK(root.violations[0].property == "programs stay within their link set");
}

TEST_CASE("a broken invariant tells the expression, the place and the last operations",
          "[sim][world]") {
  const auto hypervisor = [](const machine::BootInformation&, std::uint32_t) {
    machine::store_u32(machine::Spa(0x4000), 77);
    INVARIANT(2 + 2 == 5);
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, [] {}));
  REQUIRE(result.violations.size() == 1);
  const sim::Violation& violation = result.violations[0];
  CHECK(violation.property == "invariant");
  CHECK_THAT(violation.message, Catch::Contains("tests/sim/world_test.cpp"));
  CHECK_THAT(violation.message, Catch::Contains("2 + 2 == 5"));
  CHECK_THAT(violation.message, Catch::Contains("store 0x4000 0x4 -> 0x4d"));
  CHECK(violation.virtual_ns > 0);
}

TEST_CASE("locks are taken in ascending rank", "[sim][world]") {
  const auto hypervisor = [](const machine::BootInformation&, std::uint32_t) {
    machine::SpinLock low{machine::LockRank{1}};
    machine::SpinLock high{machine::LockRank{2}};
    high.acquire();
    low.acquire();
  };
  const sim::RunResult result = tiny::run_world(tiny::world(hypervisor, [] {}));
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].property == "lock order");
}

TEST_CASE("a computer has as many as 1,024 logical processors, all of which run", "[sim][world]") {
  // Processor 0 waits for the others; each adds its number and the last one's sum ends the run.
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    auto& sum = *reinterpret_cast<machine::Shared<std::uint64_t>*>(machine::arena().data());
    INVARIANT(information.apic_ids.size() == information.logical_processor_count);
    INVARIANT(machine::cpuid(0xB, 0).edx == information.apic_ids[lp]);
    sum.fetch_add(lp);
    const std::uint64_t count = information.logical_processor_count;
    while (lp != 0 || sum.load() != count * (count - 1) / 2) {
      machine::spend(10'000);
    }
    machine::stop(0);
  };
  for (const std::uint32_t count : {1u, 2u, 65u, 1000u, 1024u}) {
    sim::WorldConfiguration configuration;
    configuration.logical_processors = count;
    configuration.hypervisor.entry = hypervisor;
    CHECK(tiny::run_world(configuration).passed());
  }
  sim::WorldConfiguration configuration;
  configuration.logical_processors = 1025;
  configuration.hypervisor.entry = hypervisor;
  sim::SeededDecider decider(1);
  CHECK_THROWS_AS(sim::World(configuration, decider), std::invalid_argument);
}
