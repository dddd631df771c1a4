// The pages in which a parent sees a child's VP while that waits for it, on the whole hypervisor in
// the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::MessageType;
using hv::RegisterName;
using hv::RegisterPage;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr Gpa kFound = child_maker::kSharedWord;
constexpr Gpa kThrough{child_maker::kSharedWord.value() + 8};
constexpr std::uint32_t kLeaf = 0x4000'0001;
constexpr std::uint8_t kVector = 0x30;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

/// Asks for a leaf twice.
void child_that_asks() {
  begin();
  const std::uint64_t first = machine::cpuid(kLeaf, 0).ebx;
  const std::uint64_t second = machine::cpuid(kLeaf, 1).ebx;
  machine::store_u64(kFound, first | (second << 32));
  machine::store_u32(kThrough, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

Child begin_root() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  const Child child = child_maker::make("child", 1, nullptr,
                                        hv::kCreateExoPartition | hv::kCreateInterceptMessagePage);
  const hv::InstallInterceptInput input{child.id, hv::kInterceptAccessExecute,
                                        hv::InterceptType::kX64Cpuid, kLeaf};
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), input).status() ==
              Status::kSuccess);
  return child;
}

Gpa map_page(const Child& child, hv::VpStatePageType type) {
  hv::MapVpStatePageInput input;
  input.partition = child.id;
  input.type = type;
  GUEST_CHECK(call(HypercallControl(CallCode::kMapVpStatePage), input).status() ==
              Status::kSuccess);
  return Gpa(output<hv::MapVpStatePageOutput>().place);
}

hv::Message read_message(Gpa page) {
  hv::Message message;
  machine::read_memory(page, std::as_writable_bytes(std::span(&message, 1)));
  return message;
}
RegisterPage read_registers(Gpa page) {
  RegisterPage registers;
  machine::read_memory(page, std::as_writable_bytes(std::span(&registers, 1)));
  return registers;
}
void write_registers(Gpa page, const RegisterPage& registers) {
  machine::write_memory(page, std::as_bytes(std::span(&registers, 1)));
}

std::uint64_t get(const Child& child, RegisterName name) {
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}
void resume(const Child& child) {
  child_maker::set_register(child, 0, RegisterName::kInterceptSuspend, 0);
}
std::uint64_t found_by(const Child& child) {
  while (machine::load_u32(child.memory + kThrough.value()) == 0) {
    machine::pause();
  }
  return machine::load_u64(child.memory + kFound.value());
}

/// What SINT0 gets only says of whom; the message itself is in the page.
hv::CpuidIntercept take_cpuid(const Child& child, Gpa page) {
  const hv::Message told = take_message();
  GUEST_CHECK(told.header.type == MessageType::kOpaqueIntercept);
  GUEST_CHECK(told.header.payload_size == sizeof(hv::OpaqueInterceptMessage));
  GUEST_CHECK(told.header.origination == static_cast<std::uint64_t>(child.id));
  GUEST_CHECK(told.payload[0] == std::byte{0});
  const hv::Message whole = read_message(page);
  GUEST_CHECK(whole.header.type == MessageType::kX64CpuidIntercept);
  GUEST_CHECK(whole.header.payload_size == sizeof(hv::CpuidIntercept));
  GUEST_CHECK(whole.header.origination == static_cast<std::uint64_t>(child.id));
  hv::CpuidIntercept asked;
  std::memcpy(&asked, whole.payload.data(), sizeof(asked));
  GUEST_CHECK(static_cast<std::uint32_t>(asked.rax) == kLeaf);
  return asked;
}

/// Answers with registers that it changes in the page.
void answer_in_page(const Child& child, Gpa page, const hv::CpuidIntercept& asked,
                    std::uint64_t rbx) {
  RegisterPage registers = read_registers(page);
  GUEST_CHECK(registers.version == RegisterPage::kVersion && registers.is_valid == 1);
  GUEST_CHECK(registers.dirty == 0 && registers.rip == asked.header.rip);
  GUEST_CHECK(registers.rflags == asked.header.rflags && registers.general[0] == asked.rax);
  GUEST_CHECK(registers.general[4] == get(child, RegisterName::kRsp));
  GUEST_CHECK(registers.cr3 == get(child, RegisterName::kCr3));
  GUEST_CHECK(registers.efer == get(child, RegisterName::kEfer));
  GUEST_CHECK(registers.segments[1].selector == 0x08);
  registers.general[3] = rbx;
  registers.rip += asked.header.instruction_length();
  registers.dirty = RegisterPage::kDirtyGeneral | RegisterPage::kDirtyRip;
  write_registers(page, registers);
  resume(child);
}

void root_that_uses_pages() {
  const Child child = begin_root();
  const Gpa message = map_page(child, hv::VpStatePageType::kInterceptMessage);
  const Gpa registers = map_page(child, hv::VpStatePageType::kRegisters);
  child_maker::start(child, 0);
  answer_in_page(child, registers, take_cpuid(child, message), 0x1111);
  // The registers are valid while the VP waits, not after.
  const hv::CpuidIntercept asked = take_cpuid(child, message);
  GUEST_CHECK(asked.rcx == 1);
  answer_in_page(child, registers, asked, 0x2222);
  GUEST_CHECK(read_registers(registers).is_valid == 0 && read_registers(registers).dirty == 0);
  GUEST_CHECK(found_by(child) == 0x2222'0000'1111);
  child_maker::destroy(child);
  end(0);
}

/// What is changed and not marked is not taken over, nor what is marked in a page that is not
/// valid.
void root_that_marks_nothing() {
  const Child child = begin_root();
  const Gpa message = map_page(child, hv::VpStatePageType::kInterceptMessage);
  const Gpa page = map_page(child, hv::VpStatePageType::kRegisters);
  child_maker::start(child, 0);
  for (std::uint32_t round = 0; round < 2; ++round) {
    const hv::CpuidIntercept asked = take_cpuid(child, message);
    RegisterPage registers = read_registers(page);
    registers.general[3] = 0xBAD;
    registers.rip = 0xBAD;
    registers.is_valid = round == 0 ? 1 : 0;
    registers.dirty = round == 0 ? 0 : RegisterPage::kDirtyGeneral | RegisterPage::kDirtyRip;
    write_registers(page, registers);
    child_maker::set_register(child, 0, RegisterName::kRbx, 7 + round);
    child_maker::set_register(child, 0, RegisterName::kRip,
                              asked.header.rip + asked.header.instruction_length());
    resume(child);
  }
  GUEST_CHECK(found_by(child) == 0x8'0000'0007);
  child_maker::destroy(child);
  end(0);
}

/// A page that is not mapped (any more) leaves the whole message to SINT0.
void root_that_unmaps() {
  const Child child = begin_root();
  const Gpa message = map_page(child, hv::VpStatePageType::kInterceptMessage);
  child_maker::start(child, 0);
  const hv::CpuidIntercept asked = take_cpuid(child, message);
  const hv::UnmapVpStatePageInput unmap{child.id, hv::VpIndex{0},
                                        hv::VpStatePageType::kInterceptMessage, 0, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kUnmapVpStatePage), unmap).status() ==
              Status::kSuccess);
  child_maker::set_register(child, 0, RegisterName::kRip,
                            asked.header.rip + asked.header.instruction_length());
  resume(child);
  const hv::Message told = take_message();
  GUEST_CHECK(told.header.type == MessageType::kX64CpuidIntercept);
  GUEST_CHECK(told.header.payload_size == sizeof(hv::CpuidIntercept));
  child_maker::destroy(child);
  end(0);
}

// --- A state that is set ----------------------------------------------------

constexpr std::uint8_t kRestoredVector = 0x51;
constexpr std::uint8_t kTimerVector = 0x52;

void note_interrupt(const machine::InterruptFrame& frame) {
  machine::fetch_or_u32(kThrough, frame.vector == kRestoredVector ? 1 : 2);
  machine::write_msr(x86::kX2ApicEoi, 0);
}

void child_that_is_interrupted() {
  begin();
  machine::set_interrupt_handler(kRestoredVector, note_interrupt);
  machine::set_interrupt_handler(kTimerVector, note_interrupt);
  machine::store_u64(kFound, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

hv::VpStateInput state_of(const Child& child, hv::VpStateType type) {
  hv::VpStateInput input;
  input.partition = child.id;
  input.type = type;
  return input;
}

/// The child waits for interrupts; the state that its parent sets has some.
void root_that_restores() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  while (machine::load_u64(child.memory + kFound.value()) == 0) {
    machine::pause();
  }
  constexpr Gpa kPage{0x920'0000};
  machine::store_u64(kInputPage + sizeof(hv::VpStateInput), kPage.page().value());
  const hv::VpStateInput apic = state_of(child, hv::VpStateType::kLocalApic);
  GUEST_CHECK(
      call(HypercallControl(CallCode::kGetVpState).with_variable_header(1), apic).status() ==
      Status::kSuccess);
  hv::LocalApicState state;
  machine::read_memory(kPage, std::as_writable_bytes(std::span(&state, 1)));
  state.requested[kRestoredVector / 32] |= 1u << kRestoredVector % 32;
  machine::write_memory(kPage, std::as_bytes(std::span(&state, 1)));
  GUEST_CHECK(
      call(HypercallControl(CallCode::kSetVpState).with_variable_header(1), apic).status() ==
      Status::kSuccess);
  while ((machine::load_u32(child.memory + kThrough.value()) & 1) == 0) {
    machine::pause();
  }
  hv::SyntheticTimersState timers;
  timers.timers[2].config = hv::TimerConfig::direct(kTimerVector, hv::TimerConfig::kEnable).value;
  timers.timers[2].count = 1;  // long past
  machine::write_memory(kInputPage + sizeof(hv::VpStateInput),
                        std::as_bytes(std::span(&timers, 1)));
  GUEST_CHECK(call(HypercallControl(CallCode::kSetVpState).with_variable_header(25),
                   state_of(child, hv::VpStateType::kSyntheticTimers))
                  .status() == Status::kSuccess);
  while (machine::load_u32(child.memory + kThrough.value()) != 3) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

void require_pass(void (*root)(), void (*child)() = child_that_asks) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const sim::RunResult result = run(world_with_child(root, child), seed);
    INFO(describe(result));
    CHECK(result.passed());
  }
}

}  // namespace

TEST_CASE("an intercept's message and registers are in their pages", "[hv][state_pages]") {
  require_pass(root_that_uses_pages);
}

TEST_CASE("registers of a page count only if it is valid and they are marked",
          "[hv][state_pages]") {
  require_pass(root_that_marks_nothing);
}

TEST_CASE("without its page the whole message goes to SINT0", "[hv][state_pages]") {
  require_pass(root_that_unmaps);
}

TEST_CASE("interrupts and timers of a state that is set reach their VP", "[hv][state_pages]") {
  require_pass(root_that_restores, child_that_is_interrupted);
}
