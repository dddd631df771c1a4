#include "metal/launch/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

namespace metal {
namespace {

void require(int error, const std::string& what) {
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), what);
  }
}

class FileActions {
 public:
  FileActions() { require(posix_spawn_file_actions_init(&actions_), "posix_spawn"); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// The environment with a terminal type that needs no terminal.
std::vector<std::string> environment_of_emulator() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("TERM=")) {
      entries.emplace_back(*entry);
    }
  }
  entries.emplace_back("TERM=xterm");
  return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildProcess::ChildProcess(const ProcessOptions& options) {
  FileActions actions;
  require(posix_spawn_file_actions_addchdir_np(actions.get(), options.folder.c_str()), "chdir");
  require(posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0),
          "open");
  require(posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, options.output.c_str(),
                                           O_WRONLY | O_CREAT | O_TRUNC, 0600),
          "open");
  require(posix_spawn_file_actions_adddup2(actions.get(), STDOUT_FILENO, STDERR_FILENO), "dup");
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = environment_of_emulator();
  require(posix_spawnp(&process_, arguments.front().c_str(), actions.get(), nullptr,
                       pointers_to(arguments).data(), pointers_to(environment).data()),
          "cannot start " + arguments.front());
}

ChildProcess::~ChildProcess() { kill(); }

bool ChildProcess::has_ended() {
  if (process_ != -1 && waitpid(process_, nullptr, WNOHANG) != 0) {
    process_ = -1;
  }
  return process_ == -1;
}

void ChildProcess::kill() {
  if (process_ == -1) {
    return;
  }
  // Bochs does not end for SIGTERM.
  ::kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) == -1 && errno == EINTR) {
  }
  process_ = -1;
}

}  // namespace metal
