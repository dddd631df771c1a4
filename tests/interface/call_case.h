// What the interface promises, a row for each input: of a hypercall, of a synthetic MSR, of a CPUID
// leaf. Each row runs in a fresh simulated computer, in the root or in a child, and checks what it
// is answered and what has changed. docs/interface-coverage.md counts the rows, and a test asks of
// every call and MSR that there are rows it accepts and rows it refuses.
//
// To add rows: write a file TOPIC_cases.cpp that returns them in a span, and name it in
// case_tables.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "hv/tlfs/tlfs.h"
#include "tests/hv/child_maker.h"

namespace interface_test {

/// Who makes the call or accesses the register. A child gets its hypercall page, its local APIC and
/// its SynIC pages turned on first, as the root does.
enum class Caller : std::uint8_t { kRoot, kChild };

/// What the root does beside a child's row: before the child's first VP starts, and after the child
/// has made the access. Null: nothing. Never called for a row of the root's own.
using RootStep = void (*)(const child_maker::Child& child);
/// What the root does to a child's partition before it is initialized. The child then turns nothing
/// on by itself.
using child_maker::EarlyStep;

struct CallCase {
  hv::CallCode code{};
  /// What the input is, in words, from which a reader knows why the status is right. No other row
  /// of the call says the same.
  std::string_view input;
  hv::Status expected = hv::Status::kSuccess;
  /// Brings about what the input needs, makes the call, checks what it changed or left alone
  /// (GUEST_CHECK), and returns its status.
  hv::Status (*make)() = nullptr;
  Caller caller = Caller::kRoot;
  RootStep before = nullptr;
  RootStep after = nullptr;
  EarlyStep early = nullptr;
};

enum class MsrOutcome : std::uint8_t { kWorks, kFaults };

struct MsrCase {
  std::uint32_t msr = 0;
  /// As in a CallCase.
  std::string_view access;
  MsrOutcome expected = MsrOutcome::kWorks;
  MsrOutcome (*make)() = nullptr;
  Caller caller = Caller::kRoot;
  RootStep before = nullptr;
  RootStep after = nullptr;
  EarlyStep early = nullptr;
};

struct LeafCase {
  std::uint32_t leaf = 0;
  std::string_view what;
  /// Executes CPUID and checks what it answers.
  void (*check)() = nullptr;
  Caller caller = Caller::kRoot;
  RootStep before = nullptr;
  EarlyStep early = nullptr;
};

// --- For rows ------------------------------------------------------------------------------------

/// RDMSR and WRMSR: any exception but #GP(0) ends the run.
[[nodiscard]] MsrOutcome read(std::uint32_t msr);
[[nodiscard]] MsrOutcome write(std::uint32_t msr, std::uint64_t value);
/// WRMSR, then RDMSR of the same value.
[[nodiscard]] MsrOutcome write_and_read_back(std::uint32_t msr, std::uint64_t value);

/// The child that every row of the root's may use: "child" in a boot module. Its VP waits for
/// interrupts for ever once started.
[[nodiscard]] child_maker::Child make_child(std::uint32_t vp_count = 1);

/// A partition id that no partition has.
inline constexpr hv::PartitionId kNobody{0x7777};

// --- For the test and the coverage table ---------------------------------------------------------

[[nodiscard]] std::span<const std::span<const CallCase>> call_tables();
[[nodiscard]] std::span<const std::span<const MsrCase>> msr_tables();
[[nodiscard]] std::span<const std::span<const LeafCase>> leaf_tables();

}  // namespace interface_test
