#include "tests/style/source_tree.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace style {

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kFolders = {"machine", "hv",     "vmbus",     "partitions", "sim",
                                           "metal",   "faults", "scenarios", "tests",      "bench"};

std::vector<std::string> read_lines(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::size_t indentation(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

bool opens_function(const std::string& line) {
  static const std::regex not_a_function(
      R"(^\s*(namespace|class|struct|union|enum|if|for|while|switch|else|do|extern|\}|//|#).*)");
  return line.ends_with("{") && line.find('(') != std::string::npos &&
         !std::regex_match(line, not_a_function);
}

}  // namespace

bool SourceFile::is_above_the_seam() const {
  return path.starts_with("machine/") || path.starts_with("hv/") || path.starts_with("vmbus/") ||
         path.starts_with("partitions/");
}

std::vector<SourceFile> read_source_tree() {
  const fs::path root = CHRONOVISOR_SOURCE_FOLDER;
  std::vector<SourceFile> files;
  for (const std::string& folder : kFolders) {
    if (!fs::exists(root / folder)) {
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (entry.is_regular_file() && (extension == ".h" || extension == ".cpp")) {
        files.push_back(
            {fs::relative(entry.path(), root).generic_string(), read_lines(entry.path())});
      }
    }
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

std::vector<Function> functions_of(const SourceFile& file) {
  std::vector<Function> functions;
  for (std::size_t index = 0; index < file.lines.size(); ++index) {
    const std::string& line = file.lines[index];
    const std::size_t depth = indentation(line);
    if (depth > 4 || !opens_function(line)) {
      continue;
    }
    const std::string end(depth, ' ');
    for (std::size_t last = index + 1; last < file.lines.size(); ++last) {
      const std::string& candidate = file.lines[last];
      if (candidate.starts_with(end + "}") && indentation(candidate) == depth) {
        functions.push_back({line, index + 1, last - index + 1});
        index = last;
        break;
      }
    }
  }
  return functions;
}

std::vector<std::string> includes_of(const SourceFile& file) {
  static const std::regex include(R"re(^\s*#\s*include\s*"([^"]+)".*)re");
  std::vector<std::string> includes;
  for (const std::string& line : file.lines) {
    std::smatch match;
    if (std::regex_match(line, match, include)) {
      includes.push_back(match[1]);
    }
  }
  return includes;
}

std::vector<std::string> folders_allowed_to(const SourceFile& file) {
  struct Row {
    std::string folder;
    std::vector<std::string> allowed;
  };
  static const std::vector<Row> rows = {
      {"machine/", {"machine/"}},
      {"hv/", {"machine/", "hv/"}},
      {"vmbus/", {"machine/", "hv/tlfs/", "vmbus/"}},
      {"partitions/kernel/", {"machine/", "hv/tlfs/", "partitions/kernel/"}},
      {"partitions/devices/", {"machine/", "partitions/devices/"}},
      {"partitions/root/",
       {"machine/", "hv/tlfs/", "vmbus/", "partitions/kernel/", "partitions/devices/",
        "partitions/root/"}},
      {"partitions/child/",
       {"machine/", "hv/tlfs/", "vmbus/", "partitions/kernel/", "partitions/child/"}},
      {"sim/", {"machine/", "partitions/devices/", "sim/"}},
      {"faults/", {"machine/", "faults/"}},
  };
  for (const Row& row : rows) {
    if (file.path.starts_with(row.folder)) {
      return row.allowed;
    }
  }
  return {""};  // metal, scenarios, tests and bench include what they need
}

std::vector<std::string> read_list(const std::string& name) {
  std::vector<std::string> entries =
      read_lines(fs::path(CHRONOVISOR_SOURCE_FOLDER) / "tests/style" / name);
  std::erase_if(entries, [](const std::string& line) { return line.empty() || line[0] == '#'; });
  return entries;
}

}  // namespace style
