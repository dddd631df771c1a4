// The x87, SSE and AVX registers of virtual processors, on the whole hypervisor in the simulator.
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
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::RegisterValue;
using hv::Status;
using machine::XmmRegisters;

constexpr std::uint32_t kSteps = 10;
constexpr std::uint64_t kComponents = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx;

machine::Gpa word_of(const Child& child) { return child.memory + child_maker::kSharedWord.value(); }

void await(machine::Gpa word, std::uint32_t value) {
  while (machine::load_u32(word) != value) {
    machine::pause();
  }
}

XmmRegisters pattern(std::uint64_t seed) {
  XmmRegisters registers;
  for (std::uint64_t& quadword : registers.quadwords) {
    quadword = seed++ * 0x0101'0101'0101'0101;
  }
  return registers;
}

/// Lets the other virtual processor of this logical processor run, with a pattern in the registers.
void keep_registers(std::uint64_t seed) {
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const XmmRegisters mine = pattern(seed + step);
    machine::write_xmm(mine);
    const std::uint64_t control = HypercallControl(CallCode::kNotifyLongSpinWait).fast().value();
    static_cast<void>(machine::hypercall(kHypercallPage, control, 1, 0));
    machine::spend(100'000);
    XmmRegisters seen;
    machine::read_xmm(seen);
    GUEST_CHECK(seen == mine);
  }
}

void child_with_registers() {
  begin();
  keep_registers(1000);
  machine::store_u32(child_maker::kSharedWord, 1);
  machine::sti_hlt();
}

void root_with_registers() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  while (machine::load_u32(word_of(child)) != 1) {
    keep_registers(2000);
  }
  child_maker::destroy(child);
  end(0);
}

struct Registers {
  const Child& child;

  [[nodiscard]] Status set(RegisterName name, RegisterValue value) const {
    hv::VpRegistersInput header;
    header.partition = child.id;
    std::array<hv::RegisterAssignment, 1> elements;
    elements[0].name = name;
    elements[0].value = value;
    return call(HypercallControl(CallCode::kSetVpRegisters), header,
                std::span<const hv::RegisterAssignment>(elements))
        .status();
  }
  [[nodiscard]] RegisterValue get(RegisterName name) const {
    hv::VpRegistersInput header;
    header.partition = child.id;
    const std::array<RegisterName, 1> names{name};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                     std::span<const RegisterName>(names))
                    .status() == Status::kSuccess);
    return output<RegisterValue>();
  }
};

constexpr RegisterName numbered(RegisterName first, std::uint32_t number) {
  return static_cast<RegisterName>(static_cast<std::uint32_t>(first) + number);
}

void child_that_shows_its_registers() {
  XmmRegisters registers;
  machine::read_xmm(registers);
  GUEST_CHECK(registers.quadwords[6] == 0x33 && registers.quadwords[7] == 0x3333);
  GUEST_CHECK(registers.quadwords[0] == 0 && registers.quadwords[11] == 0);
  machine::write_xmm(pattern(5));
  machine::store_u32(child_maker::kSharedWord, 1);
  await(child_maker::kSharedWord, 2);
  machine::read_xmm(registers);
  GUEST_CHECK(registers.quadwords[2] == 0x11 && registers.quadwords[3] == 0x1111);
  machine::store_u32(child_maker::kSharedWord, 3);
  machine::sti_hlt();
}

void root_that_sets_registers() {
  begin();
  const Child child = child_maker::make("child");
  const Registers registers{child};
  constexpr RegisterName kXmm1 = numbered(RegisterName::kXmm0, 1);
  constexpr RegisterName kXmm3 = numbered(RegisterName::kXmm0, 3);
  constexpr RegisterName kFpMmx2 = numbered(RegisterName::kFpMmx0, 2);
  // Of a virtual processor that never ran: the state after reset.
  GUEST_CHECK((registers.get(kXmm3) == RegisterValue{}));
  GUEST_CHECK((registers.get(RegisterName::kFpControlStatus) == RegisterValue{0x37F, 0}));
  GUEST_CHECK((registers.get(RegisterName::kXmmControlStatus).high & 0xFFFF'FFFF) == 0x1F80);
  GUEST_CHECK(registers.get(RegisterName::kXfem).low == x86::kXcr0X87);
  GUEST_CHECK(registers.set(kXmm3, {0x33, 0x3333}) == Status::kSuccess);
  GUEST_CHECK(registers.set(kFpMmx2, {0x1234, 0x4000}) == Status::kSuccess);
  GUEST_CHECK((registers.get(kXmm3) == RegisterValue{0x33, 0x3333}));
  GUEST_CHECK((registers.get(RegisterName::kFpControlStatus) == RegisterValue{0x37F, 0}));
  child_maker::start(child, 0);
  await(word_of(child), 1);
  // Of one that runs, here or on another processor.
  const XmmRegisters shown = pattern(5);
  GUEST_CHECK((registers.get(kXmm1) == RegisterValue{shown.quadwords[2], shown.quadwords[3]}));
  GUEST_CHECK((registers.get(kFpMmx2) == RegisterValue{0x1234, 0x4000}));
  GUEST_CHECK(registers.set(kXmm1, {0x11, 0x1111}) == Status::kSuccess);
  const RegisterValue control = registers.get(RegisterName::kXmmControlStatus);
  const std::uint64_t mask = control.high & ~0xFFFF'FFFFull;
  GUEST_CHECK(registers.set(RegisterName::kXmmControlStatus, {0, mask | 0x1'0000}) ==
              Status::kInvalidRegisterValue);
  GUEST_CHECK(registers.set(RegisterName::kXmmControlStatus, {7, mask | 0x9F80}) ==
              Status::kSuccess);
  GUEST_CHECK((registers.get(RegisterName::kXmmControlStatus) == RegisterValue{7, mask | 0x9F80}));
  for (const std::uint64_t illegal :
       {std::uint64_t{0}, x86::kXcr0Sse, x86::kXcr0X87 | x86::kXcr0Avx,
        kComponents | std::uint64_t{1} << 63}) {
    GUEST_CHECK(registers.set(RegisterName::kXfem, {illegal, 0}) == Status::kInvalidRegisterValue);
  }
  GUEST_CHECK(registers.set(RegisterName::kXfem, {kComponents, 0}) == Status::kSuccess);
  GUEST_CHECK(registers.get(RegisterName::kXfem).low == kComponents);
  machine::store_u32(word_of(child), 2);
  await(word_of(child), 3);
  child_maker::destroy(child);
  end(0);
}

void child_that_writes_xcr0() {
  const auto refused = [](std::uint64_t value) {
    const auto written = machine::try_write_xcr0(value);
    return written ? 0 : written.error().vector;
  };
  const auto has_osxsave = [] { return (machine::cpuid(1, 0).ecx >> 27 & 1) != 0; };
  GUEST_CHECK((machine::cpuid(1, 0).ecx >> 26 & 1) != 0);
  GUEST_CHECK(!has_osxsave());
  GUEST_CHECK(refused(1) == x86::kVectorInvalidOpcode);
  machine::store_u32(child_maker::kSharedWord, 1);
  await(child_maker::kSharedWord, 2);
  GUEST_CHECK(has_osxsave());
  GUEST_CHECK(machine::read_xcr0() == x86::kXcr0X87);
  GUEST_CHECK(machine::cpuid(x86::kCpuidExtendedState, 0).ebx == 576);
  GUEST_CHECK(refused(kComponents) == 0);
  GUEST_CHECK(machine::read_xcr0() == kComponents);
  const machine::CpuidResult leaf = machine::cpuid(x86::kCpuidExtendedState, 0);
  GUEST_CHECK(leaf.eax == kComponents && leaf.ebx == 832 && leaf.ecx == 832 && leaf.edx == 0);
  GUEST_CHECK(machine::cpuid(x86::kCpuidExtendedState, 2).eax == 256);
  GUEST_CHECK(machine::cpuid(x86::kCpuidExtendedState, 3).eax == 0);
  for (const std::uint64_t illegal :
       {std::uint64_t{0}, x86::kXcr0X87 | x86::kXcr0Avx, kComponents | 8}) {
    GUEST_CHECK(refused(illegal) == x86::kVectorGeneralProtection);
  }
  // A turn of another virtual processor in between changes nothing.
  machine::spend(20'000'000);
  GUEST_CHECK(machine::read_xcr0() == kComponents);
  machine::store_u32(child_maker::kSharedWord, 3);
  machine::sti_hlt();
}

void root_that_turns_xsave_on() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  await(word_of(child), 1);
  child_maker::set_register(child, 0, RegisterName::kCr4,
                            x86::kCr4Pae | x86::kCr4Osfxsr | x86::kCr4Osxsave);
  machine::store_u32(word_of(child), 2);
  await(word_of(child), 3);
  GUEST_CHECK(Registers{child}.get(RegisterName::kXfem).low == kComponents);
  child_maker::destroy(child);
  end(0);
}

constexpr std::uint64_t kWithoutAvx = x86::kXcr0X87 | x86::kXcr0Sse;

/// With XSAVE turned on by its parent.
void start_with_xsave() {
  machine::store_u32(child_maker::kSharedWord, 1);
  await(child_maker::kSharedWord, 2);
}

[[nodiscard]] bool faults(std::uint64_t xcr0) {
  const auto written = machine::try_write_xcr0(xcr0);
  return !written && written.error().vector == x86::kVectorGeneralProtection;
}

void child_without_avx() {
  start_with_xsave();
  GUEST_CHECK(machine::cpuid(x86::kCpuidExtendedState, 0).eax == kWithoutAvx);
  GUEST_CHECK(faults(kComponents));
  GUEST_CHECK(machine::read_xcr0() == x86::kXcr0X87);
  GUEST_CHECK(machine::try_write_xcr0(kWithoutAvx).has_value());
  GUEST_CHECK(machine::read_xcr0() == kWithoutAvx);
  machine::store_u32(child_maker::kSharedWord, 3);
  machine::sti_hlt();
}

void child_without_xsave() {
  start_with_xsave();
  GUEST_CHECK(machine::cpuid(x86::kCpuidExtendedState, 0).eax == 0);
  GUEST_CHECK(faults(x86::kXcr0X87));
  machine::store_u32(child_maker::kSharedWord, 3);
  machine::sti_hlt();
}

template <hv::ProcessorFeature kHidden>
void root_that_hides() {
  begin();
  constexpr std::uint64_t kBit = 1ull << (static_cast<unsigned>(kHidden) % 64);
  const Child child = child_maker::make("child", 1, nullptr, 0, kBit);
  child_maker::start(child, 0);
  await(word_of(child), 1);
  child_maker::set_register(child, 0, RegisterName::kCr4,
                            x86::kCr4Pae | x86::kCr4Osfxsr | x86::kCr4Osxsave);
  machine::store_u32(word_of(child), 2);
  await(word_of(child), 3);
  const hv::GetPartitionPropertyInput input{child.id, hv::PartitionProperty::kXsaveStates, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionProperty), input).status() ==
              Status::kSuccess);
  GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value == kWithoutAvx);
  const Registers registers{child};
  const Status x87_alone =
      kHidden == hv::ProcessorFeature::kXsave ? Status::kInvalidRegisterValue : Status::kSuccess;
  GUEST_CHECK(registers.set(RegisterName::kXfem, {kComponents, 0}) ==
              Status::kInvalidRegisterValue);
  GUEST_CHECK(registers.set(RegisterName::kXfem, {x86::kXcr0X87, 0}) == x87_alone);
  child_maker::destroy(child);
  end(0);
}

sim::RunResult run_pair(void (*root)(), void (*child)(), std::uint32_t processors,
                        std::uint64_t seed) {
  return run(world_with_child(root, child, nullptr, processors), seed);
}

void require_passes(void (*root)(), void (*child)()) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (const std::uint32_t processors : {1u, 2u}) {
      const sim::RunResult result = run_pair(root, child, processors, seed);
      INFO("seed " << seed << ", " << processors << " processors: " << describe(result));
      REQUIRE(result.passed());
    }
  }
}

}  // namespace

TEST_CASE("virtual processors that share a processor keep their registers apart",
          "[hv][extended]") {
  require_passes(root_with_registers, child_with_registers);
}

TEST_CASE("a parent reads and writes the extended registers of a child", "[hv][extended]") {
  require_passes(root_that_sets_registers, child_that_shows_its_registers);
}

TEST_CASE("state that a parent hides is turned on by nobody, its guest or itself",
          "[hv][extended]") {
  require_passes(root_that_hides<hv::ProcessorFeature::kAvx>, child_without_avx);
  require_passes(root_that_hides<hv::ProcessorFeature::kXsave>, child_without_xsave);
}

TEST_CASE("XCR0 is the guest's own, and takes what CPUID offers", "[hv][extended]") {
  require_passes(root_that_turns_xsave_on, child_that_writes_xcr0);
}
