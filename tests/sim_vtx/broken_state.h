// Rows of "this one thing broken, that check refuses the entry", and what a refusal looks like.
#pragma once

#include <span>

#include "tests/sim_vtx/test_processor.h"

namespace sim_vtx_test {

struct Broken {
  const char* check;
  void (*break_it)(TestProcessor&);
};

/// For each row: a processor that may enter, broken, must be refused by exactly the named check, in
/// the way of its group, and must enter again once repaired. Every check of the group has a row.
void require_refusals(CheckGroup group, std::span<const Broken> rows);

}  // namespace sim_vtx_test
