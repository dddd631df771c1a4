// How hypercalls are made and refused, whatever the call (TLFS "Hypercall Interface"), on the whole
// hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/start_context.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
namespace x86 = machine::x86;
using child_maker::Child;
using child_maker::kHole;
using child_maker::kSharedWord;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;

constexpr std::uint8_t kVector = 0x55;
constexpr std::uint32_t kUndefined = 6;

Gpa word_of(const Child& child) { return child.memory + kSharedWord.value(); }

void await(Gpa word, std::uint32_t value) {
  while (machine::load_u32(word) != value) {
    machine::pause();
  }
}

hv::HypercallResult raw(HypercallControl control, Gpa input, Gpa output) {
  return hv::HypercallResult(
      machine::hypercall(kHypercallPage, control.value(), input.value(), output.value()));
}

/// Tells the root of the exception, and stays: the instruction would raise it again.
void on_undefined(const machine::InterruptFrame& frame) {
  machine::store_u32(kSharedWord, static_cast<std::uint32_t>(frame.vector));
  for (;;) {
    machine::sti_hlt();
  }
}

void long_spin() {
  const auto control = HypercallControl(CallCode::kNotifyLongSpinWait).fast().value();
  static_cast<void>(machine::hypercall(kHypercallPage, control, 1, 0));
}

// --- Modes -----------------------------------------------------------------

/// The start of a child's VP 0 as child_maker does it, changed.
template <class Change>
void start_changed(const Child& child, Change change) {
  hv::StartVirtualProcessorInput input;
  input.partition = child.id;
  input.context = start_context(child.header, 0);
  change(input.context);
  GUEST_CHECK(call(HypercallControl(CallCode::kStartVirtualProcessor), input).status() ==
              Status::kSuccess);
}

void make_narrow(hv::InitialVpContext& context) {
  constexpr std::uint16_t kCode32 = 0xC09B;
  context.cs.attributes = kCode32;
  context.efer = 0;
  context.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne;
}

void make_unprivileged(hv::InitialVpContext& context) {
  constexpr std::uint16_t kLevel3 = 3u << 5;
  context.cs.selector |= 3;
  context.cs.attributes |= kLevel3;
  context.ss.selector |= 3;
  context.ss.attributes |= kLevel3;
}

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

void narrow_child() {
  begin();
  machine::set_interrupt_handler(x86::kVectorInvalidOpcode, on_undefined);
  machine::set_interrupt_handler(kVector, acknowledge);
  // A memory-based rep call with an answer.
  const hv::GetVpIndexFromApicIdInput header{hv::kPartitionIdSelf, 0, {}};
  const std::array<std::uint32_t, 1> ids{0};
  machine::store_u32(kOutputPage, 77);
  const auto found = call(HypercallControl(CallCode::kGetVpIndexFromApicId), header,
                          std::span<const std::uint32_t>(ids));
  GUEST_CHECK(found.status() == Status::kSuccess && found.reps_completed() == 1);
  GUEST_CHECK(machine::load_u32(kOutputPage) == 0);
  // A fast call in XMM registers.
  struct Ipi {
    hv::SendSyntheticClusterIpiExInput header;
    std::uint64_t bank = 1;
  } ipi;
  ipi.header.vector = kVector;
  ipi.header.processors.valid_bank_mask = 1;
  const auto to_self = HypercallControl(CallCode::kSendSyntheticClusterIpiEx);
  GUEST_CHECK(call_fast(to_self.with_variable_header(1), ipi).status() == Status::kSuccess);
  machine::sti_hlt();
  // None answers in registers.
  static_cast<void>(
      call_fast(HypercallControl(CallCode::kGetVpIndexFromApicId).with_reps(1), header));
  GUEST_CHECK(false);
}

void calling_child() {
  begin();
  machine::set_interrupt_handler(x86::kVectorInvalidOpcode, on_undefined);
  long_spin();
  machine::store_u32(kSharedWord, 1);
  machine::sti_hlt();
}

template <void (*change)(hv::InitialVpContext&)>
void root_of_undefined() {
  begin();
  const Child child = child_maker::make("child");
  start_changed(child, change);
  await(word_of(child), kUndefined);
  child_maker::destroy(child);
  end(0);
}

constexpr std::uint8_t kStartPage = 0x50;

void real_mode_starter() {
  begin();
  machine::set_interrupt_handler(x86::kVectorInvalidOpcode, on_undefined);
  const machine::ImageHeader header = [] {
    machine::ImageHeader read;
    machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&read, 1)));
    return read;
  }();
  const Gpa entry(header.processor_entry_gpa);
  std::array<std::byte, machine::kPageSize> page;
  machine::read_memory(Gpa(entry.page()), page);
  const auto offset = entry.offset_in_page();
  machine::write_memory(Gpa(std::uint64_t{kStartPage} << machine::kPageShift),
                        std::span(page).subspan(offset, machine::kPageSize - offset));
  constexpr std::uint64_t kToSecond = 1ull << 32;
  machine::write_msr(x86::kX2ApicIcr, kToSecond | 0x4500);
  machine::write_msr(x86::kX2ApicIcr, kToSecond | 0x4600 | kStartPage);
  machine::sti_hlt();
}

void real_mode_caller() {
  long_spin();
  GUEST_CHECK(false);
}

void root_of_real_mode() {
  begin();
  const Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  child_maker::set_register(child, 1, hv::RegisterName::kExplicitSuspend, 0);
  await(word_of(child), kUndefined);
  child_maker::destroy(child);
  end(0);
}

// --- Where blocks lie ------------------------------------------------------

void child_with_odd_blocks() {
  begin();
  const auto find = HypercallControl(CallCode::kGetVpIndexFromApicId).with_reps(1);
  const hv::GetVpIndexFromApicIdInput header{hv::kPartitionIdSelf, 0, {}};
  const auto put = [&](Gpa where) {
    machine::write_memory(where, std::as_bytes(std::span(&header, 1)));
    machine::store_u64(where + sizeof(header), 0);
  };
  put(kInputPage);
  const auto is_refused = [&](Gpa input, Gpa output) {
    return raw(find, input, output).status() == Status::kInvalidAlignment;
  };
  GUEST_CHECK(raw(find, kInputPage, kOutputPage).status() == Status::kSuccess);
  // Not aligned, across the end of a page, overlapping.
  GUEST_CHECK(is_refused(kInputPage + 4, kOutputPage));
  GUEST_CHECK(is_refused(kInputPage, kOutputPage + 1));
  GUEST_CHECK(is_refused(kInputPage + (machine::kPageSize - 8), kOutputPage));
  GUEST_CHECK(is_refused(kInputPage, kInputPage + 16));
  GUEST_CHECK(raw(find, kInputPage, kInputPage + 24).status() == Status::kSuccess);
  // Outside of the space; in a page of the hypervisor's that may not be written.
  GUEST_CHECK(is_refused(Gpa(1ull << 50), kOutputPage));
  GUEST_CHECK(is_refused(kInputPage, Gpa(~0ull - 7)));
  GUEST_CHECK(is_refused(kInputPage, kHypercallPage));
  // A page that its parent has not mapped: the parent is asked, and the call goes on.
  GUEST_CHECK(raw(find, kInputPage, kHole).status() == Status::kSuccess);
  machine::store_u32(kSharedWord, 1);
  await(kSharedWord, 2);
  put(kHole);
  machine::store_u32(kSharedWord, 3);
  await(kSharedWord, 4);
  GUEST_CHECK(raw(find, kHole, kOutputPage).status() == Status::kSuccess);
  machine::store_u32(kSharedWord, 5);
  await(kSharedWord, 6);
  // So it is with what a call accesses for the caller.
  hv::MmioWriteInput write;
  write.where = {kHole.value() + 16, 1, 0};
  write.data[0] = std::byte{0x77};
  GUEST_CHECK(call(HypercallControl(CallCode::kMmioWrite), write).status() == Status::kSuccess);
  GUEST_CHECK(machine::load_u8(kHole + 16) == 0x77);
  machine::store_u32(kSharedWord, 7);
  machine::sti_hlt();
}

/// Waits for the intercept of the child's access to the hole.
void expect_intercept(hv::InterceptAccess access) {
  await(kMessagePage, static_cast<std::uint32_t>(hv::MessageType::kUnmappedGpa));
  hv::Message message;
  machine::read_memory(kMessagePage, std::as_writable_bytes(std::span(&message, 1)));
  hv::MemoryIntercept intercept;
  std::memcpy(&intercept, message.payload.data(), sizeof(intercept));
  GUEST_CHECK(intercept.gpa >= kHole.value() && intercept.gpa < kHole.value() + 4096);
  GUEST_CHECK(intercept.header.access == access);
  machine::store_u32(kMessagePage, 0);
}

void root_of_odd_blocks() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  const auto go_on = [&] {
    child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  };
  expect_intercept(hv::InterceptAccess::kWrite);
  child_maker::map_hole(child);
  go_on();
  await(word_of(child), 1);
  machine::store_u32(word_of(child), 2);
  await(word_of(child), 3);
  child_maker::unmap_hole(child);
  machine::store_u32(word_of(child), 4);
  expect_intercept(hv::InterceptAccess::kRead);
  child_maker::map_hole(child);
  go_on();
  await(word_of(child), 5);
  child_maker::unmap_hole(child);
  machine::store_u32(word_of(child), 6);
  expect_intercept(hv::InterceptAccess::kWrite);
  child_maker::map_hole(child);
  go_on();
  await(word_of(child), 7);
  child_maker::destroy(child);
  end(0);
}

// --- The page --------------------------------------------------------------

bool write_faults(std::uint32_t msr, std::uint64_t value) {
  return !machine::try_write_msr(msr, value).has_value();
}

void use_the_page() {
  begin();
  constexpr std::uint64_t kCode = 0xC3C1'010F'FA1E'0FF3;  // ENDBR64; VMCALL; RET
  constexpr Gpa kOther{0x40'7000};
  using hv::OverlayPageRegister;
  GUEST_CHECK(machine::load_u64(kHypercallPage) == kCode);
  // Moved, it works there, and what it hid comes to light.
  machine::store_u64(kOther, 0x1111);
  const OverlayPageRegister moved(kOther.page(), true);
  machine::write_msr(hv::kMsrHypercall, moved.value() | 0xFF0);
  GUEST_CHECK(machine::read_msr(hv::kMsrHypercall) == (moved.value() | 0xFF0));
  GUEST_CHECK(machine::load_u64(kOther) == kCode);
  GUEST_CHECK(machine::load_u64(kHypercallPage) == 0);
  const auto spin = HypercallControl(CallCode::kNotifyLongSpinWait).fast().value();
  GUEST_CHECK(machine::hypercall(kOther, spin, 1, 0) == 0);
  GUEST_CHECK(
      write_faults(hv::kMsrHypercall, OverlayPageRegister(machine::Gpn(1ull << 40), true).value()));
  GUEST_CHECK(machine::read_msr(hv::kMsrHypercall) == (moved.value() | 0xFF0));
  // The lock is for a page that is there.
  machine::write_msr(hv::kMsrHypercall, OverlayPageRegister::kLocked);
  GUEST_CHECK(machine::read_msr(hv::kMsrHypercall) == 0);
  GUEST_CHECK(machine::load_u64(kOther) == 0x1111);
  const OverlayPageRegister back(kHypercallPage.page(), true);
  machine::write_msr(hv::kMsrHypercall, back.value() | OverlayPageRegister::kLocked);
  const std::uint64_t locked = machine::read_msr(hv::kMsrHypercall);
  GUEST_CHECK(locked == (back.value() | OverlayPageRegister::kLocked));
  GUEST_CHECK(write_faults(hv::kMsrHypercall, moved.value()) && write_faults(hv::kMsrHypercall, 0));
  machine::write_msr(hv::kMsrGuestOsId, 0);
  GUEST_CHECK(machine::read_msr(hv::kMsrHypercall) == locked);
  GUEST_CHECK(machine::load_u64(kHypercallPage) == kCode);
  end(0);
}

void on_protection(const machine::InterruptFrame&) { end(0); }

void write_the_page() {
  begin();
  machine::set_interrupt_handler(x86::kVectorGeneralProtection, on_protection);
  machine::store_u64(kHypercallPage, 0);
  end(__LINE__);
}

// --- Rep calls under interrupts --------------------------------------------

constexpr std::uint32_t kPages = 500;
constexpr Gpa kCount{0x40'8000};

void count_interrupt(const machine::InterruptFrame&) {
  machine::store_u32(kCount, machine::load_u32(kCount) + 1);
  machine::write_msr(x86::kX2ApicEoi, 0);
}

/// A withdrawal that was made twice would lose a page, and find none at the end.
void repeat_under_interrupts() {
  begin();
  machine::set_interrupt_handler(kVector, count_interrupt);
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kSuccess);
  const auto child = output<hv::PartitionIdOutput>().partition;
  std::array<machine::Gpn, kPages> pages;
  for (std::uint32_t index = 0; index < kPages; ++index) {
    pages[index] = machine::Gpn(0x6000 + index);
  }
  GUEST_CHECK(call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{child},
                   std::span<const machine::Gpn>(pages))
                  .status() == Status::kSuccess);
  constexpr std::uint64_t kPeriodicDirect = 0b1'0000'0000'0000 | 0b1011;
  machine::write_msr(hv::kMsrStimer0Config, kPeriodicDirect | std::uint64_t{kVector} << 4);
  machine::write_msr(hv::kMsrStimer0Config + 1, 100);  // every 10 us
  const hv::MemoryPoolInput pool{child, {}};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&pool, 1)));
  machine::store_u32(kCount, 0);
  machine::enable_interrupts();
  const auto result = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(kPages));
  machine::disable_interrupts();
  const std::uint32_t interrupts = machine::load_u32(kCount);
  machine::write_msr(hv::kMsrStimer0Config, 0);
  GUEST_CHECK(result.status() == Status::kSuccess);
  GUEST_CHECK(result.reps_completed() == kPages);
  GUEST_CHECK(interrupts > 2);
  std::array<bool, kPages> seen{};
  machine::read_memory(kOutputPage, std::as_writable_bytes(std::span(pages)));
  for (const machine::Gpn page : pages) {
    const std::uint64_t index = page.value() - 0x6000;
    GUEST_CHECK(index < kPages && !seen[index]);
    seen[index] = true;
  }
  GUEST_CHECK(call(HypercallControl(CallCode::kWithdrawMemory).with_reps(1)).status() ==
              Status::kNoResources);
  end(0);
}

void idle_child() { machine::sti_hlt(); }

void require_passes(void (*root)(), void (*child)() = idle_child, void (*second)() = nullptr) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world_with_child(root, child, second), seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("a 32-bit caller passes pairs of registers and XMM, and gets no answer in them",
          "[hv][convention]") {
  require_passes(root_of_undefined<make_narrow>, narrow_child);
}

TEST_CASE("a call at another privilege level than 0 is an undefined opcode", "[hv][convention]") {
  require_passes(root_of_undefined<make_unprivileged>, calling_child);
}

TEST_CASE("a call in real mode is an undefined opcode", "[hv][convention]") {
  require_passes(root_of_real_mode, real_mode_starter, real_mode_caller);
}

TEST_CASE("blocks are aligned, in one page of the caller's own, apart, and mapped",
          "[hv][convention]") {
  require_passes(root_of_odd_blocks, child_with_odd_blocks);
}

TEST_CASE("the hypercall page moves, goes away and is locked", "[hv][convention]") {
  require_passes(use_the_page);
}

TEST_CASE("a write to the hypercall page is #GP in the guest", "[hv][convention]") {
  require_passes(write_the_page);
}

TEST_CASE("a rep call takes interrupts between its elements and does each of them once",
          "[hv][convention]") {
  require_passes(repeat_under_interrupts);
}
