// Runs one row in a computer of its own.
#pragma once

#include <string>

#include "tests/interface/call_case.h"

namespace interface_test {

/// Empty if all was as the row says; else what was not.
[[nodiscard]] std::string run(const CallCase& row);
[[nodiscard]] std::string run(const MsrCase& row);
[[nodiscard]] std::string run(const LeafCase& row);

}  // namespace interface_test
