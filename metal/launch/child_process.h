// One process of the operating system, started without a shell and never left behind.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace metal {

struct ProcessOptions {
  /// The program, looked up in PATH, and its arguments.
  std::vector<std::string> arguments;
  std::filesystem::path folder;
  /// What it writes goes here; it reads nothing.
  std::filesystem::path output;
};

class ChildProcess {
 public:
  /// Starts it; throws std::system_error if it cannot.
  explicit ChildProcess(const ProcessOptions& options);
  /// Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] bool has_ended();
  void kill();

 private:
  pid_t process_ = -1;
};

}  // namespace metal
