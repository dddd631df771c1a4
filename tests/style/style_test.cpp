// The house style, as far as a program can hold it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <regex>

#include "tests/style/source_tree.h"

namespace {

using style::SourceFile;

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = style::read_source_tree();
  return files;
}

bool matches_any(const std::string& path, const std::vector<std::string>& starts) {
  return std::ranges::any_of(starts,
                             [&](const std::string& start) { return path.starts_with(start); });
}

}  // namespace

TEST_CASE("the style tests see the tree", "[style]") { REQUIRE(tree().size() > 50); }

TEST_CASE("a file is at most 600 lines", "[style]") {
  for (const SourceFile& file : tree()) {
    INFO(file.path);
    CHECK(file.lines.size() <= 600);
  }
}

TEST_CASE("a line is at most 100 columns", "[style]") {
  for (const SourceFile& file : tree()) {
    for (std::size_t index = 0; index < file.lines.size(); ++index) {
      if (file.lines[index].size() > 100) {
        FAIL_CHECK(file.path << ":" << index + 1 << " has " << file.lines[index].size());
      }
    }
  }
}

TEST_CASE("a function fits on a screen, but for a list that only shrinks", "[style]") {
  std::vector<std::string> exempt = style::read_list("long_functions.txt");
  for (const SourceFile& file : tree()) {
    if (file.path.starts_with("tests/")) {
      continue;
    }
    for (const style::Function& function : style::functions_of(file)) {
      if (function.length <= 70) {
        continue;
      }
      const auto entry = std::ranges::find(exempt, file.path);
      if (entry == exempt.end()) {
        FAIL_CHECK(file.path << ":" << function.line << " is " << function.length
                             << " lines: " << function.first_line);
      } else {
        exempt.erase(entry);
      }
    }
  }
  for (const std::string& entry : exempt) {
    FAIL_CHECK("long_functions.txt names " << entry << ", which needs no exemption any more");
  }
}

TEST_CASE("includes follow the table of the design", "[style]") {
  for (const SourceFile& file : tree()) {
    const std::vector<std::string> allowed = style::folders_allowed_to(file);
    for (const std::string& include : style::includes_of(file)) {
      INFO(file.path << " includes " << include);
      CHECK(include.find("..") == std::string::npos);
      CHECK(matches_any(include, allowed));
    }
  }
}

TEST_CASE("no conditional compilation in sources above the seam", "[style]") {
  const std::regex conditional(R"(^\s*#\s*(if|ifdef|ifndef|elif)\b.*)");
  for (const SourceFile& file : tree()) {
    if (!file.is_above_the_seam() || file.is_header()) {
      continue;
    }
    for (const std::string& line : file.lines) {
      INFO(file.path << ": " << line);
      CHECK_FALSE(std::regex_match(line, conditional));
    }
  }
}

TEST_CASE("nothing inside a world depends on time, chance or hash order", "[style]") {
  const std::regex banned(
      R"(.*\b(unordered_map|unordered_set|random_device|system_clock|steady_clock|)"
      R"(high_resolution_clock|getenv|std::rand|mt19937)\b.*)");
  for (const SourceFile& file : tree()) {
    const bool in_a_world = file.is_above_the_seam() || file.path.starts_with("sim/") ||
                            file.path.starts_with("faults/");
    // The watchdog looks at wall time from outside of every simulated run.
    if (!in_a_world || file.path.starts_with("sim/watchdog")) {
      continue;
    }
    for (const std::string& line : file.lines) {
      INFO(file.path << ": " << line);
      CHECK_FALSE(std::regex_match(line, banned));
    }
  }
}

TEST_CASE("a name says what a thing is for", "[style]") {
  const std::regex vague(R"((^|.*/)(util|utils|base|misc|helpers|common)(/.*|\.(h|cpp))?$)");
  for (const SourceFile& file : tree()) {
    if (file.path == "machine/common.h") {
      continue;  // the common link set of the seam
    }
    INFO(file.path);
    CHECK_FALSE(std::regex_match(file.path, vague));
  }
}

TEST_CASE("no mark of unfinished work is left in the tree", "[style]") {
  const std::regex mark(std::string(R"(.*\b(TO)") + "DO|FIX" + R"(ME|XX)" + R"(X|HA)" +
                        R"(CK)\b.*)");
  for (const SourceFile& file : tree()) {
    for (const std::string& line : file.lines) {
      INFO(file.path << ": " << line);
      CHECK_FALSE(std::regex_match(line, mark));
    }
  }
}

TEST_CASE("every header is guarded by pragma once", "[style]") {
  for (const SourceFile& file : tree()) {
    if (file.is_header()) {
      INFO(file.path);
      CHECK(std::ranges::find(file.lines, "#pragma once") != file.lines.end());
    }
  }
}
