#include <algorithm>
#include <array>
#include <cstddef>

#include "hv/boot.h"
#include "machine/common.h"
#include "machine/shared.h"
#include "machine/x86.h"
#include "metal/metal.h"
#include "tests/metal/seam_check.h"

namespace seam_check {
namespace {

constinit Tally results{};
constinit machine::Shared<std::uint32_t> arrived{0};
constinit machine::Shared<std::uint32_t> answered{0};

constexpr std::uint8_t kPingVector = 0x61;

void on_ping(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
  answered.fetch_add(1);
}

bool becomes(const machine::Shared<std::uint32_t>& word, std::uint32_t value) {
  for (std::uint32_t turn = 0; turn < 10'000'000; ++turn) {
    if (word.load() == value) {
      return true;
    }
    machine::pause();
  }
  return false;
}

const machine::BootModule* find_module(const machine::BootInformation& information,
                                       std::string_view name) {
  for (std::uint32_t index = 0; index < information.module_count; ++index) {
    if (std::string_view(information.modules[index].name.data()) == name) {
      return &information.modules[index];
    }
  }
  return nullptr;
}

bool module_says(const machine::BootInformation& information, std::string_view text) {
  const machine::BootModule* module = find_module(information, "parameters");
  if (module == nullptr || module->size_bytes < text.size()) {
    return false;
  }
  std::array<std::byte, 64> begin{};
  machine::read_memory(machine::Spa(module->base), std::span(begin).first(text.size()));
  return std::equal(text.begin(), text.end(), begin.begin(), [](char left, std::byte right) {
    return static_cast<std::byte>(left) == right;
  });
}

[[noreturn]] void serve_as_other_processor() {
  machine::write_msr(machine::x86::kMsrApicBase, machine::read_msr(machine::x86::kMsrApicBase) |
                                                     machine::x86::kApicBaseEnable |
                                                     machine::x86::kApicBaseX2ApicEnable);
  machine::write_msr(machine::x86::kX2ApicSvr, machine::x86::kApicSoftwareEnable | 0xFF);
  arrived.fetch_add(1);
  for (;;) {
    machine::sti_hlt();
  }
}

}  // namespace

void check(std::string_view property, bool holds) {
  ++results.checked;
  results.failed += holds ? 0 : 1;
  metal::serial_write(holds ? "PASS " : "FAIL ");
  metal::serial_write(property);
  metal::serial_write("\n");
}

Tally tally() { return results; }

void check_boot_information(const machine::BootInformation& information) {
  const std::uint32_t others = information.logical_processor_count - 1;
  check("both processors have been started", information.logical_processor_count == 2);
  check("every started processor enters the hypervisor", becomes(arrived, others));
  check("a processor's id is the one that its local APIC tells",
        information.apic_ids[0] == machine::read_msr(machine::x86::kX2ApicId));
  check("the time-stamp counter's frequency is plausible",
        information.tsc_frequency_hz > 10'000'000 && information.tsc_frequency_hz < 10'000'000'000);
  std::uint64_t total = 0;
  std::uint64_t last_end = 0;
  bool ordered = true;
  for (std::uint32_t index = 0; index < information.memory_range_count; ++index) {
    const machine::MemoryRange& range = information.memory_ranges[index];
    ordered = ordered && range.base >= last_end && range.base % machine::kPageSize == 0 &&
              range.size_bytes % machine::kPageSize == 0;
    last_end = range.base + range.size_bytes;
    total += range.size_bytes;
  }
  check("memory ranges are page aligned, ascending and apart", ordered);
  check("most of the memory is free", total > (200ull << 20));
  const auto arena = reinterpret_cast<std::uint64_t>(machine::arena().data());
  bool arena_is_apart = true;
  for (std::uint32_t index = 0; index < information.memory_range_count; ++index) {
    const machine::MemoryRange& range = information.memory_ranges[index];
    arena_is_apart =
        arena_is_apart && (arena < range.base || arena >= range.base + range.size_bytes);
  }
  check("the arena is in no memory range", arena_is_apart);
  check("a boot module is found by its name and holds its file",
        module_says(information, "scenario=seam_check\n"));
}

void check_interrupts(const machine::BootInformation& information) {
  if (information.logical_processor_count < 2) {
    return;
  }
  machine::set_interrupt_handler(kPingVector, on_ping);
  machine::write_msr(machine::x86::kX2ApicIcr,
                     (static_cast<std::uint64_t>(information.apic_ids[1]) << 32) | kPingVector);
  check("an interrupt sent to a sleeping processor wakes it", becomes(answered, 1));
}

}  // namespace seam_check

namespace hv {

void boot(const machine::BootInformation& information, std::uint32_t lp) {
  if (lp != 0) {
    seam_check::serve_as_other_processor();
  }
  seam_check::check_boot_information(information);
  seam_check::check_instructions();
  seam_check::check_interrupts(information);
  seam_check::check_vmx();
  seam_check::check_guests();
  if (const auto* module = seam_check::find_module(information, "image_check")) {
    seam_check::check_image(*module);
  }
  const seam_check::Tally tally = seam_check::tally();
  metal::serial_write("CHECKED ");
  metal::serial_write_decimal(tally.checked);
  metal::serial_write(" FAILED ");
  metal::serial_write_decimal(tally.failed);
  metal::serial_write("\n");
  machine::stop(tally.failed == 0 ? 0 : 1);
}

}  // namespace hv
