#include "partitions/root/partition_calls.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/kernel/kernel_fixture.h"

using hv::CallCode;
using hv::Status;

namespace {

constexpr hv::PartitionId kRoot{1};
constexpr hv::PartitionId kChild{5};

/// A hypervisor that wants some pages before it does what it is asked, and gives them back three at
/// a time.
struct Hungry {
  std::uint64_t appetite = 0;
  std::vector<std::uint64_t> pool;
  std::vector<std::uint64_t> deposits_to;

  std::uint64_t answer(const host_seam::Hypercall& call) {
    const hv::HypercallControl control(call.control);
    switch (static_cast<CallCode>(control.code())) {
      case CallCode::kGetPartitionId:
        machine::store_u64(machine::Gpa(call.output), static_cast<std::uint64_t>(kRoot));
        return 0;
      case CallCode::kDepositMemory:
        return take_deposit(call, control);
      case CallCode::kCreateVp:
        return pool.size() >= appetite ? 0
                                       : hv::HypercallResult(Status::kInsufficientMemory).value();
      case CallCode::kWithdrawMemory:
        return give_back(call, control);
      default:
        return 0;
    }
  }

  std::uint64_t take_deposit(const host_seam::Hypercall& call, hv::HypercallControl control) {
    deposits_to.push_back(machine::load_u64(machine::Gpa(call.input)));
    for (std::uint32_t index = 0; index < control.rep_count(); ++index) {
      pool.push_back(machine::load_u64(machine::Gpa(call.input) + 8 + index * 8));
    }
    return hv::HypercallResult(Status::kSuccess, control.rep_count()).value();
  }

  std::uint64_t give_back(const host_seam::Hypercall& call, hv::HypercallControl control) {
    std::uint32_t done = control.rep_start();
    const std::uint32_t end = std::min(done + 3, control.rep_count());
    for (; done < end && !pool.empty(); ++done) {
      machine::store_u64(machine::Gpa(call.output) + done * 8, pool.back());
      pool.pop_back();
    }
    const Status status = done < end ? Status::kNoResources : Status::kSuccess;
    return hv::HypercallResult(status, done).value();
  }
};

}  // namespace

TEST_CASE("a call that needs memory gets it into the child's pool", "[root][deposit]") {
  kernel_test::Booted booted;
  Hungry hypervisor;
  hypervisor.appetite = 70;
  host_seam::computer().on_hypercall = [&](const host_seam::Hypercall& call) {
    return hypervisor.answer(call);
  };
  root::PartitionCalls calls(booted.kernel());
  REQUIRE(calls.learn_own_id() == Status::kSuccess);
  CHECK(calls.own_id() == kRoot);
  const std::uint64_t before = booted.kernel().pages().free_pages();
  CHECK(calls.create_vp(kChild, 0) == Status::kSuccess);
  CHECK(hypervisor.deposits_to == std::vector<std::uint64_t>(3, 5));
  CHECK(booted.kernel().pages().free_pages() == before - hypervisor.pool.size());
}

TEST_CASE("without pages to deposit a call fails and keeps nothing", "[root][deposit]") {
  kernel_test::Booted booted;
  Hungry hypervisor;
  hypervisor.appetite = ~std::uint64_t{0};
  host_seam::computer().on_hypercall = [&](const host_seam::Hypercall& call) {
    return hypervisor.answer(call);
  };
  root::PartitionCalls calls(booted.kernel());
  const std::uint64_t before = booted.kernel().pages().free_pages();
  CHECK(calls.create_vp(kChild, 0) == Status::kInsufficientMemory);
  CHECK(hypervisor.pool.size() == before);
  CHECK(booted.kernel().pages().free_pages() == 0);
}

TEST_CASE("a refused deposit gives its pages back", "[root][deposit]") {
  kernel_test::Booted booted;
  host_seam::computer().on_hypercall = [&](const host_seam::Hypercall& call) {
    const hv::HypercallControl control(call.control);
    const bool deposit = control.code() == static_cast<std::uint16_t>(CallCode::kDepositMemory);
    return hv::HypercallResult(deposit ? Status::kOperationDenied : Status::kInsufficientMemory)
        .value();
  };
  root::PartitionCalls calls(booted.kernel());
  const std::uint64_t before = booted.kernel().pages().free_pages();
  CHECK(calls.create_vp(kChild, 0) == Status::kOperationDenied);
  CHECK(booted.kernel().pages().free_pages() == before);
}

TEST_CASE("every page of a pool is withdrawn", "[root][deposit]") {
  kernel_test::Booted booted;
  Hungry hypervisor;
  hypervisor.appetite = 70;
  host_seam::computer().on_hypercall = [&](const host_seam::Hypercall& call) {
    return hypervisor.answer(call);
  };
  root::PartitionCalls calls(booted.kernel());
  const std::uint64_t before = booted.kernel().pages().free_pages();
  REQUIRE(calls.create_vp(kChild, 0) == Status::kSuccess);
  CHECK(calls.withdraw_all(kChild) == Status::kSuccess);
  CHECK(booted.kernel().pages().free_pages() == before);
}
