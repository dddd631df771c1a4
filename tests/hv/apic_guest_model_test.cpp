// A guest that does anything with its local APIC beside a model of it (tests/hv_apic/), on the
// whole hypervisor: as xAPIC and as x2APIC, by the page, the MSRs, the synthetic MSRs, CR8's
// register and hypercalls, with interrupts that nest, and ends that are written, left for later or
// need no write.
#include <catch2/catch.hpp>
#include <random>
#include <utility>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/hv_apic/apic_reference.h"

namespace {

using namespace test_kernel;
using hv::ApicMode;
using hv::CallCode;
using hv::HypercallControl;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr Gpa kApicPage{0xFEE0'0000};
constexpr Gpa kAssistPage{0x40'6000};
constexpr std::uint32_t kSteps = 300;
constexpr std::uint64_t kFixedToFirst = 0;  // physical destination 0

constexpr std::uint32_t kTpr = 0x08;
constexpr std::uint32_t kPpr = 0x0A;
constexpr std::uint32_t kEoi = 0x0B;
constexpr std::uint32_t kSvr = 0x0F;
constexpr std::uint32_t kIsr = 0x10;
constexpr std::uint32_t kIrr = 0x20;
constexpr std::uint32_t kIcr = 0x30;
constexpr std::uint32_t kIcrHigh = 0x31;
constexpr std::uint32_t kSelfIpi = 0x3F;

/// What the guest under way knows; its handlers have no object.
struct Guest {
  explicit Guest(std::uint64_t seed) : draws(seed) {}
  std::uint64_t draw(std::uint64_t limit) { return draws() % limit; }

  std::mt19937_64 draws;
  apic_reference::LocalApic apic{0};
  std::uint32_t nmis_sent = 0;
  std::uint32_t nmis_taken = 0;
  std::uint32_t taken = 0;
  std::uint32_t ended_lazily = 0;
  bool has_assist_page = true;
  /// Whether that page says that the interrupt in service needs no EOI.
  bool end_is_offered = false;
};
Guest* guest = nullptr;
std::uint64_t seed_of_run = 0;
std::uint32_t lazy_ends = 0;
ApicMode mode_of_run = ApicMode::kX2Apic;

bool is_page() { return mode_of_run == ApicMode::kXapic; }

std::uint64_t show(std::uint32_t number) {
  return is_page() ? machine::load_u32(kApicPage + number * 16)
                   : machine::read_msr(x86::kX2ApicFirst + number);
}

apic_reference::Outcome set(std::uint32_t number, std::uint64_t value) {
  if (is_page()) {
    machine::store_u32(kApicPage + number * 16, static_cast<std::uint32_t>(value));
    return guest->apic.write_page(number, static_cast<std::uint32_t>(value), 0);
  }
  machine::write_msr(x86::kX2ApicFirst + number, value);
  return guest->apic.write_msr(number, value, 0);
}

/// TLFS "EOI Assist": the bit is there from the moment an interrupt is taken behind which nothing
/// waits, until something waits, it ends, or the guest takes the bit.
void check_offer() {
  GUEST_CHECK(((machine::load_u32(kAssistPage) & 1) != 0) == guest->end_is_offered);
}

void settle_offer() {
  guest->end_is_offered = guest->end_is_offered && !guest->apic.any_requested();
  check_offer();
}

/// An offer that was open is none afterwards.
void show_assist_page(bool shown) {
  machine::write_msr(hv::kMsrVpAssistPage,
                     hv::OverlayPageRegister(kAssistPage.page(), shown).value());
  guest->has_assist_page = shown;
  guest->end_is_offered = false;
  check_offer();
}

void end_interrupt() {
  check_offer();
  const bool offered = std::exchange(guest->end_is_offered, false);
  switch (guest->draw(3)) {
    case 0:
      set(kEoi, 0);
      return;
    case 1:
      if ((machine::exchange_u32(kAssistPage, 0) & 1) != 0) {
        GUEST_CHECK(offered);
        ++guest->ended_lazily;
        static_cast<void>(guest->apic.end());
        return;
      }
      break;
    default:
      break;
  }
  machine::write_msr(hv::kMsrEoi, 0);
  static_cast<void>(guest->apic.end());
}

void send(std::uint8_t vector) {
  const auto command = static_cast<std::uint64_t>(vector);
  switch (guest->draw(is_page() ? 3 : 4)) {
    case 3:
      set(kSelfIpi, vector);
      settle_offer();
      return;
    case 0:
      if (is_page()) {
        set(kIcrHigh, 0);
      }
      set(kIcr, command | kFixedToFirst);
      break;
    case 1:
      set(kIcr, command | (1u << 18));
      break;
    default:
      GUEST_CHECK(
          machine::hypercall(kHypercallPage,
                             HypercallControl(CallCode::kSendSyntheticClusterIpi).fast().value(),
                             vector, 1) == 0);
      break;
  }
  static_cast<void>(guest->apic.accept(vector, false, false));
  settle_offer();
}

void send_nmi() {
  if (is_page()) {
    set(kIcrHigh, 0);
  }
  set(kIcr, 4u << 8);
  ++guest->nmis_sent;
  GUEST_CHECK(guest->nmis_taken == guest->nmis_sent);
}

void check_registers() {
  for (std::uint32_t word = 0; word < 8; ++word) {
    GUEST_CHECK(show(kIsr + word) == guest->apic.read_msr(kIsr + word, 0));
    GUEST_CHECK(show(kIrr + word) == guest->apic.read_msr(kIrr + word, 0));
  }
  GUEST_CHECK(show(kTpr) == guest->apic.task_priority);
  GUEST_CHECK(show(kPpr) == guest->apic.priority());
  GUEST_CHECK(machine::read_msr(hv::kMsrTpr) == guest->apic.task_priority);
}

void take_what_comes() {
  machine::enable_interrupts();
  static_cast<void>(machine::disable_interrupts());
  GUEST_CHECK(!guest->apic.next());
}

constexpr std::uint8_t kVectors[] = {0x21, 0x31, 0x35, 0x38, 0x41, 0x4F, 0x91, 0xF0};

void act() {
  switch (guest->draw(13)) {
    case 0:
    case 1:
    case 2:
      send(kVectors[guest->draw(std::size(kVectors))]);
      break;
    case 3:
    case 4:
    case 5:
      take_what_comes();
      break;
    case 6:
    case 7:
      end_interrupt();
      break;
    case 8:
      set(kTpr, guest->draw(0x60));
      break;
    case 9: {
      const std::uint64_t priority = guest->draw(3) * 0x20;
      machine::write_msr(hv::kMsrTpr, priority);
      guest->apic.task_priority = static_cast<std::uint8_t>(priority);
      break;
    }
    case 10:
      send_nmi();
      break;
    case 11:
      show_assist_page(guest->draw(4) != 0);
      break;
    default:
      set(kSvr, guest->draw(4) == 0 ? 0xFF : 0x1FF);
      break;
  }
}

template <std::uint8_t kVector>
void on_interrupt(const machine::InterruptFrame&) {
  GUEST_CHECK(guest->apic.next() == kVector);
  guest->apic.take(kVector);
  ++guest->taken;
  guest->end_is_offered = guest->has_assist_page && !guest->apic.any_requested();
  check_offer();
  if (guest->draw(2) == 0) {
    check_registers();
  }
  switch (guest->draw(4)) {
    case 0:
      break;  // its end comes later
    case 1:
      take_what_comes();  // others nest in it
      end_interrupt();
      break;
    default:
      end_interrupt();
      break;
  }
}

template <std::size_t... kIndices>
void set_handlers(std::index_sequence<kIndices...>) {
  (machine::set_interrupt_handler(kVectors[kIndices], on_interrupt<kVectors[kIndices]>), ...);
}

void root() {
  Guest own(seed_of_run);
  guest = &own;
  machine::write_msr(hv::kMsrGuestOsId, hv::open_source_guest_os_id(1, 1));
  machine::write_msr(hv::kMsrHypercall,
                     hv::OverlayPageRegister(kHypercallPage.page(), true).value());
  show_assist_page(true);
  set_handlers(std::make_index_sequence<std::size(kVectors)>());
  machine::set_interrupt_handler(x86::kVectorNmi,
                                 [](const machine::InterruptFrame&) { ++guest->nmis_taken; });
  if (!is_page()) {
    machine::write_msr(x86::kMsrApicBase,
                       machine::read_msr(x86::kMsrApicBase) | x86::kApicBaseX2ApicEnable);
    GUEST_CHECK(own.apic.change_mode(ApicMode::kX2Apic));
  }
  set(kSvr, 0x1FF);
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    act();
    if (own.draw(4) == 0) {
      check_registers();
    }
  }
  GUEST_CHECK(own.taken > 0);
  lazy_ends += own.ended_lazily;
  end(0);
}

void require_pass(ApicMode mode) {
  mode_of_run = mode;
  lazy_ends = 0;
  for (seed_of_run = 1; seed_of_run <= 30; ++seed_of_run) {
    const sim::RunResult result = run(world(root), seed_of_run);
    INFO("seed " << seed_of_run << " " << describe(result));
    REQUIRE(result.passed());
  }
  CHECK(lazy_ends > 30);  // the way without a write was gone, too
}

}  // namespace

TEST_CASE("an x2APIC serves its guest as the model says, whatever the guest does", "[hv][apic]") {
  require_pass(ApicMode::kX2Apic);
}

TEST_CASE("an xAPIC serves its guest as the model says, whatever the guest does", "[hv][apic]") {
  require_pass(ApicMode::kXapic);
}
