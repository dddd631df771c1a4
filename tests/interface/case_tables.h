// The tables of rows, one function for each file of them.
#pragma once

#include <span>

#include "tests/interface/call_case.h"

namespace interface_test {

[[nodiscard]] std::span<const CallCase> partition_call_cases();

}  // namespace interface_test
