// The smallest worlds: a tiny hypervisor and one guest, and what each end sees of the other.
#include <catch2/catch.hpp>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
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

sim::RunResult run(sim::WorldConfiguration configuration, std::uint64_t seed = 1) {
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  sim::RunResult result = world.run();
  for (const sim::Violation& violation : result.violations) {
    UNSCOPED_INFO(violation.property << ": " << violation.message);
  }
  UNSCOPED_INFO(sim::name_of(result.outcome) << " " << result.error);
  return result;
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
  const sim::RunResult result = run(tiny::world(hypervisor, kernel));
  CHECK(result.passed());
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kVmcall)] == 2);
  CHECK(result.vm_exits[static_cast<std::size_t>(ExitReason::kCpuid)] == 1);
  CHECK(result.hypercalls.at(7) == 1);
  CHECK(result.virtual_ns > 0);
}
