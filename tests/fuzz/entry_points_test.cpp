// Whatever takes data from a guest, a peer or a file is in entry_points.txt, beside the fuzz target
// that gives it anything.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot(CHRONOVISOR_SOURCE_FOLDER);
const fs::path kFuzz = kRoot / "tests" / "fuzz";

struct EntryPoint {
  std::string file;
  std::string function;
  std::string target;
};

std::string content_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  INFO(path);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<EntryPoint> listed() {
  std::vector<EntryPoint> entries;
  std::istringstream lines(content_of(kFuzz / "entry_points.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    std::istringstream words(line);
    EntryPoint entry;
    words >> entry.file >> entry.function >> entry.target;
    INFO(line);
    REQUIRE_FALSE(entry.target.empty());
    entries.push_back(entry);
  }
  return entries;
}

/// Functions whose names say that they take what somebody else made, in the headers of a folder.
std::set<std::pair<std::string, std::string>> takers_in(const std::string& folder) {
  static const std::regex taker(
      R"(\b(handle_\w+|message_arrived|event_flag_set|decode_\w+|parse_\w+|unpack|take_range|)"
      R"(ranges_are_valid|fetch_instruction|walk_guest_tables)\()");
  std::set<std::pair<std::string, std::string>> found;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    if (entry.path().extension() != ".h") {
      continue;
    }
    const std::string text = content_of(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), taker), end; at != end; ++at) {
      found.emplace(fs::relative(entry.path(), kRoot).string(), (*at)[1]);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("whatever takes the data of others is listed with its fuzz target", "[fuzz]") {
  std::set<std::pair<std::string, std::string>> known;
  for (const EntryPoint& entry : listed()) {
    known.emplace(entry.file, entry.function);
  }
  for (const char* const folder : {"hv", "vmbus", "partitions", "scenarios", "metal/launch"}) {
    for (const auto& [file, function] : takers_in(folder)) {
      INFO(file << " " << function << ": add it to tests/fuzz/entry_points.txt");
      CHECK(known.contains({file, function}));
    }
  }
}

TEST_CASE("what is listed exists, and its target has a corpus", "[fuzz]") {
  for (const EntryPoint& entry : listed()) {
    INFO(entry.file << " " << entry.function << " " << entry.target);
    CHECK(content_of(kRoot / entry.file).contains(entry.function + "("));
    CHECK(fs::exists(kFuzz / (entry.target + "_fuzz.cpp")));
    CHECK_FALSE(fs::is_empty(kFuzz / "corpus" / entry.target));
  }
}

TEST_CASE("every fuzz target is somebody's", "[fuzz]") {
  std::set<std::string> used;
  for (const EntryPoint& entry : listed()) {
    used.insert(entry.target);
  }
  for (const auto& entry : fs::directory_iterator(kFuzz)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kEnding = "_fuzz.cpp";
    if (name.ends_with(kEnding)) {
      INFO(name);
      CHECK(used.contains(name.substr(0, name.size() - kEnding.size())));
    }
  }
}
