// What the commands that run worlds share in telling of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/commands.h"
#include "scenarios/run.h"

namespace scenarios {

/// The worst of the verdicts: a broken harness makes the rest worthless.
[[nodiscard]] ExitCode exit_code_of(const std::vector<RunReport>& reports);

/// How this program was called: for commands that a message tells to type.
[[nodiscard]] std::string program_name();

}  // namespace scenarios
