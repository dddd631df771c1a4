#include "scenarios/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
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
  return any(Verdict::kFail) ? ExitCode::kViolated : ExitCode::kPass;
}

void show_console_line(const std::string& line, std::uint64_t virtual_ns) {
  std::string shown;
  for (const char character : line) {
    const auto byte = static_cast<unsigned char>(character);
    shown.push_back(byte < ' ' || byte == 0x7F ? '?' : character);
  }
  fmt::print("{:>6}.{:06} {}\n", virtual_ns / 1'000'000'000, virtual_ns / 1'000 % 1'000'000, shown);
  std::fflush(stdout);
}

std::string program_name() {
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(stream, name, '\0');
  return name.empty() ? "chronovisor" : name;
}

}  // namespace scenarios
