// Runs an image on Bochs and tells what it needs to say when the run did not end well.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "metal/launch/bochs.h"

namespace on_bochs {

inline std::string describe(const metal::LaunchResult& result) {
  std::string text = result.error + "\n";
  for (const auto* lines : {&result.log, &result.reports, &result.emulator_messages}) {
    text += "--\n";
    for (const std::string& line : *lines) {
      text += line + "\n";
    }
  }
  return text;
}

/// Runs to the end and requires that the program stopped by itself.
inline metal::LaunchResult run(const metal::LaunchOptions& options) {
  metal::LaunchResult result = metal::run_bochs(options);
  INFO(describe(result));
  REQUIRE(result.end == metal::LaunchEnd::kStopped);
  return result;
}

}  // namespace on_bochs
