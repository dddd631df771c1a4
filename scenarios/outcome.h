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

/// A line of the guests' log, with its virtual time, as it comes.
void show_console_line(const std::string& line, std::uint64_t virtual_ns);

/// How this program was called: for commands that a message tells to type.
[[nodiscard]] std::string program_name();

}  // namespace scenarios
