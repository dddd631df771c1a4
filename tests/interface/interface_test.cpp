#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "hv/hypercall/call_table.h"
#include "hv/msr/msr_table.h"
#include "hv/tlfs/tlfs.h"
#include "machine/x86.h"
#include "tests/interface/case_run.h"

namespace {

using namespace interface_test;

template <class Case>
void run_all(std::span<const std::span<const Case>> tables, auto describe) {
  for (const std::span<const Case> table : tables) {
    for (const Case& row : table) {
      const std::string failure = run(row);
      INFO(describe(row));
      CHECK(failure == "");
    }
  }
}

std::string words(const CallCase& row) {
  const hv::CallEntry* const entry = hv::find_call(static_cast<std::uint16_t>(row.code));
  return std::string(entry != nullptr ? entry->description.name : "no such call") + ": " +
         std::string(row.input);
}
std::string words(const MsrCase& row) {
  return "MSR " + std::to_string(row.msr) + ": " + std::string(row.access);
}
std::string words(const LeafCase& row) {
  return "leaf " + std::to_string(row.leaf) + ": " + std::string(row.what);
}

template <class Case>
std::size_t count(std::span<const std::span<const Case>> tables, auto matches) {
  std::size_t found = 0;
  for (const std::span<const Case> table : tables) {
    found += static_cast<std::size_t>(std::ranges::count_if(table, matches));
  }
  return found;
}

}  // namespace

TEST_CASE("each call answers each input as the interface says", "[interface][calls]") {
  run_all(call_tables(), [](const CallCase& row) { return words(row); });
}

TEST_CASE("each MSR takes and refuses what the interface says", "[interface][msrs]") {
  run_all(msr_tables(), [](const MsrCase& row) { return words(row); });
}

TEST_CASE("each CPUID leaf holds what the interface says", "[interface][leaves]") {
  run_all(leaf_tables(), [](const LeafCase& row) { return words(row); });
}

TEST_CASE("no two rows of a call or MSR say the same", "[interface][rows]") {
  std::set<std::pair<std::uint32_t, std::string_view>> seen;
  for (const auto table : call_tables()) {
    for (const CallCase& row : table) {
      INFO(words(row));
      CHECK(seen.emplace(static_cast<std::uint32_t>(row.code), row.input).second);
    }
  }
  seen.clear();
  for (const auto table : msr_tables()) {
    for (const MsrCase& row : table) {
      INFO(words(row));
      CHECK(seen.emplace(row.msr, row.access).second);
    }
  }
}

TEST_CASE("every call has a row that it accepts and one that it refuses", "[interface][rows]") {
  for (const hv::CallEntry& entry : hv::call_table()) {
    INFO(entry.description.name);
    const auto of_call = [&](bool accepted) {
      return [&entry, accepted](const CallCase& row) {
        return row.code == entry.description.code &&
               (row.expected == hv::Status::kSuccess) == accepted;
      };
    };
    CHECK(count(call_tables(), of_call(true)) > 0);
    // The one call that the interface lets nobody fail.
    if (entry.description.code != hv::CallCode::kNotifyLongSpinWait) {
      CHECK(count(call_tables(), of_call(false)) > 0);
    }
  }
}

TEST_CASE("every MSR has a row that works and one that faults", "[interface][rows]") {
  // Those that nobody can fail to access.
  constexpr std::array<std::uint32_t, 4> kNeverFault = {0x8B, 0x1A0, machine::x86::kMsrTscDeadline,
                                                        hv::kMsrCrashP0};
  for (const hv::MsrDescription& entry : hv::msr_table()) {
    INFO(entry.name);
    const auto of_msr = [&](MsrOutcome outcome) {
      return [&entry, outcome](const MsrCase& row) {
        return row.msr >= entry.first && row.msr <= entry.last && row.expected == outcome;
      };
    };
    CHECK(count(msr_tables(), of_msr(MsrOutcome::kWorks)) > 0);
    if (std::ranges::find(kNeverFault, entry.first) == kNeverFault.end()) {
      CHECK(count(msr_tables(), of_msr(MsrOutcome::kFaults)) > 0);
    }
  }
}
