// What a finished run is worth: the properties that its programs declared, and the scenario's own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/world.h"

namespace scenarios {

enum class Verdict : std::uint8_t {
  kPass,
  /// A property was violated.
  kFail,
  /// The harness failed: hang, nondeterminism, out of memory.
  kBroken,
};

struct Judgement {
  Verdict verdict = Verdict::kBroken;
  std::vector<sim::Violation> violations;
  /// How often each property of the run was evaluated: those that the programs declared, the
  /// standing ones, and the scenario's own.
  std::map<std::string, std::uint64_t> evaluated;
};

/// What can be expected of a run.
struct Expectation {
  /// SHA-256 of the data disk, where the children's digests are to be checked.
  std::optional<std::string> data_disk_digest;
  /// SHA-256 of what the scratch disk's medium holds of each child's range after the power went,
  /// where that is to be checked.
  std::vector<std::string> scratch_digests;
  /// What each child that works logs when no other lies, by its number from 1 on; empty where that
  /// is not to be checked.
  std::vector<std::vector<std::string>> undisturbed_logs;
  /// The run was to end at a moment of the user's choice: it need not have come to its end.
  bool may_be_cut_short = false;
};

/// The lines that a child logged, in order.
[[nodiscard]] std::vector<std::string> log_of_child(const sim::RunResult& result,
                                                    std::uint32_t child);

[[nodiscard]] Judgement judge(const Scenario& scenario, const Expectation& expectation,
                              const sim::RunResult& result);

}  // namespace scenarios
