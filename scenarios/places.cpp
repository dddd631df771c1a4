#include "scenarios/places.h"

#include <fmt/format.h>

#include <algorithm>

namespace scenarios {
namespace {

std::filesystem::path program_folder() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path(".") : program.parent_path();
}

std::vector<std::filesystem::path> scenario_folders() {
  // The program stands in a build folder within the source tree, unless somebody built elsewhere.
  return {"scenarios", program_folder().parent_path() / "scenarios"};
}

}  // namespace

std::filesystem::path ext4_image_path() { return program_folder() / "scenarios" / "ext4.img"; }

std::expected<std::filesystem::path, std::string> find_scenario(const std::string& name) {
  std::error_code error;
  if (std::filesystem::exists(name, error)) {
    return std::filesystem::path(name);
  }
  for (const std::filesystem::path& folder : scenario_folders()) {
    std::filesystem::path path = folder / (name + ".toml");
    if (std::filesystem::is_regular_file(path, error)) {
      return path;
    }
  }
  return std::unexpected(
      fmt::format("{}: there is no such file, nor a scenario of this name; `chronovisor list` "
                  "shows the names",
                  name));
}

std::vector<std::filesystem::path> list_scenarios() {
  std::vector<std::filesystem::path> paths;
  for (const std::filesystem::path& folder : scenario_folders()) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".toml") {
        paths.push_back(entry.path());
      }
    }
    if (!paths.empty()) {
      break;
    }
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace scenarios
