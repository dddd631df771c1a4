// The synthetic MSRs as a guest finds them, on the whole hypervisor in the simulator.
#include <catch2/catch.hpp>
#include <random>

#include "hv/msr/msr_table.h"
#include "hv/timer/reference_time.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using machine::read_msr;
using machine::try_read_msr;
using machine::try_write_msr;
using machine::write_msr;

constexpr machine::Exception kGeneralProtection{machine::x86::kVectorGeneralProtection, 0};

bool write_faults(std::uint32_t msr, std::uint64_t value) {
  const auto written = try_write_msr(msr, value);
  return !written && written.error() == kGeneralProtection;
}

bool read_faults(std::uint32_t msr) {
  const auto value = try_read_msr(msr);
  return !value && value.error() == kGeneralProtection;
}

void use_hypercall_page() {
  const hv::OverlayPageRegister place(kHypercallPage.page(), true);
  machine::store_u32(kHypercallPage, 0x1234'5678);
  write_msr(hv::kMsrHypercall, place.value());
  GUEST_CHECK((read_msr(hv::kMsrHypercall) & hv::OverlayPageRegister::kEnable) == 0);
  GUEST_CHECK(machine::load_u32(kHypercallPage) == 0x1234'5678);
  write_msr(hv::kMsrGuestOsId, 1);
  write_msr(hv::kMsrHypercall, place.value());
  GUEST_CHECK(read_msr(hv::kMsrHypercall) == place.value());
  GUEST_CHECK(machine::load_u32(kHypercallPage) != 0x1234'5678);
  // A place outside of the GPA space is refused, and nothing changes.
  GUEST_CHECK(write_faults(hv::kMsrHypercall, ~0ull));
  GUEST_CHECK(read_msr(hv::kMsrHypercall) == place.value());
  write_msr(hv::kMsrGuestOsId, 0);
  GUEST_CHECK((read_msr(hv::kMsrHypercall) & hv::OverlayPageRegister::kEnable) == 0);
  GUEST_CHECK(machine::load_u32(kHypercallPage) == 0x1234'5678);
  begin();
  end(0);
}

void keep_crash_registers() {
  begin();
  constexpr std::uint64_t kCapabilities = hv::kCrashNotify | hv::kCrashMessage;
  for (std::uint32_t msr = hv::kMsrCrashP0; msr <= hv::kMsrCrashP4; ++msr) {
    GUEST_CHECK(read_msr(msr) == 0);
    write_msr(msr, 0xABCD'0000'0000'0000 + msr);
  }
  for (std::uint32_t msr = hv::kMsrCrashP0; msr <= hv::kMsrCrashP4; ++msr) {
    GUEST_CHECK(read_msr(msr) == 0xABCD'0000'0000'0000 + msr);
  }
  GUEST_CHECK(read_msr(hv::kMsrCrashCtl) == kCapabilities);
  write_msr(hv::kMsrCrashCtl, hv::kCrashNotify);
  GUEST_CHECK(read_msr(hv::kMsrCrashCtl) == kCapabilities);
  const machine::CpuidResult features = machine::cpuid(hv::kCpuidFeatures, 0);
  GUEST_CHECK((features.edx & hv::FeaturesEdx::kGuestCrashMsrs) != 0);
  end(0);
}

void refuse_values() {
  begin();
  GUEST_CHECK(read_msr(hv::kMsrSversion) == hv::kSynicVersion);
  GUEST_CHECK(write_faults(hv::kMsrSversion, 1));
  GUEST_CHECK(write_faults(hv::kMsrTimeRefCount, 0));
  GUEST_CHECK(write_faults(hv::kMsrVpIndex, 0));
  GUEST_CHECK(write_faults(hv::kMsrSint0 + 2, 15));
  GUEST_CHECK(read_msr(hv::kMsrSint0 + 2) == hv::SintRegister::kReset);
  GUEST_CHECK(try_write_msr(hv::kMsrSint0 + 2, hv::SintRegister::kMasked).has_value());
  GUEST_CHECK(write_faults(hv::kMsrStimer0Config, 1ull << 20));
  GUEST_CHECK(read_faults(hv::kMsrEoi));
  GUEST_CHECK(read_faults(0x4000'01FF));
  GUEST_CHECK(read_faults(0xC000'1234));
  GUEST_CHECK(read_msr(hv::kMsrEom) == 0);
  GUEST_CHECK(read_msr(hv::kMsrVpIndex) == 0);
  GUEST_CHECK(read_msr(hv::kMsrTscFrequency) > 1'000'000);
  GUEST_CHECK(write_faults(machine::x86::kX2ApicSelfIpi, 1ull << 40));
  GUEST_CHECK(write_faults(machine::x86::kMsrApicBase, 0));
  GUEST_CHECK(write_faults(machine::x86::kMsrEfer, ~0ull));
  end(0);
}

void read_two_clocks() {
  begin();
  const machine::Gpa page(0x40'6000);
  write_msr(hv::kMsrReferenceTsc, hv::OverlayPageRegister(page.page(), true).value());
  GUEST_CHECK(machine::load_u32(page) != hv::kReferenceTscSequenceInvalid);
  const std::uint64_t scale = machine::load_u64(page + 8);
  const std::uint64_t offset = machine::load_u64(page + 16);
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t before = hv::reference_time(machine::read_tsc(), scale, offset);
    const std::uint64_t counter = read_msr(hv::kMsrTimeRefCount);
    const std::uint64_t after = hv::reference_time(machine::read_tsc(), scale, offset);
    GUEST_CHECK(before <= counter && counter <= after);
    machine::spend(1'000'000);
  }
  GUEST_CHECK(read_msr(hv::kMsrVpRuntime) > 0);
  end(0);
}

void move_message_page() {
  begin();
  const machine::Gpa other(0x40'7000);
  machine::store_u64(other, 77);
  machine::store_u64(kMessagePage + 0x800, 5);  // in the overlay
  write_msr(hv::kMsrSimp, hv::OverlayPageRegister(other.page(), true).value());
  GUEST_CHECK(machine::load_u64(other) == 0);
  GUEST_CHECK(machine::load_u64(other + 0x800) == 5);
  GUEST_CHECK(machine::load_u64(kMessagePage + 0x800) == 0);  // uncovered
  write_msr(hv::kMsrSimp, hv::OverlayPageRegister(other.page(), false).value());
  GUEST_CHECK(machine::load_u64(other) == 77);
  end(0);
}

void require_pass(void (*root)()) {
  const sim::RunResult result = run(world(root, 2));
  INFO(sim::name_of(result.outcome)
       << " " << result.error << (result.violations.empty() ? "" : result.violations[0].message));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("the hypercall page needs a guest's identity, and goes with it", "[hv][msr]") {
  require_pass(use_hypercall_page);
}
TEST_CASE("what a guest writes to the crash MSRs stays there", "[hv][msr]") {
  require_pass(keep_crash_registers);
}
TEST_CASE("an MSR or value that the hypervisor does not have is a #GP", "[hv][msr]") {
  require_pass(refuse_values);
}
TEST_CASE("the reference TSC page and the reference counter agree", "[hv][msr]") {
  require_pass(read_two_clocks);
}
TEST_CASE("the page and the counter agree at every rate of the time-stamp counter", "[hv][msr]") {
  std::mt19937_64 draws(1);
  std::uniform_int_distribution<std::uint64_t> rates(20'000'000, 6'000'000'000);
  for (int rate = 0; rate < 25; ++rate) {
    sim::WorldConfiguration configuration = world(read_two_clocks);
    configuration.tsc_frequency_hz = rates(draws);
    const sim::RunResult result = run(configuration, static_cast<std::uint64_t>(rate));
    INFO(configuration.tsc_frequency_hz << " Hz: " << describe(result));
    REQUIRE(result.passed());
  }
}
TEST_CASE("an overlay hides what is beneath and uncovers it", "[hv][msr]") {
  require_pass(move_message_page);
}
TEST_CASE("every MSR of the table can be read or written, and has a name", "[hv][msr]") {
  for (const hv::MsrDescription& entry : hv::msr_table()) {
    INFO(entry.name);
    CHECK_FALSE(entry.name.empty());
    CHECK(entry.first <= entry.last);
    CHECK((entry.read != nullptr || entry.write != nullptr));
  }
}
