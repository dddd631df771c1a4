#include "hv/processor/physical_apic.h"

#include <bit>

#include "machine/common.h"
#include "machine/x86.h"

namespace hv::physical_apic {
namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kIcrAssert = 1u << 14;
constexpr unsigned kIcrDestinationShift = 32;

}  // namespace

void enable(bool takes_legacy_interrupts) {
  const std::uint64_t base = machine::read_msr(x86::kMsrApicBase);
  machine::write_msr(x86::kMsrApicBase, base | x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable);
  machine::write_msr(x86::kX2ApicSvr, x86::kApicSoftwareEnable | kSpuriousVector);
  machine::write_msr(x86::kX2ApicTpr, 0);
  machine::write_msr(x86::kX2ApicLvtLint0,
                     takes_legacy_interrupts ? x86::kLvtDeliveryExtInt : x86::kLvtMasked);
  machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kTimerVector);
}

void end_of_interrupt() { machine::write_msr(x86::kX2ApicEoi, 0); }

bool in_service(std::uint8_t vector) {
  const std::uint64_t vectors = machine::read_msr(x86::kX2ApicIsr0 + vector / 32u);
  return ((vectors >> (vector % 32u)) & 1) != 0;
}

std::optional<std::uint8_t> highest_in_service() {
  for (std::uint32_t word = kFirstHypervisorVector / 32u; word-- > kFirstInterruptVector / 32u;) {
    const auto vectors = static_cast<std::uint32_t>(machine::read_msr(x86::kX2ApicIsr0 + word));
    if (vectors != 0) {
      return static_cast<std::uint8_t>(word * 32 + 31 -
                                       static_cast<std::uint32_t>(std::countl_zero(vectors)));
    }
  }
  return std::nullopt;
}

void kick(std::uint32_t apic_id) {
  machine::write_msr(
      x86::kX2ApicIcr,
      (static_cast<std::uint64_t>(apic_id) << kIcrDestinationShift) | kIcrAssert | kKickVector);
}

void set_timer(std::uint64_t deadline) { machine::write_msr(x86::kMsrTscDeadline, deadline); }

}  // namespace hv::physical_apic
