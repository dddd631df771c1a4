// Scenario files that anybody wrote: a scenario or an error that says where, never an end.
#include <cstdlib>
#include <string>

#include "scenarios/scenario.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto scenario = scenarios::parse_scenario(text, "input.toml");
  if (!scenario && scenario.error().problem.empty()) {
    std::abort();
  }
  return 0;
}
