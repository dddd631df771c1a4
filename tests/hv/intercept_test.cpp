// Each kind of intercept, from the child's instruction to the parent's answer, on the whole
// hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>

#include "hv/apic/interrupt_command.h"
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
using hv::InterceptAccess;
using hv::InterceptHeader;
using hv::InterceptType;
using hv::MessageType;
using hv::RegisterName;
using hv::Status;
namespace x86 = machine::x86;

constexpr std::uint32_t kReadWrite = hv::kInterceptAccessRead | hv::kInterceptAccessWrite;
constexpr std::uint32_t kExecute = hv::kInterceptAccessExecute;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

/// The child's words for the root: what it found, and that it is through.
constexpr machine::Gpa kFound = child_maker::kSharedWord;
constexpr machine::Gpa kThrough{child_maker::kSharedWord.value() + 8};

void tell(std::uint64_t found) {
  machine::store_u64(kFound, found);
  machine::store_u32(kThrough, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

Child begin_root() {
  begin();
  machine::set_interrupt_handler(0x30, acknowledge);
  machine::write_msr(hv::kMsrSint0, 0x30);
  return child_maker::make("child");
}

void install(const Child& child, InterceptType type, std::uint32_t mask, std::uint64_t parameter) {
  const hv::InstallInterceptInput input{child.id, mask, type, parameter};
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), input).status() ==
              Status::kSuccess);
}

template <class Payload>
Payload take(const Child& child, MessageType type) {
  const hv::Message message = take_message();
  GUEST_CHECK(message.header.type == type);
  GUEST_CHECK(message.header.payload_size == sizeof(Payload));
  GUEST_CHECK(message.header.origination == static_cast<std::uint64_t>(child.id));
  Payload payload;
  std::memcpy(&payload, message.payload.data(), sizeof(payload));
  return payload;
}

std::uint64_t get(const Child& child, RegisterName name) {
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}
void set(const Child& child, RegisterName name, std::uint64_t value) {
  child_maker::set_register(child, 0, name, value);
}
void resume(const Child& child) { set(child, RegisterName::kInterceptSuspend, 0); }
/// The instruction is done; the child goes on behind it.
void complete(const Child& child, const InterceptHeader& header) {
  GUEST_CHECK(header.instruction_length() != 0);
  GUEST_CHECK(get(child, RegisterName::kRip) == header.rip);
  set(child, RegisterName::kRip, header.rip + header.instruction_length());
  resume(child);
}

/// 64-bit kernel code that waits for nothing.
void require_kernel_mode(const InterceptHeader& header) {
  GUEST_CHECK(header.vp == hv::VpIndex{0});
  GUEST_CHECK(header.execution_state == (InterceptHeader::kCr0Pe | InterceptHeader::kEferLma));
  GUEST_CHECK(header.cs.selector == 0x08);
  GUEST_CHECK((header.rflags & x86::kRflagsFixed) != 0);
}

std::uint64_t found_by(const Child& child) {
  while (machine::load_u32(child.memory + kThrough.value()) == 0) {
    machine::pause();
  }
  return machine::load_u64(child.memory + kFound.value());
}

[[noreturn]] void end_with(const Child& child) {
  child_maker::destroy(child);
  end(0);
}

// --- Port I/O ---------------------------------------------------------------

void child_with_ports() {
  begin();
  machine::out_u16(0x81, 0xABCD);
  const std::uint32_t heard = machine::in_u32(0x80);
  tell(heard + (std::uint64_t{machine::in_u8(0x90)} << 32));
}

void root_with_ports() {
  const Child child = begin_root();
  install(child, InterceptType::kX64IoPortRange, kReadWrite, 0x80 | (0x90u << 16));
  install(child, InterceptType::kX64IoPort, hv::kInterceptAccessNone, 0x90);  // out of the range
  child_maker::start(child, 0);
  const auto out = take<hv::IoPortIntercept>(child, MessageType::kX64IoPortIntercept);
  require_kernel_mode(out.header);
  GUEST_CHECK(out.header.access == InterceptAccess::kWrite);
  GUEST_CHECK(out.port == 0x81 && out.access_info == 2 && (out.rax & 0xFFFF) == 0xABCD);
  complete(child, out.header);
  const auto in = take<hv::IoPortIntercept>(child, MessageType::kX64IoPortIntercept);
  GUEST_CHECK(in.header.access == InterceptAccess::kRead);
  GUEST_CHECK(in.port == 0x80 && in.access_info == 4 && in.instruction_byte_count == 0);
  set(child, RegisterName::kRax, 0x1234'5678);
  complete(child, in.header);
  // What nobody wants reads all-ones.
  GUEST_CHECK(found_by(child) == 0xFF'1234'5678);
  end_with(child);
}

// --- MSRs -------------------------------------------------------------------

constexpr std::uint32_t kReadMsr = 0x1234;
constexpr std::uint32_t kWrittenMsr = 0x1235;

void child_with_msrs() {
  begin();
  const bool unknown = !machine::try_write_msr(kReadMsr, 1).has_value();
  machine::write_msr(kWrittenMsr, 0x1122'3344'5566'7788);
  tell(machine::read_msr(kReadMsr) + (unknown ? 1 : 0));
}

void root_with_msrs() {
  const Child child = begin_root();
  install(child, InterceptType::kX64MsrIndex, hv::kInterceptAccessRead, kReadMsr);
  install(child, InterceptType::kX64MsrIndex, hv::kInterceptAccessWrite, kWrittenMsr);
  child_maker::start(child, 0);
  const auto write = take<hv::MsrIntercept>(child, MessageType::kX64MsrIntercept);
  require_kernel_mode(write.header);
  GUEST_CHECK(write.header.access == InterceptAccess::kWrite && write.msr == kWrittenMsr);
  GUEST_CHECK(write.rdx == 0x1122'3344 && write.rax == 0x5566'7788);
  complete(child, write.header);
  const auto read = take<hv::MsrIntercept>(child, MessageType::kX64MsrIntercept);
  GUEST_CHECK(read.header.access == InterceptAccess::kRead && read.msr == kReadMsr);
  set(child, RegisterName::kRax, 0x40);
  set(child, RegisterName::kRdx, 0x7);
  complete(child, read.header);
  GUEST_CHECK(found_by(child) == 0x7'0000'0041);
  end_with(child);
}

// --- CPUID ------------------------------------------------------------------

constexpr std::uint32_t kLeaf = 0x4000'0001;

void child_with_leaves() {
  begin();
  tell(machine::cpuid(kLeaf, 5).ebx);
}

void answer_leaf(const Child& child, InterceptType type, std::uint64_t parameter) {
  install(child, type, kExecute, parameter);
  child_maker::start(child, 0);
  const auto asked = take<hv::CpuidIntercept>(child, MessageType::kX64CpuidIntercept);
  require_kernel_mode(asked.header);
  GUEST_CHECK(asked.header.access == InterceptAccess::kExecute);
  GUEST_CHECK(static_cast<std::uint32_t>(asked.rax) == kLeaf && asked.rcx == 5);
  GUEST_CHECK(asked.default_rax == hv::kInterfaceHv1);
  set(child, RegisterName::kRbx, 0x5A5A);
  complete(child, asked.header);
  GUEST_CHECK(found_by(child) == 0x5A5A);
  end_with(child);
}
void root_with_leaf() { answer_leaf(begin_root(), InterceptType::kX64Cpuid, kLeaf); }
void root_with_all_leaves() { answer_leaf(begin_root(), InterceptType::kX64GlobalCpuid, 0); }

hv::InterceptResultInput leaf_result(const Child& child, bool always) {
  hv::CpuidResultParameters answer;
  answer.leaf = kLeaf;
  answer.subleaf = 5;
  answer.subleaf_specific = 1;
  answer.always_override = always ? 1 : 0;
  answer.ebx = 0xFFFF;
  answer.ebx_mask = 0x0F0F;
  hv::InterceptResultInput input{child.id, hv::VpIndex{0}, InterceptType::kX64Cpuid, {}, 0};
  std::memcpy(input.parameters.data(), &answer, sizeof(answer));
  return input;
}

void root_that_answers_before() {
  const Child child = begin_root();
  GUEST_CHECK(call(HypercallControl(CallCode::kRegisterInterceptResult), leaf_result(child, false))
                  .status() == Status::kSuccess);
  install(child, InterceptType::kX64Cpuid, kExecute, kLeaf);
  child_maker::start(child, 0);
  GUEST_CHECK(found_by(child) == 0x0F0F);
  GUEST_CHECK(machine::load_u32(kMessagePage) == 0);
  end_with(child);
}
void root_that_overrides() {
  const Child child = begin_root();
  GUEST_CHECK(call(HypercallControl(CallCode::kRegisterInterceptResult), leaf_result(child, true))
                  .status() == Status::kSuccess);
  child_maker::start(child, 0);
  GUEST_CHECK(found_by(child) == 0x0F0F);
  end_with(child);
}

// --- Exceptions -------------------------------------------------------------

void child_with_exceptions() {
  begin();
  tell(machine::read_xcr0());  // #UD as long as CR4.OSXSAVE is clear
}

void root_with_exceptions() {
  const Child child = begin_root();
  install(child, InterceptType::kException, kExecute, x86::kVectorInvalidOpcode);
  child_maker::start(child, 0);
  const auto raised = take<hv::ExceptionIntercept>(child, MessageType::kExceptionIntercept);
  require_kernel_mode(raised.header);
  GUEST_CHECK(raised.vector == x86::kVectorInvalidOpcode);
  GUEST_CHECK(raised.info == 0 && raised.error_code == 0 && raised.parameter == 0);
  GUEST_CHECK(raised.general[4] == get(child, RegisterName::kRsp));
  GUEST_CHECK(raised.ss.attributes == hv::kSegmentData);
  set(child, RegisterName::kCr4, get(child, RegisterName::kCr4) | x86::kCr4Osxsave);
  resume(child);
  GUEST_CHECK(found_by(child) == get(child, RegisterName::kXfem));
  end_with(child);
}

void fault_once(const machine::InterruptFrame& frame) {
  machine::store_u64(kFound, frame.vector + (frame.error_code << 8));
}

void child_that_gets_a_fault() {
  begin();
  machine::set_interrupt_handler(x86::kVectorPageFault, fault_once);
  machine::store_u32(child_maker::kHole, 1);
  tell(machine::load_u64(kFound));
}

/// The parent answers an access to an unmapped page with a page fault, once. One without an error
/// code has 0: the processor takes none without.
void inject_a_fault(std::uint64_t code, std::uint64_t expected_code) {
  const Child child = begin_root();
  child_maker::start(child, 0);
  const auto access = take<hv::MemoryIntercept>(child, MessageType::kUnmappedGpa);
  GUEST_CHECK(access.instruction_byte_count == 16);
  GUEST_CHECK(access.gva == child_maker::kHole.value());
  GUEST_CHECK(access.general[4] == get(child, RegisterName::kRsp));
  hv::RegisterAssignment event{RegisterName::kPendingEvent0, {}, {}};
  event.value.low = hv::kPendingEventPresent | (std::uint64_t{x86::kVectorPageFault} << 16) | code;
  event.value.high = access.gva;
  const std::array<hv::RegisterAssignment, 2> elements{
      {event, {RegisterName::kInterceptSuspend, {}, {}}}};
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetVpRegisters), header,
                   std::span<const hv::RegisterAssignment>(elements))
                  .status() == Status::kSuccess);
  const auto again = take<hv::MemoryIntercept>(child, MessageType::kUnmappedGpa);
  GUEST_CHECK(again.gpa == access.gpa);
  GUEST_CHECK(get(child, RegisterName::kCr2) == access.gva);
  GUEST_CHECK(get(child, RegisterName::kPendingEvent0) == 0);
  child_maker::map_hole(child);
  resume(child);
  GUEST_CHECK(found_by(child) == x86::kVectorPageFault + (expected_code << 8));
  end_with(child);
}
void root_that_injects_a_fault() {
  inject_a_fault(hv::kPendingEventDeliverErrorCode | (std::uint64_t{2} << 32), 2);
}
void root_that_leaves_the_code_away() { inject_a_fault(0, 0); }

// --- Hypercalls -------------------------------------------------------------

constexpr std::uint64_t kNoSuchCall = 0x1FE;

void child_with_a_call() {
  begin();
  tell(machine::hypercall(kHypercallPage, kNoSuchCall, 0x11, 0x22));
}

void root_with_a_call() {
  const Child child = begin_root();
  install(child, InterceptType::kHypercall, kExecute, 0);
  child_maker::start(child, 0);
  const auto made = take<hv::HypercallIntercept>(child, MessageType::kHypercallIntercept);
  require_kernel_mode(made.header);
  GUEST_CHECK(made.rcx == kNoSuchCall && made.rdx == 0x11 && made.r8 == 0x22);
  GUEST_CHECK(made.header.instruction_length() == 3);
  set(child, RegisterName::kRax, 0x77);
  complete(child, made.header);
  GUEST_CHECK(found_by(child) == 0x77);
  end_with(child);
}

void child_that_signals_nobody() {
  begin();
  const auto signal = HypercallControl(CallCode::kSignalEvent).fast();
  tell(machine::hypercall(kHypercallPage, signal.value(), 0x99, 0));
}

void root_with_unknown_connections() {
  const Child child = begin_root();
  install(child, InterceptType::kUnknownSynicConnection, kExecute, 0);
  child_maker::start(child, 0);
  const auto made = take<hv::HypercallIntercept>(child, MessageType::kHypercallIntercept);
  GUEST_CHECK(made.rdx == 0x99);
  set(child, RegisterName::kRax, 0);
  complete(child, made.header);
  GUEST_CHECK(found_by(child) == 0);
  end_with(child);
}
void root_without_unknown_connections() {
  const Child child = begin_root();
  install(child, InterceptType::kUnknownSynicConnection, kExecute, 0);
  install(child, InterceptType::kUnknownSynicConnection, 0, 0);
  child_maker::start(child, 0);
  GUEST_CHECK(found_by(child) == static_cast<std::uint64_t>(Status::kInvalidConnectionId));
  end_with(child);
}

// --- Devices ----------------------------------------------------------------

void child_with_a_device() {
  begin();
  hv::RetargetDeviceInterruptInput input;
  input.partition = hv::kPartitionIdSelf;
  input.device = 0x1234;
  input.entry = {hv::InterruptSource::kMsi, 0, 0x41'FEE0'0000};
  input.target = {0x50, 0, 1};
  tell(call(HypercallControl(CallCode::kRetargetDeviceInterrupt), input).value());
}

void root_with_devices() {
  const Child child = begin_root();
  install(child, InterceptType::kRetargetUnknownDevice, kExecute, 0);
  child_maker::start(child, 0);
  const auto made = take<hv::HypercallIntercept>(child, MessageType::kHypercallIntercept);
  GUEST_CHECK(HypercallControl(made.rcx).code() ==
              static_cast<std::uint16_t>(CallCode::kRetargetDeviceInterrupt));
  GUEST_CHECK(machine::load_u64(child.memory + (made.rdx + 8)) == 0x1234);
  set(child, RegisterName::kRax, 0);
  complete(child, made.header);
  GUEST_CHECK(found_by(child) == 0);
  end_with(child);
}
void root_without_devices() {
  const Child child = begin_root();
  child_maker::start(child, 0);
  GUEST_CHECK(found_by(child) == static_cast<std::uint64_t>(Status::kInvalidDeviceId));
  end_with(child);
}

// --- Startup IPIs -----------------------------------------------------------

constexpr std::uint8_t kStartVector = 0x9F;

void child_that_starts_another() {
  begin();
  constexpr std::uint64_t kSecond = 1ull << hv::InterruptCommand::kDestinationShift;
  constexpr std::uint64_t kStartup = 6ull << hv::InterruptCommand::kDeliveryShift;
  machine::write_msr(x86::kX2ApicIcr, kSecond | kStartup | kStartVector);
  while (machine::load_u64(kFound) != 2) {
    machine::pause();
  }
  tell(3);
}
void second_of_child() {
  machine::store_u64(kFound, 2);
  for (;;) {
    machine::sti_hlt();
  }
}

/// The root starts the second processor itself, where it likes.
void root_that_starts_processors() {
  begin();
  machine::set_interrupt_handler(0x30, acknowledge);
  machine::write_msr(hv::kMsrSint0, 0x30);
  const Child child = child_maker::make("child", 2);
  install(child, InterceptType::kX64ApicInitSipi, hv::kInterceptAccessWrite, 0);
  child_maker::start(child, 0);
  const auto sent = take<hv::SipiIntercept>(child, MessageType::kX64SipiIntercept);
  require_kernel_mode(sent.header);
  GUEST_CHECK(sent.header.access == InterceptAccess::kWrite);
  GUEST_CHECK(sent.target_vp == hv::VpIndex{1} && sent.vector == kStartVector);
  child_maker::start(child, 1);
  complete(child, sent.header);
  GUEST_CHECK(found_by(child) == 3);
  end_with(child);
}

// --- What is deliverable ----------------------------------------------------

void child_that_opens_late() {
  begin();
  machine::store_u32(kThrough, 1);
  while (machine::load_u32(kThrough) == 1) {
    machine::pause();
  }
  for (;;) {
    machine::sti_hlt();
  }
}

void root_that_waits_for_a_window() {
  const Child child = begin_root();
  child_maker::start(child, 0);
  (void)found_by(child);  // its interrupts are disabled
  set(child, RegisterName::kDeliverabilityNotifications, hv::kNotifyInterrupt | hv::kNotifyNmi);
  const auto nmi =
      take<hv::InterruptionDeliverable>(child, MessageType::kX64InterruptionDeliverable);
  GUEST_CHECK(nmi.type == static_cast<std::uint8_t>(hv::InterruptionType::kNmi));
  GUEST_CHECK(get(child, RegisterName::kDeliverabilityNotifications) == hv::kNotifyInterrupt);
  resume(child);
  machine::store_u32(child.memory + kThrough.value(), 2);
  const auto window =
      take<hv::InterruptionDeliverable>(child, MessageType::kX64InterruptionDeliverable);
  GUEST_CHECK(window.type == static_cast<std::uint8_t>(hv::InterruptionType::kInterrupt));
  GUEST_CHECK(get(child, RegisterName::kDeliverabilityNotifications) == 0);
  end_with(child);
}

void root_that_waits_for_slots() {
  const Child child = begin_root();
  child_maker::start(child, 0);
  (void)found_by(child);
  constexpr std::uint64_t kSints = (1u << 2) | (1u << 5);
  set(child, RegisterName::kDeliverabilityNotifications, kSints << hv::kNotifySintShift);
  const auto free = take<hv::SynicSintDeliverable>(child, MessageType::kSynicSintDeliverable);
  GUEST_CHECK(free.sint_mask == kSints);
  end_with(child);
}

void require_pass(void (*root)(), void (*child)()) {
  for (const std::uint32_t processors : {1u, 2u}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const sim::RunResult result = run(world_with_child(root, child, nullptr, processors), seed);
      INFO("seed " << seed << ", " << processors << " processors " << describe(result));
      REQUIRE(result.passed());
    }
  }
}

}  // namespace

TEST_CASE("a parent does its child's port I/O", "[hv][intercept]") {
  require_pass(root_with_ports, child_with_ports);
}

TEST_CASE("a parent has MSRs for its child, to read or to write", "[hv][intercept]") {
  require_pass(root_with_msrs, child_with_msrs);
}

TEST_CASE("a parent answers one CPUID leaf, or all", "[hv][intercept]") {
  require_pass(root_with_leaf, child_with_leaves);
  require_pass(root_with_all_leaves, child_with_leaves);
}

TEST_CASE("a CPUID answer that is registered needs no intercept message", "[hv][intercept]") {
  require_pass(root_that_answers_before, child_with_leaves);
  require_pass(root_that_overrides, child_with_leaves);
}

TEST_CASE("an exception stops at the parent before the child takes it", "[hv][intercept]") {
  require_pass(root_with_exceptions, child_with_exceptions);
}

TEST_CASE("an exception that the parent asks for comes with its address", "[hv][intercept]") {
  require_pass(root_that_injects_a_fault, child_that_gets_a_fault);
}

TEST_CASE("an exception that the parent asks for without its error code has one of 0",
          "[hv][intercept]") {
  require_pass(root_that_leaves_the_code_away, child_that_gets_a_fault);
}

TEST_CASE("a call that the hypervisor does not have is the parent's", "[hv][intercept]") {
  require_pass(root_with_a_call, child_with_a_call);
}

TEST_CASE("a post to nobody is the parent's if it wants it", "[hv][intercept]") {
  require_pass(root_with_unknown_connections, child_that_signals_nobody);
  require_pass(root_without_unknown_connections, child_that_signals_nobody);
}

TEST_CASE("a device that the hypervisor does not know is the parent's if it wants it",
          "[hv][intercept]") {
  require_pass(root_with_devices, child_with_a_device);
  require_pass(root_without_devices, child_with_a_device);
}

TEST_CASE("a parent starts its child's processors if it wants to", "[hv][intercept]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(
        world_with_child(root_that_starts_processors, child_that_starts_another, second_of_child),
        seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("a parent hears when its child can take an NMI or an interrupt", "[hv][intercept]") {
  require_pass(root_that_waits_for_a_window, child_that_opens_late);
}

TEST_CASE("a parent hears which message slots of its child are free", "[hv][intercept]") {
  require_pass(root_that_waits_for_slots, child_that_opens_late);
}
