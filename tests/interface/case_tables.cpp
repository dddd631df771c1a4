#include "tests/interface/case_tables.h"

#include <array>

namespace interface_test {

std::span<const std::span<const CallCase>> call_tables() {
  static const std::array tables{
      partition_call_cases(),
  };
  return tables;
}

std::span<const std::span<const MsrCase>> msr_tables() { return {}; }

std::span<const std::span<const LeafCase>> leaf_tables() { return {}; }

}  // namespace interface_test
