// Several children of several virtual processors on several real ones: more of the hypervisor than
// hello needs, where only the order between children is left to chance.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "metal/launch/bochs.h"
#include "tests/metal/on_bochs.h"

namespace {

using Lines = std::vector<std::string>;

Lines sorted(Lines lines) {
  std::ranges::sort(lines);
  return lines;
}

}  // namespace

TEST_CASE(
    "children of two processors each work, end and leave nothing, on two processors and on four",
    "[metal][bochs]") {
  const Lines expected = sorted({
      "[root] 3 children of 2 processors, 16 MiB: work",
      "[child 1] 2 processors are running",
      "[child 1] worked 20 rounds",
      "[child 1] done",
      "[child 2] 2 processors are running",
      "[child 2] worked 20 rounds",
      "[child 2] done",
      "[child 3] 2 processors are running",
      "[child 3] worked 20 rounds",
      "[child 3] done",
      "[root] child 1 is gone",
      "[root] child 2 is gone",
      "[root] child 3 is gone",
      "[root] all pages returned",
      "[root] done",
  });
  for (const std::uint32_t processors : {2u, 4u}) {
    const metal::LaunchResult result =
        on_bochs::run({.image = WORK_IMAGE, .processors = processors});
    INFO(processors << " processors\n" << on_bochs::describe(result));
    CHECK(result.stop_code == 0);
    CHECK(sorted(result.log) == expected);
  }
}
