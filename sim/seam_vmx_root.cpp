// The VMX root link set of machine/ (vmx_root.h).
#include "machine/vmx_root.h"

#include <array>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "machine/x86.h"
#include "sim/computer.h"
#include "sim/memory_operations.h"

namespace machine {

using sim::Computer;
using sim::Operation;
namespace cost = sim::cost;

namespace {

template <class Field>
constexpr std::pair<std::uint32_t, std::uint64_t> host(Field field, std::uint64_t value) {
  return {static_cast<std::uint32_t>(field), value};
}

// A 64-bit host in the state that the machine starts the hypervisor in. Where its code, stack and
// tables would lie is of no consequence: an exit returns from enter_guest.
constexpr auto kHostState = std::to_array<std::pair<std::uint32_t, std::uint64_t>>({
    host(VmcsNatural::kHostCr0,
         x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg),
    host(VmcsNatural::kHostCr3, 0x0100'1000),
    host(VmcsNatural::kHostCr4, x86::kCr4Pae | x86::kCr4Pge | x86::kCr4Osfxsr |
                                    x86::kCr4Osxmmexcpt | x86::kCr4Vmxe | x86::kCr4Osxsave),
    host(VmcsNatural::kHostRip, 0x0100'0000),
    host(VmcsNatural::kHostRsp, 0x0100'8000),
    host(VmcsNatural::kHostFsBase, 0),
    host(VmcsNatural::kHostGsBase, 0),
    host(VmcsNatural::kHostTrBase, 0x0100'2000),
    host(VmcsNatural::kHostGdtrBase, 0x0100'3000),
    host(VmcsNatural::kHostIdtrBase, 0x0100'4000),
    host(VmcsNatural::kHostSysenterEsp, 0),
    host(VmcsNatural::kHostSysenterEip, 0),
    host(Vmcs32::kHostSysenterCs, 0),
    host(Vmcs16::kHostCsSelector, 0x08),
    host(Vmcs16::kHostSsSelector, 0x10),
    host(Vmcs16::kHostDsSelector, 0x10),
    host(Vmcs16::kHostEsSelector, 0x10),
    host(Vmcs16::kHostFsSelector, 0),
    host(Vmcs16::kHostGsSelector, 0),
    host(Vmcs16::kHostTrSelector, 0x18),
    host(Vmcs64::kHostPat, 0x0007'0406'0007'0406),
    host(Vmcs64::kHostEfer, x86::kEferLme | x86::kEferLma | x86::kEferNxe),
});

Computer& root(const char* operation) {
  Computer& self = *sim::current_computer;
  self.require_hypervisor(operation);
  return self;
}

// What is rare is in functions of its own, so that the rest needs no frame.

[[noreturn, gnu::cold, gnu::noinline]] void report_outside(Spa address, std::uint64_t size) {
  sim::current_computer->violation(
      "the hypervisor stays within memory",
      std::to_string(size) + " bytes at SPA " + std::to_string(address.value()));
}

[[noreturn, gnu::cold, gnu::noinline]] void report_field(const char* instruction,
                                                         std::uint32_t encoding) {
  sim::current_computer->violation(
      "VMCS fields are accessed with a current VMCS",
      std::string(instruction) + " of field " + std::to_string(encoding));
}

void require_memory(Computer& self, Spa address, std::uint64_t size, std::uint64_t alignment) {
  if (!self.memory().contains(address, size) || address.value() % alignment != 0) [[unlikely]] {
    report_outside(address, size);
  }
}

template <class Word>
Word load(Spa address) {
  Computer& self = root("load of system memory");
  self.pass(cost::kSharedLoad);
  require_memory(self, address, sizeof(Word), sizeof(Word));
  self.observe(self.memory().key(address));
  const std::byte* const from = std::as_const(self.memory()).word(address, sizeof(Word));
  return static_cast<Word>(
      self.record(Operation::kLoad, address.value(), sizeof(Word), sim::load_word<Word>(from)));
}

template <class Word>
void store(Spa address, std::type_identity_t<Word> value) {
  Computer& self = root("store to system memory");
  self.pass(cost::kSharedStore);
  require_memory(self, address, sizeof(Word), sizeof(Word));
  self.publish(self.memory().key(address));
  sim::store_word<Word>(
      self.memory().word(address, sizeof(Word)),
      static_cast<Word>(self.record(Operation::kStore, address.value(), sizeof(Word), value)));
}

template <class Word, class Change>
Word modify(Operation kind, Spa address, std::type_identity_t<Word> operand, Change change) {
  Computer& self = root("locked operation on system memory");
  self.pass(cost::kSharedReadModifyWrite);
  require_memory(self, address, sizeof(Word), sizeof(Word));
  self.observe(self.memory().key(address));
  self.publish(self.memory().key(address));
  std::byte* const word = self.memory().word(address, sizeof(Word));
  const Word before = sim::load_word<Word>(word);
  sim::store_word<Word>(word, change(before));
  return static_cast<Word>(self.record(kind, address.value(), operand, before));
}

VmxResult record_result(Computer& self, Operation kind, std::uint64_t operand, VmxResult result) {
  return static_cast<VmxResult>(self.record(kind, operand, 0, static_cast<std::uint64_t>(result)));
}

[[gnu::always_inline]] inline std::uint64_t read_field(std::uint32_t encoding) {
  Computer& self = root("vmread");
  self.pass_private(cost::kVmcsAccess);
  std::uint64_t value = 0;
  if (!self.here().vtx.vmread_to(encoding, value)) [[unlikely]] {
    report_field("VMREAD", encoding);
  }
  return self.record(Operation::kVmread, encoding, 0, value);
}

[[gnu::always_inline]] inline void write_field(std::uint32_t encoding, std::uint64_t value) {
  Computer& self = root("vmwrite");
  self.pass_private(cost::kVmcsAccess);
  value = self.record(Operation::kVmwrite, encoding, 0, value);
  if (self.here().vtx.vmwrite(encoding, value) != VmxResult::kSucceed) [[unlikely]] {
    report_field("VMWRITE", encoding);
  }
}

}  // namespace

std::uint8_t load_u8(Spa address) { return load<std::uint8_t>(address); }
std::uint16_t load_u16(Spa address) { return load<std::uint16_t>(address); }
std::uint32_t load_u32(Spa address) { return load<std::uint32_t>(address); }
std::uint64_t load_u64(Spa address) { return load<std::uint64_t>(address); }
void store_u8(Spa address, std::uint8_t value) { store<std::uint8_t>(address, value); }
void store_u16(Spa address, std::uint16_t value) { store<std::uint16_t>(address, value); }
void store_u32(Spa address, std::uint32_t value) { store<std::uint32_t>(address, value); }
void store_u64(Spa address, std::uint64_t value) { store<std::uint64_t>(address, value); }

std::uint32_t exchange_u32(Spa address, std::uint32_t value) {
  return modify<std::uint32_t>(Operation::kExchange, address, value,
                               [&](std::uint32_t) { return value; });
}
std::uint32_t compare_exchange_u32(Spa address, std::uint32_t expected, std::uint32_t desired) {
  return modify<std::uint32_t>(
      Operation::kCompareExchange, address, desired,
      [&](std::uint32_t before) { return before == expected ? desired : before; });
}
std::uint64_t compare_exchange_u64(Spa address, std::uint64_t expected, std::uint64_t desired) {
  return modify<std::uint64_t>(
      Operation::kCompareExchange, address, desired,
      [&](std::uint64_t before) { return before == expected ? desired : before; });
}
std::uint8_t fetch_or_u8(Spa address, std::uint8_t bits) {
  return modify<std::uint8_t>(Operation::kFetchOr, address, bits, [&](std::uint8_t before) {
    return static_cast<std::uint8_t>(before | bits);
  });
}
std::uint32_t fetch_or_u32(Spa address, std::uint32_t bits) {
  return modify<std::uint32_t>(Operation::kFetchOr, address, bits,
                               [&](std::uint32_t before) { return before | bits; });
}
std::uint32_t fetch_and_u32(Spa address, std::uint32_t bits) {
  return modify<std::uint32_t>(Operation::kFetchAnd, address, bits,
                               [&](std::uint32_t before) { return before & bits; });
}
std::uint64_t fetch_or_u64(Spa address, std::uint64_t bits) {
  return modify<std::uint64_t>(Operation::kFetchOr, address, bits,
                               [&](std::uint64_t before) { return before | bits; });
}
std::uint64_t fetch_and_u64(Spa address, std::uint64_t bits) {
  return modify<std::uint64_t>(Operation::kFetchAnd, address, bits,
                               [&](std::uint64_t before) { return before & bits; });
}

void read_memory(Spa from, std::span<std::byte> to) {
  Computer& self = root("copy from system memory");
  self.pass(cost::kCopySetUp + to.size() / cost::kCopyBytesPerNanosecond);
  if (!to.empty()) {
    require_memory(self, from, to.size(), 1);
    self.observe(self.memory().key(from));
    self.memory().read(from, to);
  }
  self.record(Operation::kReadMemory, from.value(), to.size(), sim::TraceHash::of(to));
}

void write_memory(Spa to, std::span<const std::byte> from) {
  Computer& self = root("copy to system memory");
  self.pass(cost::kCopySetUp + from.size() / cost::kCopyBytesPerNanosecond);
  if (!from.empty()) {
    require_memory(self, to, from.size(), 1);
    self.publish(self.memory().key(to));
    self.memory().write(to, from);
  }
  self.record(Operation::kWriteMemory, to.value(), from.size(), sim::TraceHash::of(from));
}

void fill_memory(Spa to, std::uint64_t size_bytes, std::uint8_t value) {
  Computer& self = root("fill of system memory");
  self.pass(cost::kCopySetUp + size_bytes / cost::kCopyBytesPerNanosecond);
  if (size_bytes != 0) {
    require_memory(self, to, size_bytes, 1);
    self.publish(self.memory().key(to));
    self.memory().fill(to, size_bytes, std::byte{value});
  }
  self.record(Operation::kFillMemory, to.value(), size_bytes, value);
}

std::byte* direct_map(Spn page) {
  Computer& self = root("direct_map");
  self.pass_private(cost::kPrivate);
  self.record(Operation::kDirectMap, page.value(), 0, 0);
  require_memory(self, Spa(page), kPageSize, kPageSize);
  return self.memory().whole_page(Spa(page));
}

VmxResult vmxon(Spa region) {
  Computer& self = root("vmxon");
  self.pass(cost::kVmxControl);
  return record_result(self, Operation::kVmxon, region.value(), self.here().vtx.vmxon(region));
}

void vmxoff() {
  Computer& self = root("vmxoff");
  self.pass(cost::kVmxControl);
  record_result(self, Operation::kVmxoff, 0, self.here().vtx.vmxoff());
}

VmxResult vmclear(Spa region) {
  Computer& self = root("vmclear");
  self.pass(cost::kVmxControl);
  return record_result(self, Operation::kVmclear, region.value(), self.here().vtx.vmclear(region));
}

VmxResult vmptrld(Spa region) {
  Computer& self = root("vmptrld");
  self.pass(cost::kVmxControl);
  return record_result(self, Operation::kVmptrld, region.value(), self.here().vtx.vmptrld(region));
}

std::uint16_t vmread(Vmcs16 field) {
  return static_cast<std::uint16_t>(read_field(static_cast<std::uint32_t>(field)));
}
std::uint32_t vmread(Vmcs32 field) {
  return static_cast<std::uint32_t>(read_field(static_cast<std::uint32_t>(field)));
}
std::uint32_t vmread(VmcsReadOnly32 field) {
  return static_cast<std::uint32_t>(read_field(static_cast<std::uint32_t>(field)));
}
std::uint64_t vmread(Vmcs64 field) { return read_field(static_cast<std::uint32_t>(field)); }
std::uint64_t vmread(VmcsReadOnly64 field) { return read_field(static_cast<std::uint32_t>(field)); }
std::uint64_t vmread(VmcsNatural field) { return read_field(static_cast<std::uint32_t>(field)); }
std::uint64_t vmread(VmcsReadOnlyNatural field) {
  return read_field(static_cast<std::uint32_t>(field));
}
void vmwrite(Vmcs16 field, std::uint16_t value) {
  write_field(static_cast<std::uint32_t>(field), value);
}
void vmwrite(Vmcs32 field, std::uint32_t value) {
  write_field(static_cast<std::uint32_t>(field), value);
}
void vmwrite(Vmcs64 field, std::uint64_t value) {
  write_field(static_cast<std::uint32_t>(field), value);
}
void vmwrite(VmcsNatural field, std::uint64_t value) {
  write_field(static_cast<std::uint32_t>(field), value);
}

void vmcs_write_host_state() {
  Computer& self = root("vmcs_write_host_state");
  self.pass_private(cost::kVmcsAccess);
  self.record(Operation::kWriteHostState, 0, 0, 0);
  for (const auto& [field, value] : kHostState) {
    if (self.here().vtx.vmwrite(field, value) != VmxResult::kSucceed) {
      self.violation("VMCS fields are accessed with a current VMCS", "writing the host state");
    }
  }
}

VmxResult enter_guest(EntryKind kind, GuestRegisters& registers) {
  Computer& self = root("enter_guest");
  self.pass(0);
  self.record(Operation::kEnterGuest, static_cast<std::uint64_t>(kind), registers.rax, 0);
  const VmxResult result = self.enter_guest(kind, registers);
  self.record(Operation::kEnterGuest, registers.rcx, registers.rdx, registers.rax);
  return record_result(self, Operation::kEnterGuest, registers.r8, result);
}

VmxResult invept(InveptKind kind, std::uint64_t eptp) {
  Computer& self = root("invept");
  self.pass(cost::kInvalidate);
  return record_result(self, Operation::kInvept, eptp,
                       self.here().vtx.invept(static_cast<std::uint64_t>(kind), eptp));
}

VmxResult invvpid(InvvpidKind kind, std::uint16_t vpid, std::uint64_t linear_address) {
  Computer& self = root("invvpid");
  self.pass(cost::kInvalidate);
  return record_result(
      self, Operation::kInvvpid, vpid,
      self.here().vtx.invvpid(static_cast<std::uint64_t>(kind), vpid, linear_address));
}

void stop(std::uint32_t code) { root("stop").stop(code); }

}  // namespace machine
