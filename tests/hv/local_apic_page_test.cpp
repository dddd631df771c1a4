// The local APIC as its guest finds it: the page of an xAPIC, the changes of mode, and interrupts
// that need no EOI; on the whole hypervisor in the simulator.
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr Gpa kApicPage{0xFEE0'0000};
constexpr std::uint32_t kId = 0x20;
constexpr std::uint32_t kVersion = 0x30;
constexpr std::uint32_t kTaskPriority = 0x80;
constexpr std::uint32_t kEndOfInterrupt = 0xB0;
constexpr std::uint32_t kLogicalDestination = 0xD0;
constexpr std::uint32_t kDestinationFormat = 0xE0;
constexpr std::uint32_t kSpurious = 0xF0;
constexpr std::uint32_t kErrorStatus = 0x280;
constexpr std::uint32_t kCommandLow = 0x300;
constexpr std::uint32_t kCommandHigh = 0x310;

constexpr std::uint8_t kVector = 0x51;
constexpr std::uint8_t kOther = 0x61;

std::uint32_t reg(std::uint32_t offset) { return machine::load_u32(kApicPage + offset); }
void set(std::uint32_t offset, std::uint32_t value) {
  machine::store_u32(kApicPage + offset, value);
}

constexpr std::uint64_t kBase = 0xFEE0'0000;
constexpr std::uint64_t kEnable = x86::kApicBaseEnable;
constexpr std::uint64_t kX2Apic = x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable;

bool set_base(std::uint64_t bits) {
  return machine::try_write_msr(x86::kMsrApicBase, kBase | x86::kApicBaseBsp | bits).has_value();
}

/// How often the handlers of the tests ran; a word of the kernel's memory, as handlers have no
/// object.
constexpr Gpa kCount{0x40'5100};
std::uint32_t count() { return machine::load_u32(kCount); }
void count_one() { machine::store_u32(kCount, count() + 1); }

void take_interrupts() {
  machine::enable_interrupts();
  static_cast<void>(machine::disable_interrupts());
}

// --- The page -----------------------------------------------------------------------------------

void use_page() {
  GUEST_CHECK(machine::read_msr(x86::kMsrApicBase) == (kBase | x86::kApicBaseBsp | kEnable));
  GUEST_CHECK(!machine::try_read_msr(x86::kX2ApicId));
  GUEST_CHECK(!machine::try_write_msr(x86::kX2ApicSvr, 0x1FF));
  machine::set_interrupt_handler(kVector, [](const machine::InterruptFrame&) {
    GUEST_CHECK((reg(0x100 + (kVector / 32) * 0x10) & (1u << (kVector % 32))) != 0);
    count_one();
    set(kEndOfInterrupt, 0);
  });
  GUEST_CHECK(reg(kId) == 0);
  GUEST_CHECK((reg(kVersion) & 0xFF) == 0x14);
  set(kSpurious, 0x1FF);
  GUEST_CHECK(reg(kSpurious) == 0x1FF);
  // Bits that do not exist are ignored, not refused.
  set(kTaskPriority, 0xFFFF'FF10);
  GUEST_CHECK(reg(kTaskPriority) == 0x10);
  // Every width of MOV reads the low bytes; a write of another width does nothing.
  GUEST_CHECK(machine::load_u8(kApicPage + kSpurious) == 0xFF);
  GUEST_CHECK(machine::load_u16(kApicPage + kSpurious) == 0x1FF);
  GUEST_CHECK(machine::load_u64(kApicPage + kSpurious) == 0x1FF);
  machine::store_u8(kApicPage + kTaskPriority, 0x40);
  GUEST_CHECK(reg(kTaskPriority) == 0x10);
  // Logical destinations, flat: bit 3 is this one's.
  set(kDestinationFormat, 0xFFFF'FFFF);
  set(kLogicalDestination, 0x0800'0000);
  set(kCommandHigh, 0x0800'0000);
  set(kCommandLow, 0x800 | kVector);
  take_interrupts();
  GUEST_CHECK(count() == 1);
  set(kCommandHigh, 0x0700'0000);
  set(kCommandLow, 0x800 | kVector);
  take_interrupts();
  GUEST_CHECK(count() == 1);
  // What is no register reads as 0, and says so in the ESR.
  set(kErrorStatus, 0);
  GUEST_CHECK(reg(0x3F0) == 0);
  set(kErrorStatus, 0);
  GUEST_CHECK(reg(kErrorStatus) == 1u << 7);
}

void root_with_page() {
  use_page();
  begin();
  end(0);
}

void child_with_page() {
  use_page();
  machine::store_u32(child_maker::kSharedWord, 1);
  machine::sti_hlt();
}

void root_beside_page() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  child_maker::start(child, 0);
  while (machine::load_u32(child.memory + child_maker::kSharedWord.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

/// A locked operation is no move: the parent's to emulate, who is told.
void child_with_locked_operation() {
  static_cast<void>(machine::fetch_or_u32(kApicPage + kTaskPriority, 1));
  end(99);
}

void root_of_locked_operation() {
  begin();
  machine::set_interrupt_handler(
      0x30, [](const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child child = child_maker::make("child");
  child_maker::start(child, 0);
  GUEST_CHECK(take_message().header.type == hv::MessageType::kUnmappedGpa);
  child_maker::destroy(child);
  end(0);
}

// --- Modes ---------------------------------------------------------------------------------------

void change_modes() {
  GUEST_CHECK(!set_base(x86::kApicBaseX2ApicEnable));  // x2APIC without being enabled
  GUEST_CHECK(!set_base(kEnable | 0x1000));            // another page
  GUEST_CHECK(!set_base(kEnable | 1));                 // a reserved bit
  GUEST_CHECK(!machine::try_write_msr(x86::kMsrApicBase, kBase | kEnable));  // not the first one
  set(kSpurious, 0x1FF);
  set(kTaskPriority, 0x20);
  GUEST_CHECK(set_base(kX2Apic));
  GUEST_CHECK(machine::read_msr(x86::kX2ApicTpr) == 0x20);  // state is kept
  GUEST_CHECK(machine::read_msr(x86::kX2ApicSvr) == 0x1FF);
  GUEST_CHECK(!set_base(kEnable));  // not back
  GUEST_CHECK(set_base(0));
  GUEST_CHECK(!machine::try_read_msr(x86::kX2ApicId));
  GUEST_CHECK(!set_base(kX2Apic));  // not in one step
  GUEST_CHECK(set_base(kEnable));
  GUEST_CHECK(reg(kSpurious) == 0xFF);  // as after power-up
  GUEST_CHECK(reg(kTaskPriority) == 0);
  GUEST_CHECK(set_base(kX2Apic));
  begin();
  machine::set_interrupt_handler(kVector, [](const machine::InterruptFrame&) {
    count_one();
    machine::write_msr(x86::kX2ApicEoi, 0);
  });
  machine::write_msr(x86::kX2ApicSelfIpi, kVector);
  take_interrupts();
  GUEST_CHECK(count() == 1);
  end(0);
}

// --- No EOI required -----------------------------------------------------------------------------

constexpr Gpa kAssistPage{0x40'6000};

/// As a guest ends its interrupts that has the page; true if it needed no EOI.
bool end_lazily() {
  if ((machine::exchange_u32(kAssistPage, 0) & 1) != 0) {
    return true;
  }
  machine::write_msr(hv::kMsrEoi, 0);
  return false;
}

void on_vector(const machine::InterruptFrame&) {
  count_one();
  GUEST_CHECK(end_lazily());
}
void on_vector_with_more_to_come(const machine::InterruptFrame&) {
  // What cannot interrupt this one waits for its end: the offer is withdrawn.
  machine::write_msr(x86::kX2ApicSelfIpi, kVector - 1);
  count_one();
  GUEST_CHECK(!end_lazily());
}
void on_lower(const machine::InterruptFrame&) {
  count_one();
  GUEST_CHECK(end_lazily());
}
/// Another one nests in this one's handler, with an offer of its own.
void on_other_nested(const machine::InterruptFrame&) {
  machine::write_msr(x86::kX2ApicSelfIpi, kOther + 0x10);
  take_interrupts();
  count_one();
  GUEST_CHECK(!end_lazily());
}
void on_innermost(const machine::InterruptFrame&) {
  count_one();
  GUEST_CHECK(end_lazily());
}

void do_without_eoi() {
  begin();
  machine::write_msr(hv::kMsrVpAssistPage,
                     hv::OverlayPageRegister(kAssistPage.page(), true).value());
  machine::set_interrupt_handler(kVector, on_vector);
  machine::set_interrupt_handler(kVector - 1, on_lower);
  for (std::uint32_t round = 1; round <= 3; ++round) {
    machine::write_msr(x86::kX2ApicSelfIpi, kVector);
    take_interrupts();
    GUEST_CHECK(count() == round);
  }
  // It has ended: nothing is in service, and lower ones come.
  GUEST_CHECK(machine::read_msr(x86::kX2ApicIsr0 + kVector / 32) == 0);
  machine::set_interrupt_handler(kVector, on_vector_with_more_to_come);
  machine::write_msr(x86::kX2ApicSelfIpi, kVector);
  take_interrupts();
  GUEST_CHECK(count() == 5);
  machine::set_interrupt_handler(kOther, on_other_nested);
  machine::set_interrupt_handler(kOther + 0x10, on_innermost);
  machine::write_msr(x86::kX2ApicSelfIpi, kOther);
  take_interrupts();
  GUEST_CHECK(count() == 7);
  GUEST_CHECK(machine::read_msr(x86::kX2ApicPpr) == 0);
  // An offer that nobody took: the EOI counts once.
  machine::set_interrupt_handler(
      kVector, [](const machine::InterruptFrame&) { machine::write_msr(hv::kMsrEoi, 0); });
  machine::write_msr(x86::kX2ApicSelfIpi, kVector);
  take_interrupts();
  GUEST_CHECK(machine::load_u32(kAssistPage) == 0);
  GUEST_CHECK(machine::read_msr(x86::kX2ApicIsr0 + kVector / 32) == 0);
  end(0);
}

void require_pass(const sim::WorldConfiguration& configuration) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(configuration, seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("a local APIC begins as xAPIC, whose page is its registers", "[hv][apic]") {
  require_pass(world(root_with_page));
}

TEST_CASE("a child's xAPIC page is emulated by its own instructions", "[hv][apic]") {
  require_pass(world_with_child(root_beside_page, child_with_page));
}

TEST_CASE("what is no plain move of the xAPIC's page goes to the parent", "[hv][apic]") {
  require_pass(world_with_child(root_of_locked_operation, child_with_locked_operation));
}

TEST_CASE("a local APIC changes its mode as a processor's does", "[hv][apic]") {
  require_pass(world(change_modes));
}

TEST_CASE("an interrupt that nothing waits behind needs no EOI", "[hv][apic]") {
  require_pass(world(do_without_eoi));
}
