// chronovisor list
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/commands.h"
#include "scenarios/places.h"
#include "scenarios/scenario.h"

namespace scenarios {

ExitCode execute_list() {
  ExitCode code = ExitCode::kPass;
  const auto paths = list_scenarios();
  if (paths.empty()) {
    fmt::print(stderr, "error: no scenario is in the folder scenarios/ here or beside the build\n");
    return ExitCode::kBadInput;
  }
  std::size_t longest = 0;
  for (const std::filesystem::path& path : paths) {
    longest = std::max(longest, path.stem().string().size());
  }
  for (const std::filesystem::path& path : paths) {
    const auto scenario = load_scenario(path);
    if (scenario) {
      fmt::print("{:<{}}  {}\n{:<{}}  {}\n", path.stem().string(), longest, scenario->description,
                 "", longest, path.lexically_normal().string());
    } else {
      fmt::print(stderr, "error: {}\n", scenario.error().what());
      code = ExitCode::kBadInput;
    }
  }
  return code;
}

}  // namespace scenarios
