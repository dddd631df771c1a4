// Where the command line finds what belongs to it.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace scenarios {

/// The ext4 image that the build has put beside the running program.
[[nodiscard]] std::filesystem::path ext4_image_path();

/// The scenario that `name` means: a file, or the name of one in a scenarios folder.
[[nodiscard]] std::expected<std::filesystem::path, std::string> find_scenario(
    const std::string& name);

/// All scenario files of the scenarios folder, by name: of the current folder, or of the source
/// tree that the running program was built in.
[[nodiscard]] std::vector<std::filesystem::path> list_scenarios();

}  // namespace scenarios
