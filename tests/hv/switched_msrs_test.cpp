// The MSRs of SYSCALL, SWAPGS and RDTSCP, which VM entries and exits leave alone, on the whole
// hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
namespace x86 = machine::x86;
using child_maker::Child;
using child_maker::kSharedWord;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::Status;

struct Switched {
  std::uint32_t msr;
  RegisterName name;
};
constexpr std::array<Switched, 6> kSwitched{{{x86::kMsrStar, RegisterName::kStar},
                                             {x86::kMsrLstar, RegisterName::kLstar},
                                             {x86::kMsrCstar, RegisterName::kCstar},
                                             {x86::kMsrSfmask, RegisterName::kSfmask},
                                             {x86::kMsrKernelGsBase, RegisterName::kKernelGsBase},
                                             {x86::kMsrTscAux, RegisterName::kTscAux}}};
constexpr std::uint32_t kSteps = 10;

machine::Gpa word_of(const Child& child) { return child.memory + kSharedWord.value(); }

void await(machine::Gpa word, std::uint32_t value) {
  while (machine::load_u32(word) != value) {
    machine::pause();
  }
}

/// Another value for each, all of 32 bits.
void write_all(std::uint64_t seed) {
  for (const Switched& one : kSwitched) {
    machine::write_msr(one.msr, seed++);
  }
}
void check_all(std::uint64_t seed) {
  for (const Switched& one : kSwitched) {
    GUEST_CHECK(machine::read_msr(one.msr) == seed++);
  }
}

/// Lets the other virtual processor of this logical processor run in between.
void keep_msrs(std::uint64_t seed) {
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    write_all(seed + step);
    const std::uint64_t control = HypercallControl(CallCode::kNotifyLongSpinWait).fast().value();
    static_cast<void>(machine::hypercall(kHypercallPage, control, 1, 0));
    machine::spend(100'000);
    check_all(seed + step);
  }
}

void child_with_msrs() {
  begin();
  for (const Switched& one : kSwitched) {
    GUEST_CHECK(machine::read_msr(one.msr) == 0);
  }
  keep_msrs(0x1000);
  machine::store_u32(kSharedWord, 1);
  machine::sti_hlt();
}

void root_with_msrs() {
  begin();
  const Child child = child_maker::make("child");
  write_all(0x2000);
  child_maker::start(child, 0);
  while (machine::load_u32(word_of(child)) != 1) {
    keep_msrs(0x2000);
  }
  child_maker::destroy(child);
  end(0);
}

std::uint64_t register_of(const Child& child, RegisterName name) {
  hv::VpRegistersInput header;
  header.partition = child.id;
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

void child_that_shows_its_msrs() {
  check_all(0x30);
  write_all(0x40);
  machine::store_u32(kSharedWord, 1);
  await(kSharedWord, 2);
  check_all(0x50);
  machine::store_u32(kSharedWord, 3);
  machine::sti_hlt();
}

void set_all(const Child& child, std::uint64_t seed) {
  for (const Switched& one : kSwitched) {
    child_maker::set_register(child, 0, one.name, seed++);
  }
}
void check_registers(const Child& child, std::uint64_t seed) {
  for (const Switched& one : kSwitched) {
    GUEST_CHECK(register_of(child, one.name) == seed++);
  }
}

void root_that_sets_msrs() {
  begin();
  const Child child = child_maker::make("child");
  set_all(child, 0x30);
  check_registers(child, 0x30);
  child_maker::start(child, 0);
  await(word_of(child), 1);
  check_registers(child, 0x40);
  set_all(child, 0x50);
  machine::store_u32(word_of(child), 2);
  await(word_of(child), 3);
  child_maker::destroy(child);
  end(0);
}

/// What the first run wrote, the run after a reset does not find, and INIT leaves.
void child_that_is_reset() {
  begin();
  write_all(0x60);
  machine::store_u32(kSharedWord, 1);
  machine::write_msr(hv::kMsrReset, hv::kResetPartition);
}

void root_that_looks_after_a_reset() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  await(word_of(child), 1);
  // The child has nothing at its reset vector: it stops there.
  while (register_of(child, RegisterName::kRip) != 0xFFF0) {
    machine::pause();
  }
  for (const Switched& one : kSwitched) {
    GUEST_CHECK(register_of(child, one.name) == 0);
  }
  child_maker::destroy(child);
  end(0);
}

void child_with_second() {
  begin();
  await(kSharedWord, 1);
  constexpr std::uint64_t kInitOfFirst = (1ull << 32) | 0x4500;
  machine::write_msr(x86::kX2ApicIcr, kInitOfFirst);
  machine::store_u32(kSharedWord, 2);
  machine::sti_hlt();
}
void second_that_gets_init() {
  enable_local_apic();
  write_all(0x70);
  machine::store_u32(kSharedWord, 1);
  for (;;) {
    machine::pause();
  }
}

void root_that_looks_after_init() {
  begin();
  const Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  child_maker::start(child, 1);
  await(word_of(child), 2);
  hv::VpRegistersInput header;
  header.partition = child.id;
  header.vp = hv::VpIndex{1};
  const auto second = [&](RegisterName name) {
    const std::array<RegisterName, 1> names{name};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                     std::span<const RegisterName>(names))
                    .status() == Status::kSuccess);
    return output<hv::RegisterValue>().low;
  };
  while (second(RegisterName::kRip) != 0xFFF0) {
    machine::pause();
  }
  std::uint64_t expected = 0x70;
  for (const Switched& one : kSwitched) {
    GUEST_CHECK(second(one.name) == expected++);
  }
  child_maker::destroy(child);
  end(0);
}

void require_passes(void (*root)(), void (*child)(), void (*second)() = nullptr) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (const std::uint32_t processors : {1u, 2u}) {
      const sim::RunResult result = run(world_with_child(root, child, second, processors), seed);
      INFO("seed " << seed << ", " << processors << " processors: " << describe(result));
      REQUIRE(result.passed());
    }
  }
}

}  // namespace

TEST_CASE("virtual processors that share a processor keep the MSRs of SYSCALL and SWAPGS apart",
          "[hv][switched]") {
  require_passes(root_with_msrs, child_with_msrs);
}

TEST_CASE("a parent reads and writes the MSRs of SYSCALL and SWAPGS of a child that runs",
          "[hv][switched]") {
  require_passes(root_that_sets_msrs, child_that_shows_its_msrs);
}

TEST_CASE("a reset clears the MSRs of SYSCALL and SWAPGS", "[hv][switched]") {
  require_passes(root_that_looks_after_a_reset, child_that_is_reset);
}

TEST_CASE("an INIT leaves the MSRs of SYSCALL and SWAPGS as they are", "[hv][switched]") {
  require_passes(root_that_looks_after_init, child_with_second, second_that_gets_init);
}
