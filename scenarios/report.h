// What the command line tells of runs, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "scenarios/run.h"

namespace scenarios {

[[nodiscard]] std::string_view name_of(Verdict verdict);

/// The summary at the end of a run: times, counts, verdict.
[[nodiscard]] std::string summary_text(const RunReport& report);

/// What went wrong, one paragraph a violation; empty after a pass.
[[nodiscard]] std::string violations_text(const RunReport& report);

/// The object of `--json`, in one line for each run.
[[nodiscard]] std::string json_text(const RunReport& report);
/// The object for several seeds: totals and, under "runs", each run's object.
[[nodiscard]] std::string json_text(const std::vector<RunReport>& reports);

}  // namespace scenarios
