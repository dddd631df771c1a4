#include "metal/hypervisor/other_processors.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "hv/boot.h"
#include "machine/common.h"
#include "machine/shared.h"
#include "machine/x86.h"
#include "metal/hypervisor/layout.h"
#include "metal/hypervisor/processor_state.h"
#include "metal/hypervisor/requirements.h"

extern "C" {
extern const char metal_trampoline_begin[];
extern const char metal_trampoline_end[];
extern std::uint64_t metal_starting_stack;
}

namespace metal {
namespace {

namespace x86 = machine::x86;

// Interrupt command register (SDM vol. 3 10.6.1).
constexpr std::uint64_t kIcrInit = 0x4500;
constexpr std::uint64_t kIcrStartup = 0x4600 | (TRAMPOLINE_ADDRESS >> 12);
constexpr std::uint64_t kMicrosecondsAfterInit = 10'000;
constexpr std::uint64_t kMicrosecondsAfterStartup = 200;
constexpr std::uint64_t kMicrosecondsToAnswer = 100'000;

// One processor starts at a time: these are the words between it and the first one.
constinit std::uint32_t starting_index = 0;
constinit const machine::BootInformation* boot_information = nullptr;
constinit std::array<std::uint32_t, kMaxLogicalProcessors> apic_ids{};
constinit machine::Shared<std::uint32_t> last_started{0};
constinit machine::Shared<std::uint32_t> may_go{0};

bool wait(std::uint64_t microseconds, std::uint64_t tsc_frequency_hz, std::uint32_t index) {
  const std::uint64_t end = machine::read_tsc() + microseconds * (tsc_frequency_hz / 1'000'000 + 1);
  while (machine::read_tsc() < end) {
    if (last_started.load() == index) {
      return true;
    }
    machine::pause();
  }
  return false;
}

bool start(std::uint32_t apic_id, std::uint32_t index, std::uint64_t tsc_frequency_hz) {
  const std::uint64_t destination = static_cast<std::uint64_t>(apic_id) << 32;
  starting_index = index;
  metal_starting_stack = stack_end(index);
  machine::fence();
  machine::write_msr(x86::kX2ApicIcr, destination | kIcrInit);
  static_cast<void>(wait(kMicrosecondsAfterInit, tsc_frequency_hz, index));
  machine::write_msr(x86::kX2ApicIcr, destination | kIcrStartup);
  if (wait(kMicrosecondsAfterStartup, tsc_frequency_hz, index)) {
    return true;
  }
  machine::write_msr(x86::kX2ApicIcr, destination | kIcrStartup);
  return wait(kMicrosecondsToAnswer, tsc_frequency_hz, index);
}

void switch_x2apic_on() {
  machine::write_msr(x86::kMsrApicBase, machine::read_msr(x86::kMsrApicBase) |
                                            x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable);
}

}  // namespace

void start_other_processors(const ProcessorList& list, machine::BootInformation& information) {
  switch_x2apic_on();
  const auto own_id = static_cast<std::uint32_t>(machine::read_msr(x86::kX2ApicId));
  apic_ids[0] = own_id;
  information.logical_processor_count = 1;
  boot_information = &information;
  std::memcpy(reinterpret_cast<void*>(TRAMPOLINE_ADDRESS), metal_trampoline_begin,
              static_cast<std::size_t>(metal_trampoline_end - metal_trampoline_begin));
  for (std::uint32_t entry = 0; entry < list.count; ++entry) {
    const std::uint32_t index = information.logical_processor_count;
    if (list.apic_ids[entry] != own_id && index < kMaxLogicalProcessors &&
        start(list.apic_ids[entry], index, information.tsc_frequency_hz)) {
      apic_ids[index] = list.apic_ids[entry];
      ++information.logical_processor_count;
    }
  }
  information.apic_ids = std::span(apic_ids).first(information.logical_processor_count);
}

void release_other_processors() { may_go.store(1); }

// From boot_entry.S, in 64-bit mode on the processor's own stack.
extern "C" void metal_start_processor() {
  const std::uint32_t index = starting_index;
  load_processor_state(index);
  allow_vmx_operation();
  last_started.store(index);
  while (may_go.load() == 0) {
    machine::pause();
  }
  hv::boot(*boot_information, index);
}

}  // namespace metal
