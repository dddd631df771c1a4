// The ring, the channel and the SynIC carry all else that is built on them, so each of them has at
// least a line of test for each line of code. Blank lines and comments count on neither side.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string_view>
#include <vector>

#include "tests/style/source_tree.h"

namespace {

using style::SourceFile;

struct Part {
  std::string_view name;
  std::vector<std::string_view> code;
  std::vector<std::string_view> tests;
};

std::size_t code_lines(const SourceFile& file) {
  return static_cast<std::size_t>(std::ranges::count_if(file.lines, [](const std::string& line) {
    const std::size_t start = line.find_first_not_of(" \t");
    return start != std::string::npos && !std::string_view(line).substr(start).starts_with("//");
  }));
}

std::size_t lines_below(const std::vector<SourceFile>& tree,
                        const std::vector<std::string_view>& paths) {
  std::size_t sum = 0;
  for (const SourceFile& file : tree) {
    const bool counts = std::ranges::any_of(paths, [&](std::string_view path) {
      return std::string_view(file.path).starts_with(path);
    });
    sum += counts ? code_lines(file) : 0;
  }
  return sum;
}

}  // namespace

TEST_CASE("ring, channel and SynIC have at least a line of test a line of code", "[style]") {
  const std::vector<SourceFile> tree = style::read_source_tree();
  const std::array parts = {
      Part{"ring", {"vmbus/ring"}, {"tests/vmbus_ring/"}},
      Part{"channel",
           {"vmbus/client/", "vmbus/server/", "vmbus/protocol/", "vmbus/gpa"},
           {"tests/vmbus_channel/", "tests/vmbus_gpadl/", "tests/vmbus_states/"}},
      Part{"SynIC", {"hv/synic/"}, {"tests/hv_synic/"}},
  };
  for (const Part& part : parts) {
    const std::size_t code = lines_below(tree, part.code);
    const std::size_t tests = lines_below(tree, part.tests);
    INFO(part.name << ": " << tests << " lines of test, " << code << " of code");
    CHECK(code > 0);
    CHECK(tests >= code);
  }
}
