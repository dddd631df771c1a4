// The guest link set of machine/ (guest.h). Every access goes through the model's TLB and EPT.
#include "machine/guest.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "machine/x86.h"
#include "sim/computer.h"
#include "sim/memory_operations.h"

namespace machine {

using sim::Computer;
using sim::Operation;
using sim::Resume;
using sim::vtx::Access;
namespace cost = sim::cost;
namespace instructions = sim::instructions;

namespace {

// What is rare is in functions of its own, so that the rest needs no frame.

[[noreturn, gnu::cold, gnu::noinline]] void report_misaligned(Gpa address, std::size_t size) {
  sim::current_computer->violation("words are naturally aligned",
                                   "a guest accesses " + std::to_string(size) + " bytes at GPA " +
                                       std::to_string(address.value()));
}

template <class Word>
void require_aligned(Gpa address) {
  if (address.value() % sizeof(Word) != 0) [[unlikely]] {
    report_misaligned(address, sizeof(Word));
  }
}

/// Where no RAM is.
template <class Word>
[[gnu::cold, gnu::noinline]] Word load_device(Computer& self, Spa where) {
  if (!sim::Board::has_device_at(where.value(), sizeof(Word))) {
    return static_cast<Word>(~Word{0});
  }
  const Computer::DevicesAct devices(self);
  return static_cast<Word>(self.board().read_device(where.value()));
}

template <class Word>
[[gnu::cold, gnu::noinline]] void store_device(Computer& self, Spa where, Word value) {
  if (sim::Board::has_device_at(where.value(), sizeof(Word))) {
    const Computer::DevicesAct devices(self);
    self.board().write_device(where.value(), static_cast<std::uint32_t>(value));
  }
}

template <class Word>
Word load_at(Computer& self, Gpa address, Spa where) {
  const std::byte* const from = std::as_const(self.memory()).word(where, sizeof(Word));
  self.observe(self.memory().key(where));
  const Word value = from != nullptr ? sim::load_word<Word>(from) : load_device<Word>(self, where);
  return static_cast<Word>(self.record(Operation::kLoad, address.value(), sizeof(Word), value));
}

template <class Word>
[[gnu::noinline]] Word load_slowly(Computer& self, Gpa address) {
  for (;; self.pass(cost::kSharedLoad)) {
    const auto where = self.here().vtx.translate(address, Access::kRead);
    if (where) {
      return load_at<Word>(self, address, *where);
    }
    self.here().registers.rdi = address.value();
    if (self.exit_guest(where.error(), instructions::load<Word>()) == Resume::kComplete) {
      const auto value = static_cast<Word>(self.here().registers.rax);
      return static_cast<Word>(self.record(Operation::kLoad, address.value(), sizeof(Word), value));
    }
    address = Gpa(self.here().registers.rdi);
  }
}

template <class Word>
Word load(Gpa address) {
  Computer& self = *sim::current_computer;
  self.require_guest("load");
  require_aligned<Word>(address);
  self.pass(cost::kSharedLoad);
  if (const auto where = self.here().vtx.find_translation(address, Access::kRead)) [[likely]] {
    return load_at<Word>(self, address, *where);
  }
  return load_slowly<Word>(self, address);
}

template <class Word>
void store_at(Computer& self, Gpa address, Spa where, Word value) {
  std::byte* const to = self.memory().word(where, sizeof(Word));
  const auto stored =
      static_cast<Word>(self.record(Operation::kStore, address.value(), sizeof(Word), value));
  if (to != nullptr) [[likely]] {
    self.publish(self.memory().key(where));
    sim::store_word<Word>(to, stored);
  } else {
    store_device<Word>(self, where, stored);
  }
}

template <class Word>
[[gnu::noinline]] void store_slowly(Computer& self, Gpa address, Word value) {
  for (;; self.pass(cost::kSharedStore)) {
    const auto where = self.here().vtx.translate(address, Access::kWrite);
    if (where) {
      store_at<Word>(self, address, *where, value);
      return;
    }
    self.here().registers.rdi = address.value();
    self.here().registers.rax = value;
    if (self.exit_guest(where.error(), instructions::store<Word>()) == Resume::kComplete) {
      self.record(Operation::kStore, address.value(), sizeof(Word), value);
      return;
    }
    address = Gpa(self.here().registers.rdi);
    value = static_cast<Word>(self.here().registers.rax);
  }
}

template <class Word>
void store(Gpa address, std::type_identity_t<Word> value) {
  Computer& self = *sim::current_computer;
  self.require_guest("store");
  require_aligned<Word>(address);
  self.pass(cost::kSharedStore);
  if (const auto where = self.here().vtx.find_translation(address, Access::kWrite)) [[likely]] {
    store_at<Word>(self, address, *where, value);
    return;
  }
  store_slowly<Word>(self, address, value);
}

/// A locked read-modify-write: `change` gives the new value.
template <class Word, class Change>
Word modify(Operation kind, Gpa address, std::type_identity_t<Word> operand, Change change) {
  Computer& self = *sim::current_computer;
  self.require_guest("locked operation");
  require_aligned<Word>(address);
  Word before{};
  for (;;) {
    self.pass(cost::kSharedReadModifyWrite);
    const auto where = self.here().vtx.translate(address, Access::kReadWrite);
    if (where) [[likely]] {
      before = static_cast<Word>(~Word{0});
      if (std::byte* const word = self.memory().word(*where, sizeof(Word))) {
        self.observe(self.memory().key(*where));
        self.publish(self.memory().key(*where));
        before = sim::load_word<Word>(word);
        sim::store_word<Word>(word, change(before));
      }
      break;
    }
    // XCHG has the old value in RDX, CMPXCHG in RAX.
    const bool exchanges = kind == Operation::kExchange;
    const sim::Instruction instruction = exchanges           ? instructions::kExchange32
                                         : sizeof(Word) == 4 ? instructions::kCompareExchange32
                                                             : instructions::kCompareExchange64;
    self.here().registers.rdi = address.value();
    self.here().registers.rdx = operand;
    if (self.exit_guest(where.error(), instruction) == Resume::kComplete) {
      const GuestRegisters& after = self.here().registers;
      before = static_cast<Word>(exchanges ? after.rdx : after.rax);
      break;
    }
    address = Gpa(self.here().registers.rdi);
  }
  return static_cast<Word>(self.record(kind, address.value(), operand, before));
}

/// One string instruction: `move(memory, where, done, size)` handles the bytes of one page; `where`
/// is nothing where no RAM is. `access` and `record_as` say which of them it is.
template <class Move>
void for_each_page(Gpa address, std::uint64_t size_bytes, Access access, Operation record_as,
                   Move move) {
  Computer& self = *sim::current_computer;
  self.require_guest("copy");
  const bool reads = access == Access::kRead;
  const sim::Instruction instruction =
      record_as == Operation::kFillMemory ? instructions::kFillString : instructions::kMoveString;
  std::uint64_t done = 0;
  self.pass(cost::kCopySetUp);
  while (done < size_bytes) {
    const Gpa at = address + done;
    const std::uint64_t size = std::min(size_bytes - done, kPageSize - at.offset_in_page());
    self.pass(1 + size / cost::kCopyBytesPerNanosecond);
    const auto where = self.here().vtx.translate(at, access);
    if (!where) {
      GuestRegisters& registers = self.here().registers;
      (reads ? registers.rsi : registers.rdi) = at.value();
      registers.rcx = size_bytes - done;
      if (self.exit_guest(where.error(), instruction) == Resume::kComplete) {
        return;
      }
      continue;
    }
    const bool is_ram = self.memory().contains(*where, size);
    if (is_ram) {
      const std::byte* const key = self.memory().key(*where);
      reads ? self.observe(key) : self.publish(key);
    }
    const auto ram = is_ram ? std::optional(*where) : std::nullopt;
    self.record(record_as, at.value(), size, move(self.memory(), ram, done, size));
    done += size;
  }
}

}  // namespace

std::uint8_t load_u8(Gpa address) { return load<std::uint8_t>(address); }
std::uint16_t load_u16(Gpa address) { return load<std::uint16_t>(address); }
std::uint32_t load_u32(Gpa address) { return load<std::uint32_t>(address); }
std::uint64_t load_u64(Gpa address) { return load<std::uint64_t>(address); }
void store_u8(Gpa address, std::uint8_t value) { store<std::uint8_t>(address, value); }
void store_u16(Gpa address, std::uint16_t value) { store<std::uint16_t>(address, value); }
void store_u32(Gpa address, std::uint32_t value) { store<std::uint32_t>(address, value); }
void store_u64(Gpa address, std::uint64_t value) { store<std::uint64_t>(address, value); }

std::uint32_t exchange_u32(Gpa address, std::uint32_t value) {
  return modify<std::uint32_t>(Operation::kExchange, address, value,
                               [&](std::uint32_t) { return value; });
}
std::uint32_t compare_exchange_u32(Gpa address, std::uint32_t expected, std::uint32_t desired) {
  return modify<std::uint32_t>(
      Operation::kCompareExchange, address, desired,
      [&](std::uint32_t before) { return before == expected ? desired : before; });
}
std::uint64_t compare_exchange_u64(Gpa address, std::uint64_t expected, std::uint64_t desired) {
  return modify<std::uint64_t>(
      Operation::kCompareExchange, address, desired,
      [&](std::uint64_t before) { return before == expected ? desired : before; });
}
std::uint32_t fetch_or_u32(Gpa address, std::uint32_t bits) {
  return modify<std::uint32_t>(Operation::kFetchOr, address, bits,
                               [&](std::uint32_t before) { return before | bits; });
}
std::uint32_t fetch_and_u32(Gpa address, std::uint32_t bits) {
  return modify<std::uint32_t>(Operation::kFetchAnd, address, bits,
                               [&](std::uint32_t before) { return before & bits; });
}
std::uint64_t fetch_or_u64(Gpa address, std::uint64_t bits) {
  return modify<std::uint64_t>(Operation::kFetchOr, address, bits,
                               [&](std::uint64_t before) { return before | bits; });
}
std::uint64_t fetch_and_u64(Gpa address, std::uint64_t bits) {
  return modify<std::uint64_t>(Operation::kFetchAnd, address, bits,
                               [&](std::uint64_t before) { return before & bits; });
}

void read_memory(Gpa from, std::span<std::byte> to) {
  for_each_page(from, to.size(), Access::kRead, Operation::kReadMemory,
                [&](sim::PhysicalMemory& memory, std::optional<machine::Spa> where,
                    std::uint64_t done, std::uint64_t size) {
                  const std::span<std::byte> part = to.subspan(done, size);
                  if (where) {
                    memory.read(*where, part);
                  } else {
                    std::ranges::fill(part, std::byte{0xFF});
                  }
                  return sim::TraceHash::of(part);
                });
}

void write_memory(Gpa to, std::span<const std::byte> from) {
  for_each_page(to, from.size(), Access::kWrite, Operation::kWriteMemory,
                [&](sim::PhysicalMemory& memory, std::optional<machine::Spa> where,
                    std::uint64_t done, std::uint64_t size) {
                  const std::span<const std::byte> part = from.subspan(done, size);
                  if (where) {
                    memory.write(*where, part);
                  }
                  return sim::TraceHash::of(part);
                });
}

void fill_memory(Gpa to, std::uint64_t size_bytes, std::uint8_t value) {
  for_each_page(to, size_bytes, Access::kWrite, Operation::kFillMemory,
                [&](sim::PhysicalMemory& memory, std::optional<machine::Spa> where, std::uint64_t,
                    std::uint64_t size) -> std::uint64_t {
                  if (where) {
                    memory.fill(*where, size, std::byte{value});
                  }
                  return value;
                });
}

namespace {

[[noreturn, gnu::cold, gnu::noinline]] void report_no_vmcall(Computer& self) {
  self.violation("guests execute their images",
                 "hypercall at a page that does not begin with VMCALL and RET");
}

/// ENDBR64 may come before: what a page that an indirect call reaches begins with.
void require_vmcall(Computer& self, Spa where) {
  constexpr std::array<std::uint8_t, 8> kCode = {0xF3, 0x0F, 0x1E, 0xFA, 0x0F, 0x01, 0xC1, 0xC3};
  constexpr std::size_t kWithoutEndbr = 4;
  const std::byte* const code = std::as_const(self.memory()).word(where, kCode.size());
  if (code == nullptr || (std::memcmp(code, kCode.data(), kCode.size()) != 0 &&
                          std::memcmp(code, kCode.data() + kWithoutEndbr,
                                      kCode.size() - kWithoutEndbr) != 0)) [[unlikely]] {
    report_no_vmcall(self);
  }
}

[[gnu::noinline]] Resume fault_at_fetch(Computer& self, const sim::vtx::Exit& exit) {
  return self.exit_guest(exit, instructions::kNone);
}

constexpr std::uint64_t kLowHalf = 0xFFFF'FFFF;

struct CallRegisters {
  std::uint64_t control = 0;
  std::uint64_t input = 0;
  std::uint64_t output = 0;
};

/// A kernel that was started outside of 64-bit mode passes the same values in pairs of registers
/// (TLFS "Hypercall Inputs").
bool in_64_bit_code(Computer& self) {
  constexpr std::uint32_t kLongCodeSegment = 1u << 13;
  const sim::vtx::Vmcs& vmcs = *self.here().vtx.current_vmcs();
  return (vmcs.get32(Vmcs32::kVmEntryControls) & vmx::kEntryIa32eModeGuest) != 0 &&
         (vmcs.get32(Vmcs32::kGuestCsAccessRights) & kLongCodeSegment) != 0;
}

void put_call(GuestRegisters& registers, const CallRegisters& call, bool wide) {
  if (wide) [[likely]] {
    registers.rcx = call.control;
    registers.rdx = call.input;
    registers.r8 = call.output;
    return;
  }
  registers.rdx = call.control >> 32;
  registers.rax = call.control & kLowHalf;
  registers.rbx = call.input >> 32;
  registers.rcx = call.input & kLowHalf;
  registers.rdi = call.output >> 32;
  registers.rsi = call.output & kLowHalf;
}

CallRegisters get_call(const GuestRegisters& registers, bool wide) {
  if (wide) [[likely]] {
    return {registers.rcx, registers.rdx, registers.r8};
  }
  return {(registers.rdx << 32) | (registers.rax & kLowHalf),
          (registers.rbx << 32) | (registers.rcx & kLowHalf),
          (registers.rdi << 32) | (registers.rsi & kLowHalf)};
}

/// The result; `call` has the registers from after.
std::uint64_t call_page(Gpa page, CallRegisters& call) {
  Computer& self = *sim::current_computer;
  self.require_guest("hypercall");
  self.count_hypercall(static_cast<std::uint16_t>(call.control));
  for (;;) {
    self.pass(cost::kHypercallEntry);
    const auto where = self.here().vtx.translate(page, Access::kFetch);
    const bool wide = in_64_bit_code(self);
    put_call(self.here().registers, call, wide);
    Resume resume = Resume::kRetry;
    if (where) [[likely]] {
      require_vmcall(self, *where);
      resume = self.exit_guest({.reason = vmx::ExitReason::kVmcall}, instructions::kVmcall);
    } else {
      resume = fault_at_fetch(self, where.error());
    }
    const GuestRegisters& after = self.here().registers;
    if (resume == Resume::kComplete) {
      const std::uint64_t operands = call.input ^ (call.output << 1);
      const std::uint64_t result = wide ? after.rax : (after.rdx << 32) | (after.rax & kLowHalf);
      const std::uint64_t control = call.control;
      call = get_call(after, wide);
      return self.record(Operation::kHypercall, control, operands, result);
    }
    call = get_call(after, wide);
  }
}

}  // namespace

std::uint64_t hypercall(Gpa page, std::uint64_t control, std::uint64_t input,
                        std::uint64_t output) {
  CallRegisters call{control, input, output};
  return call_page(page, call);
}

std::uint64_t hypercall_in_registers(Gpa page, std::uint64_t control,
                                     HypercallRegisters& registers) {
  CallRegisters call{control, registers.rdx, registers.r8};
  const std::uint64_t result = call_page(page, call);
  registers = {call.input, call.output};
  Computer& self = *sim::current_computer;
  self.record(Operation::kHypercall, control, registers.rdx, registers.r8);
  return result;
}

Gpa image_base() {
  Computer& self = *sim::current_computer;
  self.require_guest("image_base");
  return Gpa(self.record(Operation::kImageBase, 0, 0, self.context().program.kernel->load_gpa));
}

}  // namespace machine
