#include "tests/hv/test_kernel.h"

#include <algorithm>

#include "hv/boot.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "sim/decider.h"

namespace test_kernel {
namespace {

namespace x86 = machine::x86;

void write_code_then_stop(std::uint32_t code) {
  // Only success powers the computer off; anything else crashes the root, with the code in sight.
  if (code == 0) {
    static_cast<void>(machine::hypercall(
        kHypercallPage, hv::HypercallControl(hv::CallCode::kEnterSleepState).fast().value(),
        hv::EnterSleepStateInput::kOff, 0));
  }
  INVARIANT(code == 0);
}

}  // namespace

sim::WorldConfiguration world(void (*root)(), std::uint32_t logical_processors) {
  sim::WorldConfiguration configuration;
  configuration.logical_processors = logical_processors;
  configuration.hypervisor.entry = hv::boot;
  sim::GuestProgram program;
  program.name = "root";
  program.boot = root;
  program.boot_processor = root;
  program.load_gpa = 0x200'0000;
  program.max_processors = 4;
  configuration.guests.push_back(program);
  configuration.limits.virtual_ns = 5'000'000'000;
  return configuration;
}

sim::WorldConfiguration world_with_child(void (*root)(), void (*child)(), void (*second)(),
                                         std::uint32_t logical_processors) {
  sim::WorldConfiguration configuration = world(root, logical_processors);
  sim::GuestProgram program;
  program.name = "child";
  program.boot = child;
  program.load_gpa = 0x10'0000;
  if (second != nullptr) {
    program.boot_processor = second;
    program.max_processors = 2;
  }
  configuration.guests.push_back(program);
  return configuration;
}

std::string describe(const sim::RunResult& result) {
  return std::string(sim::name_of(result.outcome)) + " " + result.error +
         (result.violations.empty() ? "" : result.violations[0].message) + " stop code " +
         std::to_string(result.stop_code);
}

sim::RunResult run(const sim::WorldConfiguration& configuration, std::uint64_t seed) {
  sim::SeededDecider decider(seed);
  sim::World computer(configuration, decider);
  return computer.run();
}

void end(std::uint32_t code) {
  write_code_then_stop(code);
  for (;;) {
    machine::pause();
  }
}

void check(bool condition, std::uint32_t line) {
  if (!condition) {
    end(line);
  }
}

void enable_local_apic() {
  const std::uint64_t base = machine::read_msr(x86::kMsrApicBase);
  machine::write_msr(x86::kMsrApicBase, base | x86::kApicBaseX2ApicEnable);
  machine::write_msr(x86::kX2ApicSvr, x86::kApicSoftwareEnable | 0xFF);
}

void begin() {
  machine::write_msr(hv::kMsrGuestOsId, hv::open_source_guest_os_id(1, 1));
  machine::write_msr(hv::kMsrHypercall,
                     hv::OverlayPageRegister(kHypercallPage.page(), true).value());
  enable_local_apic();
  machine::write_msr(hv::kMsrSimp, hv::OverlayPageRegister(kMessagePage.page(), true).value());
  machine::write_msr(hv::kMsrSiefp, hv::OverlayPageRegister(kEventFlagsPage.page(), true).value());
  machine::write_msr(hv::kMsrScontrol, hv::kScontrolEnable);
}

hv::HypercallResult call(hv::HypercallControl control) {
  return hv::HypercallResult(
      machine::hypercall(kHypercallPage, control.value(), kInputPage.value(), kOutputPage.value()));
}

hv::HypercallResult call_fast(hv::HypercallControl control, FastBlock& block) {
  machine::HypercallRegisters registers{block[0], block[1]};
  machine::XmmRegisters xmm;
  std::copy(block.begin() + 2, block.end(), xmm.quadwords.begin());
  machine::write_xmm(xmm);
  const std::uint64_t result =
      machine::hypercall_in_registers(kHypercallPage, control.fast().value(), registers);
  machine::read_xmm(xmm);
  block[0] = registers.rdx;
  block[1] = registers.r8;
  std::copy(xmm.quadwords.begin(), xmm.quadwords.end(), block.begin() + 2);
  return hv::HypercallResult(result);
}

}  // namespace test_kernel
