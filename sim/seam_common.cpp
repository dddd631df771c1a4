// The common link set of machine/: common.h and invariant.h.
#include <string>
#include <string_view>

#include "machine/common.h"
#include "machine/invariant.h"
#include "machine/x86.h"
#include "sim/computer.h"
#include "sim/physical_processor.h"

namespace machine {

using sim::Computer;
using sim::Operation;
using sim::Resume;
namespace cost = sim::cost;
namespace instructions = sim::instructions;

namespace {

constexpr Exception kGeneralProtection{x86::kVectorGeneralProtection, 0};

Computer& computer() { return *sim::current_computer; }

/// The result of RDMSR in EDX:EAX.
std::uint64_t joined(const GuestRegisters& registers) {
  return (registers.rdx << 32) | (registers.rax & 0xFFFF'FFFF);
}

std::uint64_t operand_of(const Exception& exception) {
  return exception.vector | (std::uint64_t{exception.error_code} << 8);
}

/// RDMSR; on kFault `caught` has the exception.
Resume rdmsr(std::uint32_t msr, std::uint64_t& value, Exception* caught) {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kReadMsr);
    sim::LogicalProcessor& here = self.here();
    std::optional<std::uint64_t> found;
    Resume resume = Resume::kRetry;
    if (!self.context().is_guest()) {
      found = sim::read_physical_msr(self, here, msr);
    } else if (const auto exit = here.vtx.rdmsr(msr)) {
      here.registers.rcx = msr;
      resume = self.exit_guest(*exit, instructions::kRdmsr, caught);
      if (resume == Resume::kComplete) {
        found = joined(self.here().registers);
      } else if (resume == Resume::kRetry) {
        msr = static_cast<std::uint32_t>(self.here().registers.rcx);
        continue;
      }
    } else if (msr == x86::kMsrTsc) {
      found = here.vtx.guest_tsc(self.now_tsc());
    } else if (found = here.vtx.guest_msr(msr); !found) {
      found = sim::read_physical_msr(self, here, msr);
    }
    if (found) {
      value = self.record(Operation::kReadMsr, msr, 0, *found);
      return Resume::kComplete;
    }
    if (resume != Resume::kFault) {
      resume = self.raise(kGeneralProtection, caught);
    }
    if (resume == Resume::kFault) {
      self.record(Operation::kReadMsr, msr, 1, operand_of(*caught));
      return resume;
    }
  }
}

Resume wrmsr(std::uint32_t msr, std::uint64_t value, Exception* caught) {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kWriteMsr);
    sim::LogicalProcessor& here = self.here();
    bool written = false;
    Resume resume = Resume::kRetry;
    if (!self.context().is_guest()) {
      written = sim::write_physical_msr(here, msr, value);
    } else if (const auto exit = here.vtx.wrmsr(msr)) {
      here.registers.rcx = msr;
      here.registers.rax = value & 0xFFFF'FFFF;
      here.registers.rdx = value >> 32;
      resume = self.exit_guest(*exit, instructions::kWrmsr, caught);
      if (resume == Resume::kRetry) {
        msr = static_cast<std::uint32_t>(self.here().registers.rcx);
        value = joined(self.here().registers);
        continue;
      }
      written = resume == Resume::kComplete;
    } else if (here.vtx.guest_msr(msr)) {
      written = here.vtx.set_guest_msr(msr, value);
    } else {
      written = sim::write_physical_msr(here, msr, value);
    }
    if (written) {
      self.record(Operation::kWriteMsr, msr, value, 0);
      return Resume::kComplete;
    }
    if (resume != Resume::kFault) {
      resume = self.raise(kGeneralProtection, caught);
    }
    if (resume == Resume::kFault) {
      self.record(Operation::kWriteMsr, msr, value, operand_of(*caught));
      return resume;
    }
  }
}

/// What the accumulator's low bytes are after IN, and what OUT takes of it.
constexpr std::uint64_t mask_of(std::uint32_t size) { return (std::uint64_t{1} << (8 * size)) - 1; }

std::uint32_t port_in(std::uint16_t port, std::uint8_t size) {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kPort);
    sim::LogicalProcessor& here = self.here();
    std::uint64_t value = 0;
    if (self.context().is_guest()) {
      if (const auto exit = here.vtx.io({.port = port, .size_bytes = size, .in = true})) {
        here.registers.rdx = port;
        if (self.exit_guest(*exit, instructions::in(size)) == Resume::kRetry) {
          port = static_cast<std::uint16_t>(self.here().registers.rdx);
          continue;
        }
        value = self.here().registers.rax & mask_of(size);
        return static_cast<std::uint32_t>(self.record(Operation::kIn, port, size, value));
      }
    }
    const Computer::DevicesAct devices(self);
    value = self.board().read_port(port, size);
    return static_cast<std::uint32_t>(self.record(Operation::kIn, port, size, value));
  }
}

void port_out(std::uint16_t port, std::uint8_t size, std::uint32_t value) {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kPort);
    sim::LogicalProcessor& here = self.here();
    if (self.context().is_guest()) {
      if (const auto exit = here.vtx.io({.port = port, .size_bytes = size, .in = false})) {
        here.registers.rdx = port;
        here.registers.rax = value;
        if (self.exit_guest(*exit, instructions::out(size)) == Resume::kRetry) {
          port = static_cast<std::uint16_t>(self.here().registers.rdx);
          value = static_cast<std::uint32_t>(self.here().registers.rax & mask_of(size));
          continue;
        }
        self.record(Operation::kOut, port, value, 0);
        return;
      }
    }
    const Computer::DevicesAct devices(self);
    self.board().write_port(port, size, value);
    self.record(Operation::kOut, port, value, 0);
    return;
  }
}

bool interrupt_flag() {
  Computer& self = computer();
  return self.context().is_guest() ? (self.here().vtx.guest().rflags & x86::kRflagsIf) != 0
                                   : self.here().interrupts_enabled;
}

void set_interrupt_flag(bool enabled) {
  Computer& self = computer();
  if (!self.context().is_guest()) {
    self.here().interrupts_enabled = enabled;
    return;
  }
  std::uint64_t& rflags = self.here().vtx.guest().rflags;
  rflags = enabled ? rflags | x86::kRflagsIf : rflags & ~x86::kRflagsIf;
}

void halt_guest() {
  Computer& self = computer();
  self.pass(cost::kPrivate);
  set_interrupt_flag(true);
  // STI keeps interrupts away until HLT has been executed (SDM vol. 2 STI).
  self.here().vtx.guest().interruptibility |= vmx::kBlockingBySti;
  bool halted = false;
  while (!halted) {
    if (const auto exit = self.here().vtx.hlt()) {
      halted = self.exit_guest(*exit, instructions::kHlt) == Resume::kComplete;
    } else {
      self.here().vtx.guest().activity = vmx::kActivityHlt;
      halted = true;
    }
  }
  self.here().vtx.guest().interruptibility &= ~vmx::kBlockingBySti;
  // An event that wakes it has been delivered with the entry, or is taken now.
  self.take_guest_events();
  set_interrupt_flag(false);
}

/// From the top of the tree: where the tree lies is nobody's business.
std::string place_in_tree(std::string_view file) {
  for (const std::string_view folder :
       {"/hv/", "/vmbus/", "/partitions/", "/machine/", "/tests/"}) {
    if (const std::size_t root = file.rfind(folder); root != std::string_view::npos) {
      file.remove_prefix(root + 1);
    }
  }
  return std::string(file);
}

void halt_hypervisor() {
  Computer& self = computer();
  self.pass(cost::kPrivate);
  if (!self.context().locks.empty()) {
    self.violation("lock order", "a processor sleeps while it holds a lock");
  }
  while (!self.here().apic.requests_interrupt()) {
    self.sleep(sim::kNever);
  }
  self.take_root_interrupt();
}

}  // namespace

CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kCpuid);
    sim::LogicalProcessor& here = self.here();
    CpuidResult result;
    if (!self.context().is_guest()) {
      result = sim::physical_cpuid(self, here, leaf, subleaf);
    } else if (const auto exit = here.vtx.cpuid()) {
      here.registers.rax = leaf;
      here.registers.rcx = subleaf;
      const Resume resume = self.exit_guest(*exit, instructions::kCpuid);
      const GuestRegisters& registers = self.here().registers;
      if (resume == Resume::kRetry) {
        leaf = static_cast<std::uint32_t>(registers.rax);
        subleaf = static_cast<std::uint32_t>(registers.rcx);
        continue;
      }
      result = {
          static_cast<std::uint32_t>(registers.rax), static_cast<std::uint32_t>(registers.rbx),
          static_cast<std::uint32_t>(registers.rcx), static_cast<std::uint32_t>(registers.rdx)};
    }
    self.record(Operation::kCpuid, leaf, subleaf, result.ebx | (std::uint64_t{result.edx} << 32));
    result.eax =
        static_cast<std::uint32_t>(self.record(Operation::kCpuid, leaf, result.ecx, result.eax));
    return result;
  }
}

std::uint64_t read_msr(std::uint32_t msr) {
  std::uint64_t value = 0;
  static_cast<void>(rdmsr(msr, value, nullptr));
  return value;
}

void write_msr(std::uint32_t msr, std::uint64_t value) {
  static_cast<void>(wrmsr(msr, value, nullptr));
}

std::expected<std::uint64_t, Exception> try_read_msr(std::uint32_t msr) {
  std::uint64_t value = 0;
  Exception exception;
  if (rdmsr(msr, value, &exception) == Resume::kFault) {
    return std::unexpected(exception);
  }
  return value;
}

std::expected<void, Exception> try_write_msr(std::uint32_t msr, std::uint64_t value) {
  Exception exception;
  if (wrmsr(msr, value, &exception) == Resume::kFault) {
    return std::unexpected(exception);
  }
  return {};
}

std::uint8_t in_u8(std::uint16_t port) { return static_cast<std::uint8_t>(port_in(port, 1)); }
std::uint16_t in_u16(std::uint16_t port) { return static_cast<std::uint16_t>(port_in(port, 2)); }
std::uint32_t in_u32(std::uint16_t port) { return port_in(port, 4); }
void out_u8(std::uint16_t port, std::uint8_t value) { port_out(port, 1, value); }
void out_u16(std::uint16_t port, std::uint16_t value) { port_out(port, 2, value); }
void out_u32(std::uint16_t port, std::uint32_t value) { port_out(port, 4, value); }

std::uint64_t read_tsc() {
  Computer& self = computer();
  for (;;) {
    self.pass(cost::kReadTsc);
    sim::LogicalProcessor& here = self.here();
    std::uint64_t value = self.now_tsc();
    if (self.context().is_guest()) {
      if (const auto exit = here.vtx.rdtsc()) {
        if (self.exit_guest(*exit, instructions::kRdtsc) == Resume::kRetry) {
          continue;
        }
        value = joined(self.here().registers);
      } else {
        value = here.vtx.guest_tsc(value);
      }
    }
    return self.record(Operation::kReadTsc, 0, 0, value);
  }
}

void fence() {
  Computer& self = computer();
  self.pass(cost::kFence);
  self.record(Operation::kFence, 0, 0, 0);
}

void pause() {
  Computer& self = computer();
  self.pass(cost::kPause);
  if (self.context().is_guest()) {
    while (const auto exit = self.here().vtx.pause()) {
      if (self.exit_guest(*exit, instructions::kPause) == Resume::kComplete) {
        break;
      }
    }
  }
  self.record(Operation::kPause, 0, 0, 0);
}

bool disable_interrupts() {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  const bool before = interrupt_flag();
  set_interrupt_flag(false);
  return self.record(Operation::kDisableInterrupts, 0, 0, before ? 1 : 0) != 0;
}

void enable_interrupts() {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  set_interrupt_flag(true);
  self.record(Operation::kEnableInterrupts, 0, 0, 0);
  ++self.context().position;
  self.look_around();
}

bool interrupts_enabled() {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  return self.record(Operation::kInterruptsEnabled, 0, 0, interrupt_flag() ? 1 : 0) != 0;
}

void sti_hlt() {
  Computer& self = computer();
  if (interrupt_flag()) {
    self.violation("the seam is used as declared", "sti_hlt() with interrupts enabled");
  }
  self.record(Operation::kStiHlt, 0, 0, 0);
  if (self.context().is_guest()) {
    halt_guest();
  } else {
    halt_hypervisor();
  }
}

void set_interrupt_handler(std::uint8_t vector, InterruptHandler handler) {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  self.context().program.handlers.set(vector, handler);
  self.record(Operation::kSetInterruptHandler, vector, handler != nullptr ? 1 : 0, 0);
}

void* processor_local() {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  void* const object = self.context().local;
  self.record(Operation::kProcessorLocal, 0, 0, object != nullptr ? 1 : 0);
  return object;
}

void set_processor_local(void* object) {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  self.context().local = object;
  self.record(Operation::kSetProcessorLocal, object != nullptr ? 1 : 0, 0, 0);
}

std::span<std::byte> arena() {
  Computer& self = computer();
  self.pass_private(cost::kPrivate);
  const std::span<std::byte> content = self.context().program.arena.content;
  self.record(Operation::kArena, 0, 0, content.size());
  return content;
}

void spend(std::uint64_t nanoseconds) {
  Computer& self = computer();
  self.spend(nanoseconds);
  self.record(Operation::kSpend, nanoseconds, 0, 0);
}

void invariant_failed(const char* expression, const char* file, int line) {
  computer().violation("invariant",
                       place_in_tree(file) + ":" + std::to_string(line) + ": " + expression);
}

}  // namespace machine
