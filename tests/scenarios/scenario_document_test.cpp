// docs/scenarios.md tells what the reader of scenarios takes: every key, and the range of each
// number.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

std::string content_of(const std::string& path) {
  std::ifstream stream(std::string(CHRONOVISOR_SOURCE_FOLDER) + "/" + path, std::ios::binary);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string without_marks(std::string number) {
  std::erase(number, '\'');
  return number;
}

/// The value of a plain number or product, or of a constant of the text.
std::string value_of(const std::string& text, const std::string& expression) {
  if (expression == "std::numeric_limits<std::int64_t>::max()") {
    return "9223372036854775807";
  }
  if (expression.starts_with('k')) {
    std::smatch found;
    REQUIRE(std::regex_search(text, found, std::regex(expression + " = ([0-9']+);")));
    return without_marks(found[1]);
  }
  if (const auto times = expression.find(" * "); times != std::string::npos) {
    return std::to_string(std::stoull(expression.substr(0, times)) *
                          std::stoull(expression.substr(times + 3)));
  }
  return without_marks(expression);
}

/// Keys with the ranges in which they may lie: "LEAST to MOST" for numbers, "" for all else.
using Keys = std::multimap<std::string, std::string>;

Keys keys_of_the_reader() {
  static const std::regex asked(
      R"re(\w+\.(number|text|texts|duration|boolean|choice)\(\s*"(\w+)",)re"
      R"re((?:\s*\{([^,{}]+), ([^,{}]+),)?)re");
  static const std::regex disk(R"re(disk_named\(table, "(\w+)")re");
  const std::string text = content_of("scenarios/scenario.cpp");
  std::set<std::pair<std::string, std::string>> disks;
  Keys keys;
  for (std::sregex_iterator at(text.begin(), text.end(), asked), end; at != end; ++at) {
    const bool number = (*at)[1] == "number";
    REQUIRE((!number || (*at)[3].matched));
    keys.emplace((*at)[2], number ? value_of(text, (*at)[3]) + " to " + value_of(text, (*at)[4])
                                  : std::string());
  }
  for (std::sregex_iterator at(text.begin(), text.end(), disk), end; at != end; ++at) {
    disks.emplace((*at)[1], "");
  }
  keys.insert(disks.begin(), disks.end());
  return keys;
}

Keys keys_of_the_document(const std::string& text) {
  static const std::regex row(R"re(\n\| `(\w+)` \| ([^|]+) \|)re");
  static const std::regex range("[0-9]+ to [0-9]+");
  Keys keys;
  for (std::sregex_iterator at(text.begin(), text.end(), row), end; at != end; ++at) {
    const std::string told = (*at)[2];
    keys.emplace((*at)[1], std::regex_match(told, range) ? told : std::string());
  }
  return keys;
}

std::multiset<std::pair<std::string, std::string>> sorted(const Keys& keys) {
  return {keys.begin(), keys.end()};
}

}  // namespace

TEST_CASE("the document of scenarios tells every key that the reader takes, and its range",
          "[scenarios]") {
  const Keys asked = keys_of_the_reader();
  CHECK(asked.size() > 30);
  CHECK(sorted(keys_of_the_document(content_of("docs/scenarios.md"))) == sorted(asked));
}

TEST_CASE("the document of scenarios tells every fault point that can be given a chance",
          "[scenarios]") {
  const std::string reader = content_of("scenarios/scenario.cpp");
  std::smatch list;
  REQUIRE(std::regex_search(reader, list, std::regex(R"re(kFaultPoints = \{([^}]*)\})re")));
  const std::string points = list[1];
  const std::string document = content_of("docs/scenarios.md");
  static const std::regex quoted("\"[^\"]+\"");
  int count = 0;
  for (std::sregex_iterator at(points.begin(), points.end(), quoted), end; at != end; ++at) {
    ++count;
    CAPTURE(at->str());
    CHECK(document.find("| `" + at->str() + "` |") != std::string::npos);
  }
  CHECK(count >= 3);
}
