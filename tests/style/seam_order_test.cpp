// What keeps one hash from every compiler, and the includes in layers, as far as text can tell.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>
#include <map>
#include <set>

#include "tests/style/source_tree.h"

namespace {

using style::SourceFile;

/// A file as one text, comments and the insides of literals blanked out.
std::string code_of(const SourceFile& file) {
  std::string code;
  for (const std::string& line : file.lines) {
    char quote = 0;
    for (std::size_t at = 0; at < line.size(); ++at) {
      const char character = line[at];
      const bool digit_separator = character == '\'' && at != 0 && std::isxdigit(line[at - 1]) != 0;
      if (quote != 0) {
        at += character == '\\' ? 1 : 0;
        quote = character == quote ? 0 : quote;
      } else if (line.compare(at, 2, "//") == 0) {
        break;
      } else if (character == '"' || (character == '\'' && !digit_separator)) {
        quote = character;
      } else {
        code += character;
      }
    }
    code += '\n';
  }
  return code;
}

bool is_word(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

struct Call {
  std::string name;
  std::size_t open = 0;  // place of its parenthesis
};

/// What is called, or declared as a function, in a piece of code.
std::vector<Call> calls_in(const std::string& code) {
  std::vector<Call> calls;
  for (std::size_t at = code.find('('); at != std::string::npos; at = code.find('(', at + 1)) {
    std::size_t begin = at;
    while (begin != 0 && is_word(code[begin - 1])) {
      --begin;
    }
    if (begin != at) {
      calls.push_back({code.substr(begin, at - begin), at});
    }
  }
  return calls;
}

std::size_t end_of_arguments(const std::string& code, std::size_t open) {
  int depth = 0;
  std::size_t at = open;
  for (; at < code.size(); ++at) {
    depth += code[at] == '(' ? 1 : code[at] == ')' ? -1 : 0;
    if (depth == 0) {
      break;
    }
  }
  return at;
}

/// How many of these operations nothing orders: one that is an argument of another comes first.
int unordered_in(const std::string& statement, const std::set<std::string>& operations) {
  std::vector<Call> calls = calls_in(statement);
  std::erase_if(calls, [&](const Call& call) { return !operations.contains(call.name); });
  int count = 0;
  for (std::size_t index = 0; index < calls.size(); ++index) {
    const bool encloses_another =
        index + 1 < calls.size() &&
        calls[index + 1].open < end_of_arguments(statement, calls[index].open);
    count += encloses_another ? 0 : 1;
  }
  return count;
}

/// The operations of the seam: what machine/ declares, and the members of Shared.
std::set<std::string> seam_operations(const std::vector<SourceFile>& tree) {
  std::set<std::string> operations;
  for (const SourceFile& file : tree) {
    if (file.path == "machine/common.h" || file.path == "machine/guest.h" ||
        file.path == "machine/vmx_root.h" || file.path == "machine/shared.h") {
      for (const Call& call : calls_in(code_of(file))) {
        operations.insert(call.name);
      }
    }
  }
  for (const char* other : {"sizeof", "word_", "static_assert", "is_same_v", "alignas"}) {
    operations.erase(other);
  }
  return operations;
}

/// Statements with several of these operations that nothing orders: "line: statement".
std::vector<std::string> crowded_statements(const std::string& code,
                                            const std::set<std::string>& operations) {
  std::vector<std::string> found;
  std::size_t begin = 0;
  for (std::size_t end = code.find_first_of(";{}"); end != std::string::npos;
       end = code.find_first_of(";{}", begin)) {
    const std::string statement = code.substr(begin, end - begin);
    // && and || order what they join.
    const bool ordered =
        statement.find("&&") != std::string::npos || statement.find("||") != std::string::npos;
    if (!ordered && unordered_in(statement, operations) > 1) {
      const auto line =
          std::count(code.begin(), code.begin() + static_cast<std::ptrdiff_t>(end), '\n') + 1;
      found.push_back(std::to_string(line) + ": " + statement);
    }
    begin = end + 1;
  }
  return found;
}

}  // namespace

TEST_CASE("nothing above the seam leaves the order of its operations to the compiler", "[style]") {
  const std::vector<SourceFile> tree = style::read_source_tree();
  const std::set<std::string> operations = seam_operations(tree);
  REQUIRE(operations.contains("vmread"));
  REQUIRE(operations.contains("compare_exchange"));
  REQUIRE(operations.size() > 60);
  for (const SourceFile& file : tree) {
    if (!file.is_above_the_seam() || file.path.starts_with("machine/")) {
      continue;
    }
    for (const std::string& statement : crowded_statements(code_of(file), operations)) {
      FAIL_CHECK(file.path << ":" << statement);
    }
  }
}

TEST_CASE("two operations in one statement are seen", "[style]") {
  const std::set<std::string> operations{"in_u8", "load"};
  CHECK(crowded_statements("f(machine::in_u8(1), machine::in_u8(2));", operations).size() == 1);
  CHECK(crowded_statements("a = x.load() +\n y.load();", operations).size() == 1);
  CHECK(crowded_statements("f(x.load(y.load()), z.load());", operations).size() == 1);
  CHECK(crowded_statements("x.load(1 + y.load());", operations).empty());
  CHECK(crowded_statements("a = x.load(); b = y.load();", operations).empty());
  CHECK(crowded_statements("if (x.load() == 1 && y.load() == 1) {", operations).empty());
}

TEST_CASE("no header includes itself, directly or through others", "[style]") {
  std::map<std::string, std::vector<std::string>> includes;
  for (const SourceFile& file : style::read_source_tree()) {
    if (file.is_header()) {
      includes[file.path] = style::includes_of(file);
    }
  }
  // Whatever only includes headers that are known to be in no circle is in none.
  std::set<std::string> layered;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [path, included] : includes) {
      bool all = !layered.contains(path);
      for (const std::string& other : included) {
        all = all && (layered.contains(other) || !includes.contains(other));
      }
      if (all) {
        layered.insert(path);
        more = true;
      }
    }
  }
  for (const auto& [path, included] : includes) {
    INFO(path);
    CHECK(layered.contains(path));
  }
}
