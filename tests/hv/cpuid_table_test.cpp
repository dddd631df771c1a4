// What CPUID answers in a guest.
#include "hv/cpuid/cpuid_table.h"

#include <bit>
#include <catch2/catch.hpp>

#include "hv/cpuid/feature_masks.h"
#include "hv/hypervisor_limits.h"
#include "hv/tlfs/cpuid.h"

namespace {

hv::CpuidSubject child() {
  hv::CpuidSubject subject;
  subject.privileges = hv::PrivilegeMask(hv::kGuestPrivilegeBits);
  subject.apic_id = 3;
  subject.vp_count = 4;
  return subject;
}

}  // namespace

TEST_CASE("a guest finds the interface by its vendor, interface and highest leaf", "[hv][cpuid]") {
  const auto vendor = hv::hypervisor_cpuid(child(), hv::kCpuidVendor);
  CHECK(vendor.eax >= 0x4000'0005);
  CHECK(vendor.eax <= 0x4000'FFFF);
  CHECK(vendor.ebx == hv::kVendorEbx);
  CHECK(hv::hypervisor_cpuid(child(), hv::kCpuidInterface).eax == hv::kInterfaceHv1);
  CHECK(hv::hypervisor_cpuid(child(), 0x4000'00FE).eax == 0);
}

TEST_CASE("the features leaf is the privilege mask", "[hv][cpuid]") {
  const auto features = hv::hypervisor_cpuid(child(), hv::kCpuidFeatures);
  CHECK(features.eax == 0x0000'0FFF);
  CHECK(features.ebx == 0x0028'8030);
  CHECK((features.eax & 0x60) == 0x60);  // Linux refuses a hypervisor without these two
  hv::CpuidSubject poor = child();
  poor.privileges = hv::PrivilegeMask(0);
  const auto few = hv::hypervisor_cpuid(poor, hv::kCpuidFeatures);
  CHECK(few.eax == 0);
  CHECK((few.edx & hv::FeaturesEdx::kFrequencyMsrs) == 0);
  CHECK((few.edx & hv::FeaturesEdx::kXmmHypercallInput) != 0);
  CHECK((few.edx & hv::FeaturesEdx::kXmmHypercallOutput) == 0);
}

TEST_CASE("leaf 1 shows the hypervisor and hides what is not virtualized", "[hv][cpuid]") {
  const machine::CpuidResult all{0x306C3, ~0u, ~0u, ~0u};
  const auto one = hv::guest_cpuid(child(), 1, 0, all);
  CHECK((one.ecx & hv::kCpuidHypervisorPresent) != 0);
  CHECK((one.ecx & (1u << 5)) == 0);   // VMX
  CHECK((one.ecx & (1u << 3)) == 0);   // MONITOR
  CHECK((one.ecx & (1u << 21)) != 0);  // x2APIC
  CHECK((one.ebx >> 24) == 3);
  CHECK(((one.ebx >> 16) & 0xFF) == 4);
}

TEST_CASE("a local APIC's timer has deadlines and never stops, whatever the processor's does",
          "[hv][cpuid]") {
  constexpr std::uint32_t kDeadline = 1u << 24;
  constexpr std::uint32_t kAlwaysRunning = 1u << 2;
  hv::CpuidSubject subject = child();
  CHECK((hv::guest_cpuid(subject, 1, 0, {}).ecx & kDeadline) != 0);
  CHECK(hv::guest_cpuid(subject, 6, 0, {~0u, ~0u, ~0u, ~0u}).eax == kAlwaysRunning);
  hv::ProcessorFeatureBanks hidden;
  hidden.add(hv::ProcessorFeature::kTscDeadlineTimer);
  subject.disabled_features = &hidden;
  CHECK((hv::guest_cpuid(subject, 1, 0, {}).ecx & kDeadline) == 0);
  subject.disabled_features = nullptr;
  subject.has_apic = false;
  CHECK((hv::guest_cpuid(subject, 1, 0, {0, 0, ~0u, 0}).ecx & kDeadline) == 0);
  CHECK(hv::guest_cpuid(subject, 6, 0, {}).eax == 0);
}

TEST_CASE("XSAVE and what needs it are shown as far as there are components", "[hv][cpuid]") {
  constexpr std::uint32_t kXsave = 1u << 26;
  constexpr std::uint32_t kOsXsave = 1u << 27;
  constexpr std::uint32_t kAvx = 1u << 28;
  const machine::CpuidResult all{~0u, ~0u, ~0u, ~0u};
  const auto ecx = [&](std::uint64_t components, bool on) {
    hv::CpuidSubject subject = child();
    subject.extended_components = components;
    subject.os_xsave = on;
    return hv::guest_cpuid(subject, 1, 0, all).ecx & (kXsave | kOsXsave | kAvx);
  };
  CHECK(ecx(0, true) == 0);
  CHECK(ecx(3, false) == kXsave);
  CHECK(ecx(3, true) == (kXsave | kOsXsave));
  CHECK(ecx(7, true) == (kXsave | kOsXsave | kAvx));
  hv::CpuidSubject subject = child();
  CHECK(hv::guest_cpuid(subject, 0xD, 0, all).eax == 0);
  subject.extended_components = 7;
  subject.extended_area_bytes = 832;
  CHECK(hv::guest_cpuid(subject, 0xD, 0, {0xFF, 576, 2696, 0}).eax == 7);
  CHECK(hv::guest_cpuid(subject, 0xD, 0, {0xFF, 576, 2696, 0}).ebx == 576);
  CHECK(hv::guest_cpuid(subject, 0xD, 0, {0xFF, 576, 2696, 0}).ecx == 832);
  CHECK(hv::guest_cpuid(subject, 0xD, 1, all).eax == 7);
  CHECK(hv::guest_cpuid(subject, 0xD, 2, {256, 576, 0, 0}).ebx == 576);
  CHECK(hv::guest_cpuid(subject, 0xD, 9, {8, 2688, 0, 0}).eax == 0);
  CHECK((hv::guest_cpuid(subject, 7, 0, all).ebx & (1u << 5)) != 0);   // AVX2
  CHECK((hv::guest_cpuid(subject, 7, 0, all).ebx & (1u << 16)) == 0);  // AVX512F
}

TEST_CASE("the topology leaf has one core for each virtual processor", "[hv][cpuid]") {
  const auto thread = hv::guest_cpuid(child(), 0xB, 0, {});
  const auto core = hv::guest_cpuid(child(), 0xB, 1, {});
  const auto beyond = hv::guest_cpuid(child(), 0xB, 2, {});
  CHECK(thread.edx == 3);
  CHECK((thread.ecx >> 8) == 1);
  CHECK(core.eax == 2);
  CHECK(core.ebx == 4);
  CHECK((core.ecx >> 8) == 2);
  CHECK((beyond.ecx >> 8) == 0);
}

TEST_CASE("the processors of a partition differ in their APIC ids alone", "[hv][cpuid]") {
  const machine::CpuidResult all{0x306C3, ~0u, ~0u, ~0u};
  hv::CpuidSubject other = child();
  other.apic_id = 1;
  constexpr std::uint32_t kApicIdEbx = 0xFF00'0000;
  for (const std::uint32_t first : {0u, 0x4000'0000u, 0x8000'0000u}) {
    for (std::uint32_t leaf = first; leaf < first + 0x20; ++leaf) {
      INFO(leaf);
      const auto answer = [&](const hv::CpuidSubject& subject) {
        machine::CpuidResult result = hv::is_hypervisor_leaf(leaf)
                                          ? hv::hypervisor_cpuid(subject, leaf)
                                          : hv::guest_cpuid(subject, leaf, 0, all);
        result.ebx &= leaf == 1 ? ~kApicIdEbx : ~0u;
        result.edx &= leaf == 0xB ? 0u : ~0u;
        return result;
      };
      const machine::CpuidResult one = answer(child());
      const machine::CpuidResult two = answer(other);
      CHECK((one.eax == two.eax && one.ebx == two.ebx));
      CHECK((one.ecx == two.ecx && one.edx == two.edx));
    }
  }
}

TEST_CASE("a disabled feature takes its bit away, and no other", "[hv][cpuid]") {
  const machine::CpuidResult all{~0u, ~0u, ~0u, ~0u};
  const auto bits = [](const machine::CpuidResult& result) {
    return std::popcount(result.eax) + std::popcount(result.ebx) + std::popcount(result.ecx) +
           std::popcount(result.edx);
  };
  for (const hv::FeatureBit& bit : hv::feature_bits()) {
    INFO(static_cast<unsigned>(bit.feature));
    hv::ProcessorFeatureBanks disabled;
    disabled.add(bit.feature);
    machine::CpuidResult result = all;
    hv::hide_features(disabled, bit.leaf, bit.subleaf, result);
    CHECK_FALSE(hv::shows(result, bit));
    CHECK(bits(result) == 127);
    machine::CpuidResult elsewhere = all;
    hv::hide_features(disabled, bit.leaf + 1, bit.subleaf, elsewhere);
    CHECK(bits(elsewhere) == 128);
    const hv::ProcessorFeatureBanks shown =
        hv::shown_features([&](std::uint32_t leaf, std::uint32_t subleaf) {
          machine::CpuidResult answer = all;
          hv::hide_features(disabled, leaf, subleaf, answer);
          return answer;
        });
    CHECK_FALSE(shown.has(bit.feature));
  }
}

TEST_CASE("a disabled feature is hidden in its subleaf, or in each if there is only one",
          "[hv][cpuid]") {
  const machine::CpuidResult all{~0u, ~0u, ~0u, ~0u};
  for (const hv::FeatureBit& bit : hv::feature_bits()) {
    INFO(static_cast<unsigned>(bit.feature));
    hv::ProcessorFeatureBanks disabled;
    disabled.add(bit.feature);
    machine::CpuidResult other = all;
    hv::hide_features(disabled, bit.leaf, bit.subleaf + 5, other);
    CHECK(hv::shows(other, bit) == (bit.leaf == 7 || bit.leaf == 0xD));
  }
}

TEST_CASE("a socket has as many processors as the parent says", "[hv][cpuid]") {
  hv::CpuidSubject subject = child();
  subject.processors_per_socket = 2;
  const auto core = hv::guest_cpuid(subject, 0xB, 1, {});
  CHECK(core.eax == 1);
  CHECK(core.ebx == 2);
  CHECK((hv::guest_cpuid(subject, 1, 0, {}).ebx >> 16 & 0xFF) == 2);
}
