// The project's own sources, as the style tests see them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace style {

struct SourceFile {
  std::string path;  // from the root of the tree, with forward slashes
  std::vector<std::string> lines;

  [[nodiscard]] bool is_header() const { return path.ends_with(".h"); }
  [[nodiscard]] bool is_above_the_seam() const;
};

/// A function definition, found by its indentation (the tree is clang-formatted).
struct Function {
  std::string first_line;
  std::size_t line = 0;
  std::size_t length = 0;
};

/// Every .h and .cpp file of the project, in order of path.
[[nodiscard]] std::vector<SourceFile> read_source_tree();

[[nodiscard]] std::vector<Function> functions_of(const SourceFile& file);

/// The quoted includes of a file.
[[nodiscard]] std::vector<std::string> includes_of(const SourceFile& file);

/// The folders, of the design's include table, that a file may include from.
[[nodiscard]] std::vector<std::string> folders_allowed_to(const SourceFile& file);

/// Lines of a list file beside this test, comments and blank lines left out.
[[nodiscard]] std::vector<std::string> read_list(const std::string& name);

}  // namespace style
