// The seam's operations on the extended registers, of all three link sets.
#include <array>
#include <span>
#include <utility>

#include "machine/common.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "sim/computer.h"

namespace machine {

namespace instructions = sim::instructions;
using sim::Computer;
using sim::ExtendedRegisters;
using sim::Operation;
using sim::Resume;
namespace cost = sim::cost;

namespace {

constexpr std::uint64_t kAreaAlignment = 64;
constexpr Exception kInvalidOpcode{x86::kVectorInvalidOpcode, 0};
constexpr Exception kGeneralProtection{x86::kVectorGeneralProtection, 0};

Computer& computer() { return *sim::current_computer; }

/// The hypervisor's CR4 has every bit that its machine promises.
bool has_in_cr4(Computer& self, std::uint64_t bit) {
  return !self.context().is_guest() || (self.here().vtx.guest_cr4() & bit) != 0;
}

void require_in_cr4(Computer& self, std::uint64_t bit) {
  while (!has_in_cr4(self, bit)) {
    static_cast<void>(self.raise(kInvalidOpcode));
  }
}

std::uint64_t hash_of(const XmmRegisters& registers) {
  return sim::TraceHash::of(std::as_bytes(std::span(registers.quadwords)));
}

ExtendedRegisters& begin_on_area(Computer& self, Spa area) {
  if (!self.memory().contains(area, ExtendedRegisters::kAreaBytes) ||
      area.value() % kAreaAlignment != 0) {
    self.violation("the hypervisor stays within memory",
                   "an XSAVE area that is not RAM or aligned");
  }
  return self.here().extended;
}

}  // namespace

void read_xmm(XmmRegisters& registers) {
  Computer& self = computer();
  self.pass_private(cost::kXmm);
  require_in_cr4(self, x86::kCr4Osfxsr);
  registers = self.here().extended.xmm();
  self.record(Operation::kReadXmm, 0, 0, hash_of(registers));
}

void write_xmm(const XmmRegisters& registers) {
  Computer& self = computer();
  self.pass_private(cost::kXmm);
  require_in_cr4(self, x86::kCr4Osfxsr);
  self.here().extended.set_xmm(registers);
  self.record(Operation::kWriteXmm, hash_of(registers), 0, 0);
}

std::uint64_t read_xcr0() {
  Computer& self = computer();
  self.pass_private(cost::kReadXcr0);
  require_in_cr4(self, x86::kCr4Osxsave);
  return self.record(Operation::kReadXcr0, 0, 0, self.here().extended.xcr0());
}

std::expected<void, Exception> try_write_xcr0(std::uint64_t value) {
  Computer& self = computer();
  self.pass(cost::kWriteXcr0);
  Exception caught;
  bool written = false;
  if (!has_in_cr4(self, x86::kCr4Osxsave)) {
    // Comes before the exit (SDM vol. 3 25.1.1).
    static_cast<void>(self.raise(kInvalidOpcode, &caught));
  } else if (!self.context().is_guest()) {
    written = self.here().extended.set_xcr0(value);
    caught = kGeneralProtection;
  } else {
    Resume resume = Resume::kRetry;
    while (resume == Resume::kRetry) {
      GuestRegisters& registers = self.here().registers;
      registers.rcx = 0;
      registers.rax = value & 0xFFFF'FFFF;
      registers.rdx = value >> 32;
      const auto exit = self.here().vtx.unconditional(vmx::ExitReason::kXsetbv);
      resume = self.exit_guest(*exit, instructions::kXsetbv, &caught);
    }
    written = resume == Resume::kComplete;
  }
  self.record(Operation::kWriteXcr0, value, 0, written ? 0 : std::uint64_t{caught.vector});
  if (!written) {
    return std::unexpected(caught);
  }
  return {};
}

void save_extended_state(Spa area, std::uint64_t components) {
  Computer& self = computer();
  self.require_hypervisor("save_extended_state");
  self.pass(cost::kExtendedState);
  const ExtendedRegisters& registers = begin_on_area(self, area);
  std::array<std::byte, ExtendedRegisters::kAreaBytes> bytes;
  self.memory().read(area, bytes);
  registers.save(components, bytes);
  self.publish(self.memory().key(area));
  self.memory().write(area, bytes);
  self.record(Operation::kSaveExtendedState, area.value(), components, sim::TraceHash::of(bytes));
}

void restore_extended_state(Spa area, std::uint64_t components) {
  Computer& self = computer();
  self.require_hypervisor("restore_extended_state");
  self.pass(cost::kExtendedState);
  ExtendedRegisters& registers = begin_on_area(self, area);
  std::array<std::byte, ExtendedRegisters::kAreaBytes> bytes;
  self.observe(self.memory().key(area));
  self.memory().read(area, bytes);
  if (!registers.restore(components, bytes)) {
    self.violation("the hypervisor raises no exception", "#GP(0) of XRSTOR");
  }
  self.record(Operation::kRestoreExtendedState, area.value(), components,
              sim::TraceHash::of(bytes));
}

}  // namespace machine
