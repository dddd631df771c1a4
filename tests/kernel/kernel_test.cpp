#include "partitions/kernel/kernel.h"

#include <catch2/catch.hpp>

#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/msr.h"
#include "tests/kernel/kernel_fixture.h"

TEST_CASE("a kernel owns its RAM without its image and page 0", "[kernel]") {
  kernel_test::Booted booted("a=1\n");
  const std::uint64_t all = kernel_test::kRamBytes / machine::kPageSize;
  const std::uint64_t image = kernel_test::kImageBytes / machine::kPageSize;
  // The parameter pages are in use.
  CHECK(booted.kernel().pages().free_pages() == all - image - 2);
  CHECK(booted.kernel().parameters() == "a=1\n");
  CHECK(booted.kernel().processor_count() == 2);
}

TEST_CASE("the guest's identity is told before the hypercall page is enabled", "[kernel]") {
  kernel_test::Booted booted;
  const auto& writes = host_seam::computer().msr_writes;
  const auto identity = std::ranges::find(writes, hv::kMsrGuestOsId, &host_seam::MsrWrite::msr);
  const auto page = std::ranges::find(writes, hv::kMsrHypercall, &host_seam::MsrWrite::msr);
  REQUIRE(identity != writes.end());
  REQUIRE(page != writes.end());
  CHECK(identity < page);
  CHECK(identity->value != 0);
  CHECK(hv::OverlayPageRegister(page->value).enabled());
}

TEST_CASE("a rep call goes on where the hypervisor stopped", "[kernel][hypercall]") {
  kernel_test::Booted booted;
  host_seam::computer().on_hypercall = [](const host_seam::Hypercall& call) {
    const hv::HypercallControl control(call.control);
    return hv::HypercallResult(hv::Status::kSuccess, std::min(control.rep_start() + 2u, 5u))
        .value();
  };
  const std::array<std::uint64_t, 5> pages{10, 11, 12, 13, 14};
  const kernel::RepResult result = booted.processor().hypercalls().call_reps(
      hv::CallCode::kDepositMemory, hv::DepositMemoryInput{},
      std::span<const std::uint64_t>(pages));
  CHECK(result.status == hv::Status::kSuccess);
  CHECK(result.completed == 5);
  REQUIRE(host_seam::computer().hypercalls.size() == 3);
  CHECK(hv::HypercallControl(host_seam::computer().hypercalls[2].control).rep_start() == 4);
}

TEST_CASE("a rep call tells how far it came before it failed", "[kernel][hypercall]") {
  kernel_test::Booted booted;
  host_seam::computer().on_hypercall = [](const host_seam::Hypercall&) {
    return hv::HypercallResult(hv::Status::kOperationDenied, 3).value();
  };
  const std::array<std::uint64_t, 5> pages{};
  const kernel::RepResult result = booted.processor().hypercalls().call_reps(
      hv::CallCode::kDepositMemory, hv::DepositMemoryInput{},
      std::span<const std::uint64_t>(pages));
  CHECK(result.status == hv::Status::kOperationDenied);
  CHECK(result.completed == 3);
}

TEST_CASE("success without progress is an error, not a loop", "[kernel][hypercall]") {
  kernel_test::Booted booted;
  const kernel::RepResult result = booted.processor().hypercalls().call_counted(
      hv::CallCode::kUnmapGpaPages, hv::UnmapGpaPagesInput{}, 4);
  CHECK(result.status == hv::Status::kOperationFailed);
}

TEST_CASE("another processor is started at the image's other entry, on its own stack", "[kernel]") {
  kernel_test::Booted booted;
  REQUIRE(booted.kernel().start_processor(hv::VpIndex(1)) == hv::Status::kSuccess);
  const auto& call = host_seam::computer().hypercalls.back();
  CHECK(hv::HypercallControl(call.control).code() ==
        static_cast<std::uint16_t>(hv::CallCode::kStartVirtualProcessor));
  const auto input = kernel::read_object<hv::StartVirtualProcessorInput>(machine::Gpa(call.input));
  CHECK(input.vp == hv::VpIndex(1));
  CHECK(input.context.rsp == 0x4000 + 2 * machine::kPageSize);
}
