// chronovisor list
#include <fmt/format.h>

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
  for (const std::filesystem::path& path : paths) {
    const auto scenario = load_scenario(path);
    if (scenario) {
      fmt::print("{:<16} {}\n{:<16} {}\n", path.stem().string(), scenario->description, "",
                 path.lexically_normal().string());
    } else {
      fmt::print(stderr, "error: {}\n", scenario.error().what());
      code = ExitCode::kBadInput;
    }
  }
  return code;
}

}  // namespace scenarios
