// INS and OUTS: at ports that nobody has, and what the parent hears of them at others. The seam has
// neither, so the child makes their exits itself.
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <optional>
#include <span>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "sim/computer.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterceptHeader;
using hv::MessageType;
using hv::RegisterName;
using hv::Status;
using machine::Exception;
using machine::Gpa;
using sim::vtx::IoAccess;
namespace x86 = machine::x86;

constexpr std::uint16_t kNobodys = 0x1F0;
constexpr std::uint16_t kParents = 0x170;
constexpr std::uint64_t kDirectionFlag = 1u << 10;
/// Memory of the child's, of two pages, and what it holds.
constexpr Gpa kBuffer{0x48'0000};
constexpr std::uint64_t kBufferBytes = 2 * machine::kPageSize;
constexpr std::uint8_t kBefore = 0x11;
/// Where the child's page tables have nothing.
constexpr std::uint64_t kNowhere = 1ull << 40;

struct Registers {
  std::uint64_t rcx = 0;
  std::uint64_t rsi = 0;
  std::uint64_t rdi = 0;
  friend bool operator==(const Registers&, const Registers&) = default;
};

/// Executes the instruction, as often as the hypervisor has it executed again. What it raised, if
/// it did; the registers are as the exception found them then.
std::optional<Exception> execute(const IoAccess& access, Registers& registers) {
  sim::Computer& computer = *sim::current_computer;
  for (;;) {
    machine::pause();
    sim::LogicalProcessor& here = computer.here();
    const auto exit = here.vtx.io(access);
    GUEST_CHECK(exit.has_value());
    here.registers.rdx = access.port;
    here.registers.rcx = registers.rcx;
    here.registers.rsi = registers.rsi;
    here.registers.rdi = registers.rdi;
    Exception raised;
    const sim::Resume resume = computer.exit_guest(*exit, sim::instructions::kMoveString, &raised);
    const machine::GuestRegisters& after = computer.here().registers;
    registers = {after.rcx, after.rsi, after.rdi};
    if (resume == sim::Resume::kComplete) {
      return std::nullopt;
    }
    if (resume == sim::Resume::kFault) {
      return raised;
    }
  }
}
std::uint64_t& flags() { return sim::current_computer->here().vtx.guest().rflags; }

constexpr IoAccess ins(std::uint8_t size_bytes, bool repeated) {
  return {
      .port = kNobodys, .size_bytes = size_bytes, .in = true, .string = true, .repeated = repeated};
}
constexpr IoAccess outs(std::uint8_t size_bytes, bool repeated) {
  return {.port = kNobodys, .size_bytes = size_bytes, .string = true, .repeated = repeated};
}

void clear_buffer() { machine::fill_memory(kBuffer, kBufferBytes, kBefore); }
/// Ones from `first` on, and nothing else changed.
bool has_ones(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t offset = 0; offset < kBufferBytes; ++offset) {
    const bool filled = offset >= first && offset < first + count;
    if (machine::load_u8(kBuffer + offset) != (filled ? 0xFF : kBefore)) {
      return false;
    }
  }
  return true;
}
Registers at(std::uint64_t offset, std::uint64_t count) {
  return {.rcx = count, .rsi = 0x77, .rdi = kBuffer.value() + offset};
}

void reads_ones(const IoAccess& access, std::uint64_t offset, std::uint64_t count) {
  clear_buffer();
  Registers registers = at(offset, count);
  const std::uint64_t bytes = (access.repeated ? count : 1) * access.size_bytes;
  GUEST_CHECK(!execute(access, registers));
  GUEST_CHECK(has_ones(offset, bytes));
  GUEST_CHECK((registers ==
               Registers{access.repeated ? 0 : count, 0x77, kBuffer.value() + offset + bytes}));
}

void read_downwards() {
  flags() |= kDirectionFlag;
  clear_buffer();
  // 600 words down to the page's beginning and on into the first page, one across.
  Registers registers = at(machine::kPageSize + 401, 600);
  GUEST_CHECK(!execute(ins(2, true), registers));
  GUEST_CHECK(has_ones(machine::kPageSize + 401 - 2 * 599, 1200));
  GUEST_CHECK(registers.rcx == 0 &&
              registers.rdi == kBuffer.value() + machine::kPageSize + 401 - 1200);
  flags() &= ~kDirectionFlag;
}

/// 32-bit addresses have no upper half, and leave none.
void read_by_short_addresses() {
  IoAccess access = ins(4, true);
  access.address_size_bytes = 4;
  clear_buffer();
  constexpr std::uint64_t kAbove = 0xABCD'0000'0000'0000;
  Registers registers{kAbove | 3, 0x77, kAbove | kBuffer.value()};
  GUEST_CHECK(!execute(access, registers));
  GUEST_CHECK(has_ones(0, 12) && registers.rcx == 0 && registers.rdi == kBuffer.value() + 12);
}

void write_to_nobody() {
  clear_buffer();
  Registers registers{5000, kBuffer.value(), 0x99};
  GUEST_CHECK(!execute(outs(2, true), registers));
  GUEST_CHECK((registers == Registers{0, kBuffer.value() + 10'000, 0x99}));
  GUEST_CHECK(!execute(outs(4, false), registers));
  GUEST_CHECK((registers == Registers{0, kBuffer.value() + 10'004, 0x99}));
  IoAccess access = outs(1, true);
  access.address_size_bytes = 2;
  registers = {0x5'0002, 0x1'FFFF, 0};
  GUEST_CHECK(!execute(access, registers));
  GUEST_CHECK((registers == Registers{0x5'0000, 0x1'0001, 0}));
  GUEST_CHECK(has_ones(0, 0));
}

void read_where_it_may_not() {
  Registers registers{4, 0, kNowhere};
  const auto not_present = execute(ins(1, true), registers);
  GUEST_CHECK(not_present == (Exception{x86::kVectorPageFault, 2}));
  GUEST_CHECK((registers == Registers{4, 0, kNowhere}));
  GUEST_CHECK(sim::current_computer->here().registers.cr2 == kNowhere);
  registers.rdi = kHypercallPage.value();
  GUEST_CHECK(execute(ins(1, true), registers) == (Exception{x86::kVectorGeneralProtection, 0}));
  registers.rdi = child_maker::kHole.value() + 8;
  GUEST_CHECK(!execute(ins(1, true), registers));
  GUEST_CHECK(machine::load_u64(child_maker::kHole + 8) == 0xFFFF'FFFF);
}

void child_with_strings() {
  begin();
  reads_ones(ins(1, true), 0xF80, 1500);
  reads_ones(ins(2, false), 0xFFF, 7);
  reads_ones(ins(4, true), 0xFFE, 700);
  reads_ones(ins(1, true), 8, 0);
  read_downwards();
  read_by_short_addresses();
  write_to_nobody();
  read_where_it_may_not();
  machine::store_u64(child_maker::kSharedWord, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

Child begin_root() {
  begin();
  machine::set_interrupt_handler(0x30, acknowledge);
  machine::write_msr(hv::kMsrSint0, 0x30);
  return child_maker::make("child");
}

template <class Payload>
Payload take(MessageType type) {
  while (machine::load_u32(kMessagePage) == 0) {
    machine::sti_hlt();
  }
  hv::Message message;
  machine::read_memory(kMessagePage, std::as_writable_bytes(std::span(&message, 1)));
  machine::store_u32(kMessagePage, 0);
  GUEST_CHECK(message.header.type == type);
  Payload payload;
  std::memcpy(&payload, message.payload.data(), sizeof(payload));
  return payload;
}

void resume(const Child& child) {
  child_maker::set_register(child, 0, RegisterName::kInterceptSuspend, 0);
}

void root_of_strings() {
  const Child child = begin_root();
  child_maker::start(child, 0);
  // The one thing that the parent hears of: a page that is not there.
  const auto access = take<hv::MemoryIntercept>(MessageType::kUnmappedGpa);
  GUEST_CHECK(access.header.access == hv::InterceptAccess::kWrite);
  GUEST_CHECK(access.gpa == child_maker::kHole.value() + 8);
  child_maker::map_hole(child);
  resume(child);
  while (machine::load_u64(child.memory + child_maker::kSharedWord.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

// --- What the parent hears -----------------------------------------------------------------------

void child_of_parents_port() {
  begin();
  machine::write_msr(x86::kX2ApicTpr, 0x50);
  machine::out_u8(kParents, 1);
  Registers registers{0x1111, 0x2222, 0x3333};
  IoAccess access = ins(2, true);
  access.port = kParents;
  static_cast<void>(execute(access, registers));
  GUEST_CHECK((registers == Registers{0x1111, 0x2222, 0x3333}));
  machine::store_u32(child_maker::kHole, 1);
  machine::store_u64(child_maker::kSharedWord, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

std::uint64_t get(const Child& child, RegisterName name) {
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

void go_on_behind(const Child& child, const InterceptHeader& header) {
  child_maker::set_register(child, 0, RegisterName::kRip, header.rip + header.instruction_length());
  resume(child);
}

/// An ES that is told from DS by its selector.
void set_extra_segment(const Child& child) {
  const hv::SegmentRegister segment{0, ~0u, 0x20, hv::kSegmentData};
  const hv::RegisterAssignment assignment{
      RegisterName::kEs, {}, std::bit_cast<hv::RegisterValue>(segment)};
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetVpRegisters), header,
                   std::span<const hv::RegisterAssignment>(&assignment, 1))
                  .status() == Status::kSuccess);
}

void check_string_message(const hv::IoPortIntercept& message) {
  GUEST_CHECK(message.port == kParents && message.access_info == (2 | 1u << 3 | 1u << 4));
  GUEST_CHECK(message.header.access == hv::InterceptAccess::kRead);
  GUEST_CHECK(message.rcx == 0x1111 && message.rsi == 0x2222 && message.rdi == 0x3333);
  GUEST_CHECK(message.ds.selector == 0x10 && message.es.selector == 0x20);
  GUEST_CHECK(message.instruction_byte_count == 16);
  GUEST_CHECK(message.instruction_bytes[0] == 0xF3 && message.instruction_bytes[1] == 0xA4);
}

void root_of_port() {
  constexpr std::uint64_t kAlignmentMask = 1u << 18;
  constexpr std::uint16_t kAlways = InterceptHeader::kCr0Pe | InterceptHeader::kEferLma;
  const Child child = begin_root();
  const hv::InstallInterceptInput input{child.id,
                                        hv::kInterceptAccessRead | hv::kInterceptAccessWrite,
                                        hv::InterceptType::kX64IoPort, kParents};
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), input).status() ==
              Status::kSuccess);
  child_maker::start(child, 0);
  const auto plain = take<hv::IoPortIntercept>(MessageType::kX64IoPortIntercept);
  GUEST_CHECK(plain.header.execution_state == kAlways);
  GUEST_CHECK(plain.header.length_and_cr8 >> 4 == 5);
  GUEST_CHECK(plain.rcx == 0 && plain.rsi == 0 && plain.rdi == 0);
  // The same instruction again, with all that the state can show.
  set_extra_segment(child);
  child_maker::set_register(child, 0, RegisterName::kCr0,
                            get(child, RegisterName::kCr0) | kAlignmentMask);
  child_maker::set_register(child, 0, RegisterName::kDr7, 0x401);
  child_maker::set_register(child, 0, RegisterName::kInterruptState, 1);
  resume(child);
  const auto state = take<hv::IoPortIntercept>(MessageType::kX64IoPortIntercept);
  GUEST_CHECK(state.header.execution_state ==
              (kAlways | InterceptHeader::kCr0Am | InterceptHeader::kDebugActive |
               InterceptHeader::kInterruptShadow));
  child_maker::set_register(child, 0, RegisterName::kDr7, 0x400);
  child_maker::set_register(child, 0, RegisterName::kInterruptState, 0);
  go_on_behind(child, state.header);
  const auto string = take<hv::IoPortIntercept>(MessageType::kX64IoPortIntercept);
  check_string_message(string);
  GUEST_CHECK(string.header.execution_state == (kAlways | InterceptHeader::kCr0Am));
  go_on_behind(child, string.header);
  const auto access = take<hv::MemoryIntercept>(MessageType::kUnmappedGpa);
  GUEST_CHECK(access.tpr_priority == 5);
  child_maker::map_hole(child);
  resume(child);
  while (machine::load_u64(child.memory + child_maker::kSharedWord.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

void passes(void (*root)(), void (*child)()) {
  const sim::RunResult result = test_kernel::run(test_kernel::world_with_child(root, child));
  INFO(test_kernel::describe(result));
  CHECK(result.passed());
}

}  // namespace

TEST_CASE("what a child reads from nobody's port in strings are ones, and what it writes is lost",
          "[hv][intercept]") {
  passes(root_of_strings, child_with_strings);
}

TEST_CASE("a parent hears all that it needs to carry out string I/O, and the state of its child",
          "[hv][intercept]") {
  passes(root_of_port, child_of_parents_port);
}
