// The values of the interface, as a guest that was built elsewhere has them.
#include "hv/tlfs/tlfs.h"

#include <catch2/catch.hpp>
#include <cstring>

TEST_CASE("a hypercall's input value has its fields where the interface puts them", "[hv][tlfs]") {
  using hv::CallCode;
  using hv::HypercallControl;
  CHECK(HypercallControl(CallCode::kPostMessage).value() == 0x5C);
  CHECK(HypercallControl(CallCode::kSignalEvent).fast().value() == 0x1005D);
  CHECK(HypercallControl(CallCode::kDepositMemory).with_reps(3).value() == 0x0000'0003'0000'0048);
  CHECK(HypercallControl(CallCode::kMapGpaPages).with_reps(509, 12).value() ==
        0x000C'01FD'0000'004B);
  CHECK(HypercallControl(CallCode::kFlushVirtualAddressSpaceEx).with_variable_header(1).value() ==
        0x20013);
  const HypercallControl control(0x000C'01FD'0005'004B);
  CHECK(control.code() == 0x4B);
  CHECK(control.is_fast());
  CHECK(control.variable_header_qwords() == 2);
  CHECK(control.rep_count() == 509);
  CHECK(control.rep_start() == 12);
  CHECK(control.reserved_bits_are_zero());
  for (const unsigned bit : {27u, 30u, 44u, 47u, 60u, 63u}) {
    CHECK_FALSE(HypercallControl(1ull << bit).reserved_bits_are_zero());
  }
  CHECK(HypercallControl(1ull << 31).reserved_bits_are_zero());
  CHECK(HypercallControl(1ull << 31).is_nested());
}

TEST_CASE("a hypercall's result has status and completed reps", "[hv][tlfs]") {
  using hv::HypercallResult;
  using hv::Status;
  CHECK(HypercallResult(Status::kSuccess, 7).value() == 0x0000'0007'0000'0000);
  CHECK(HypercallResult(Status::kInsufficientMemory).value() == 0xB);
  const HypercallResult result(0xABC0'0123'FFFF'000B);
  CHECK(result.status() == Status::kInsufficientMemory);
  CHECK(result.reps_completed() == 0x123);
}

TEST_CASE("statuses have names", "[hv][tlfs]") {
  CHECK(hv::status_name(hv::Status::kSuccess) == "SUCCESS");
  CHECK(hv::status_name(hv::Status::kUnknownRegisterName) == "UNKNOWN_REGISTER_NAME");
  CHECK(hv::status_name(hv::Status{0x1234}) == "UNKNOWN");
}

TEST_CASE("the vendor leaf spells what guests look for", "[hv][tlfs]") {
  const std::uint32_t words[] = {hv::kVendorEbx, hv::kVendorEcx, hv::kVendorEdx};
  CHECK(std::memcmp(words, "Microsoft Hv", 12) == 0);
  CHECK(std::memcmp(&hv::kInterfaceHv1, "Hv#1", 4) == 0);
}

TEST_CASE("a page register keeps its preserved bits and names its page", "[hv][tlfs]") {
  const hv::OverlayPageRegister simp(0x12345FFF);
  CHECK(simp.enabled());
  CHECK(simp.page() == machine::Gpn(0x12345));
  CHECK(simp.value() == 0x12345FFF);
  CHECK(hv::OverlayPageRegister(machine::Gpn(5), true).value() == 0x5001);
}

TEST_CASE("timer and SINT registers have their fields where the interface puts them",
          "[hv][tlfs]") {
  // What a Linux guest writes: enabled, auto-enabled, direct mode, vector 0xED.
  const hv::TimerConfig direct =
      hv::TimerConfig::direct(0xED, hv::TimerConfig::kEnable | hv::TimerConfig::kAutoEnable);
  CHECK(direct.value == 0x1ED9);
  CHECK(direct.vector() == 0xED);
  const hv::TimerConfig message = hv::TimerConfig::message(2, hv::TimerConfig::kEnable);
  CHECK(message.value == 0x20001);
  CHECK(message.sint() == 2);
  const hv::SintRegister sint{0x600F3};
  CHECK(sint.vector() == 0xF3);
  CHECK_FALSE(sint.masked());
  CHECK(sint.auto_eoi());
  CHECK(sint.polling());
}

TEST_CASE("a pending interruption is taken apart", "[hv][tlfs]") {
  const hv::PendingInterruption fault{0x0000'0002'000E'0017};
  CHECK(fault.pending());
  CHECK(fault.type() == static_cast<std::uint8_t>(hv::InterruptionType::kException));
  CHECK(fault.deliver_error_code());
  CHECK(fault.vector() == 14);
  CHECK(fault.error_code() == 2);
}

TEST_CASE("a range of addresses counts its first page", "[hv][tlfs]") {
  CHECK(hv::GvaRange{0x7000}.page_count() == 1);
  CHECK(hv::GvaRange{0x7FFF}.page_count() == 4096);
  CHECK(hv::GvaRange{0x7FFF}.first_address() == 0x7000);
}

TEST_CASE("a privilege mask has the interface's bits", "[hv][tlfs]") {
  using hv::Privilege;
  const hv::PrivilegeMask mask =
      hv::PrivilegeMask().with(Privilege::kPostMessages).with(Privilege::kCpuManagement);
  CHECK(mask.bits() == 0x0000'1010'0000'0000);
  CHECK(mask.has(Privilege::kCpuManagement));
  CHECK_FALSE(mask.has(Privilege::kSignalEvents));
}
