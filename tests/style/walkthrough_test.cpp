// The walk through the code in docs/ names only what is there.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

const std::filesystem::path kTree(CHRONOVISOR_SOURCE_FOLDER);

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What stands between backquotes, in order.
std::vector<std::string> quoted(const std::string& text) {
  static const std::regex quotes("`([^`]+)`");
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), quotes), end; match != end; ++match) {
    found.push_back((*match)[1]);
  }
  return found;
}

bool is_file(const std::string& quote) { return quote.find('/') != std::string::npos; }

/// The name without the class or namespace before it.
std::string last_name(const std::string& quote) {
  const std::size_t colons = quote.rfind("::");
  return colons == std::string::npos ? quote : quote.substr(colons + 2);
}

bool mentions(const std::string& content, const std::string& name) {
  return std::regex_search(content, std::regex("\\b" + name + "\\b"));
}

/// The numbered steps of the page, each with the lines that go on with it.
std::vector<std::string> steps_of(const std::string& page) {
  static const std::regex start("(^|\n)[0-9]+\\. ");
  std::vector<std::string> steps;
  for (std::sregex_token_iterator part(page.begin(), page.end(), start, -1), end; part != end;
       ++part) {
    steps.push_back(*part);
  }
  steps.erase(steps.begin());  // what comes before the first step
  return steps;
}

}  // namespace

TEST_CASE("every function on the walk from a VM exit to the device is in a file of its step",
          "[style]") {
  const std::string page = content_of(kTree / "docs/from-vm-exit-to-device-and-back.md");
  const std::vector<std::string> steps = steps_of(page);
  REQUIRE(steps.size() >= 15);
  for (const std::string& step : steps) {
    std::string sources;
    for (const std::string& quote : quoted(step)) {
      if (is_file(quote)) {
        INFO("step: " << step);
        INFO("file: " << quote);
        CHECK(std::filesystem::is_regular_file(kTree / quote));
        sources += content_of(kTree / quote);
      }
    }
    for (const std::string& quote : quoted(step)) {
      if (!is_file(quote)) {
        INFO("step: " << step);
        INFO("name: " << quote);
        CHECK(mentions(sources, last_name(quote)));
      }
    }
  }
}

TEST_CASE("every file that a page of the documentation links to exists", "[style]") {
  static const std::regex link("\\]\\(([^)#:]+)\\)");
  std::size_t links = 0;
  std::vector<std::filesystem::path> pages{kTree / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(kTree / "docs")) {
    pages.push_back(entry.path());
  }
  for (const std::filesystem::path& page : pages) {
    const std::string text = content_of(page);
    for (std::sregex_iterator match(text.begin(), text.end(), link), end; match != end; ++match) {
      ++links;
      INFO(page.filename() << " links to " << (*match)[1]);
      CHECK(std::filesystem::exists(page.parent_path() / (*match)[1].str()));
    }
  }
  CHECK(links > 5);
}
