#include "scenarios/outcome.h"

#include <algorithm>
#include <fstream>

namespace scenarios {

ExitCode exit_code_of(const std::vector<RunReport>& reports) {
  const auto any = [&reports](Verdict verdict) {
    return std::ranges::any_of(reports, [verdict](const RunReport& report) {
      return report.judgement.verdict == verdict;
    });
  };
  if (any(Verdict::kBroken)) {
    return ExitCode::kHarnessFailed;
  }
  if (any(Verdict::kFail)) {
    return ExitCode::kViolated;
  }
  // Asked for, and promised when the run began.
  const bool unrecorded = std::ranges::any_of(
      reports, [](const RunReport& report) { return !report.recording_error.empty(); });
  return unrecorded ? ExitCode::kHarnessFailed : ExitCode::kPass;
}

std::string program_name() {
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(stream, name, '\0');
  return name.empty() ? "chronovisor" : name;
}

}  // namespace scenarios
