#pragma once

#include <filesystem>

namespace metal {

/// A folder of its own that is removed, with what is in it, at the end of the object's life.
class TemporaryFolder {
 public:
  /// Throws std::system_error if it cannot be made.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace metal
