#include "sim/world.h"

#include <array>
#include <utility>

#include "sim/computer.h"
#include "sim/watchdog.h"

namespace sim {

namespace {

constexpr auto kExitReasons = std::to_array<std::pair<std::uint32_t, const char*>>({
    {0, "exception_or_nmi"},
    {1, "external_interrupt"},
    {2, "triple_fault"},
    {3, "init"},
    {4, "startup_ipi"},
    {7, "interrupt_window"},
    {8, "nmi_window"},
    {9, "task_switch"},
    {10, "cpuid"},
    {12, "hlt"},
    {13, "invd"},
    {14, "invlpg"},
    {15, "rdpmc"},
    {16, "rdtsc"},
    {18, "vmcall"},
    {19, "vmclear"},
    {20, "vmlaunch"},
    {21, "vmptrld"},
    {22, "vmptrst"},
    {23, "vmread"},
    {24, "vmresume"},
    {25, "vmwrite"},
    {26, "vmxoff"},
    {27, "vmxon"},
    {28, "control_register"},
    {29, "debug_register"},
    {30, "io_instruction"},
    {31, "rdmsr"},
    {32, "wrmsr"},
    {33, "entry_failure_guest_state"},
    {34, "entry_failure_msr_loading"},
    {36, "mwait"},
    {39, "monitor"},
    {40, "pause"},
    {41, "entry_failure_machine_check"},
    {43, "tpr_below_threshold"},
    {48, "ept_violation"},
    {49, "ept_misconfiguration"},
    {50, "invept"},
    {51, "rdtscp"},
    {52, "preemption_timer"},
    {53, "invvpid"},
    {54, "wbinvd"},
    {55, "xsetbv"},
});

}  // namespace

World::World(WorldConfiguration configuration, Decider& decider)
    : computer_(std::make_unique<Computer>(std::move(configuration), decider)) {}

World::~World() = default;

RunResult World::run() {
  const Watchdog watchdog(*computer_);
  return computer_->run();
}

Bytes World::read_disk(std::size_t index, std::uint64_t offset, std::uint64_t size) const {
  return computer_->read_disk(index, offset, size);
}

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kStopped:
      return "stopped";
    case Outcome::kViolation:
      return "violation";
    case Outcome::kTimeLimit:
      return "time limit";
    case Outcome::kOperationLimit:
      return "operation limit";
    case Outcome::kHang:
      return "hang";
    case Outcome::kHarnessError:
      return "harness error";
  }
  return "unknown";
}

const char* exit_reason_name(std::uint32_t reason) {
  for (const auto& [number, name] : kExitReasons) {
    if (number == reason) {
      return name;
    }
  }
  return "unknown";
}

}  // namespace sim
