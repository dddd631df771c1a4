// Whatever takes data from a guest, a peer or a file is in entry_points.txt, beside the fuzz target
// that gives it anything; whatever reads memory is in memory_readers.txt, beside the one that
// writes there.
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

/// Without remarks.
std::vector<std::string> lines_of(const char* list) {
  std::vector<std::string> kept;
  std::istringstream lines(content_of(kFuzz / list));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && !line.starts_with('#')) {
      kept.push_back(line);
    }
  }
  return kept;
}

std::vector<EntryPoint> listed() {
  std::vector<EntryPoint> entries;
  for (const std::string& line : lines_of("entry_points.txt")) {
    std::istringstream words(line);
    EntryPoint entry;
    words >> entry.file >> entry.function >> entry.target;
    INFO(line);
    REQUIRE_FALSE(entry.target.empty());
    entries.push_back(entry);
  }
  return entries;
}

/// The targets of the files that read memory, "-" for those that need none.
std::map<std::string, std::string> listed_readers() {
  std::map<std::string, std::string> readers;
  for (const std::string& line : lines_of("memory_readers.txt")) {
    std::istringstream words(line);
    std::string file;
    std::string target;
    std::string writer;
    words >> file >> target >> writer;
    INFO(line << ": file, target, and who writes there");
    REQUIRE_FALSE(writer.empty());
    REQUIRE(readers.emplace(file, target).second);
  }
  return readers;
}

bool reads_memory(const std::string& text) {
  static const std::regex reading(
      R"(machine::(load_u\d+|read_memory|fetch_(or|and)_u\d+|(compare_)?exchange_u\d+)\(|)"
      R"([.>](read_memory|copy_out)\(|\bread_object<)");
  return std::regex_search(text, reading);
}

/// Functions whose names say that they take what somebody else made, in the headers of a folder.
std::set<std::pair<std::string, std::string>> takers_in(const std::string& folder) {
  static const std::regex taker(
      R"(\b(handle_\w+|message_arrived|event_flag_set|decode_\w+|parse_\w+|unpack|take_range|)"
      R"(ranges_are_valid|fetch_instruction|walk_guest_tables|restore_from_page|)"
      R"(restore_timers|take_register_page|settle_\w+|withdraw_lazy_end|use_page|)"
      R"(signalled|signal_came|answered)\()");
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

TEST_CASE("whatever reads memory is listed with the fuzz target that writes there", "[fuzz]") {
  std::map<std::string, std::string> unseen = listed_readers();
  for (const char* const folder : {"hv", "vmbus", "partitions"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const bool is_code = entry.path().extension() == ".h" || entry.path().extension() == ".cpp";
      if (!is_code || !reads_memory(content_of(entry.path()))) {
        continue;
      }
      const std::string file = fs::relative(entry.path(), kRoot).string();
      INFO(file << ": add it to tests/fuzz/memory_readers.txt");
      CHECK(unseen.contains(file));
      const std::string target = unseen[file];
      CHECK((target == "-" || fs::exists(kFuzz / (target + "_fuzz.cpp"))));
      unseen.erase(file);
    }
  }
  for (const auto& [file, target] : unseen) {
    INFO(file << " reads no memory: take it out of tests/fuzz/memory_readers.txt");
    CHECK(false);
  }
}

TEST_CASE("every fuzz target is somebody's", "[fuzz]") {
  std::set<std::string> used;
  for (const EntryPoint& entry : listed()) {
    used.insert(entry.target);
  }
  for (const auto& [file, target] : listed_readers()) {
    used.insert(target);
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
