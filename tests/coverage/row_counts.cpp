#include "tests/coverage/row_counts.h"

#include <algorithm>

#include "tests/interface/call_case.h"

namespace coverage {

RowCounts rows_of_call(std::uint16_t code) {
  RowCounts counts;
  for (const auto table : interface_test::call_tables()) {
    for (const interface_test::CallCase& row : table) {
      if (static_cast<std::uint16_t>(row.code) == code) {
        ++(row.expected == hv::Status::kSuccess ? counts.accepted : counts.refused);
      }
    }
  }
  return counts;
}

RowCounts rows_of_msrs(std::uint32_t first, std::uint32_t last) {
  RowCounts counts;
  for (const auto table : interface_test::msr_tables()) {
    for (const interface_test::MsrCase& row : table) {
      if (row.msr >= first && row.msr <= last) {
        ++(row.expected == interface_test::MsrOutcome::kWorks ? counts.accepted : counts.refused);
      }
    }
  }
  return counts;
}

std::size_t rows_of_leaf(std::uint32_t leaf) {
  std::size_t count = 0;
  for (const auto table : interface_test::leaf_tables()) {
    count += static_cast<std::size_t>(std::ranges::count_if(
        table, [leaf](const interface_test::LeafCase& row) { return row.leaf == leaf; }));
  }
  return count;
}

}  // namespace coverage
