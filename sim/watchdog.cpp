#include "sim/watchdog.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sim/computer.h"
#include "sim/program_symbols.h"

namespace sim {

namespace {

constexpr int kGiveUpSignal = SIGUSR2;
constexpr std::chrono::milliseconds kPeriod{200};

std::string describe_stack() {
  std::array<void*, 64> frames{};
  const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
  std::string text = "a program has not reached the seam; its stack:";
  for (int index = 0; index < count; ++index) {
    void* const address = frames[static_cast<std::size_t>(index)];
    text += "\n    " + describe_place(reinterpret_cast<std::uintptr_t>(address));
  }
  return text;
}

// Runs on the fiber that hangs. That program is given up, so what it held stays as it is.
void give_up(int /*signal*/) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kGiveUpSignal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  if (Computer* const computer = current_computer) {
    computer->abandon(describe_stack());
  }
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_handler = give_up;
    sigaction(kGiveUpSignal, &action, nullptr);
    // The first call loads a library, which a signal handler had better not do.
    std::array<void*, 2> frames{};
    backtrace(frames.data(), static_cast<int>(frames.size()));
  });
}

}  // namespace

namespace {

/// One thread looks after all the worlds of the process.
class Keeper {
 public:
  static Keeper& instance() {
    static Keeper keeper;
    return keeper;
  }

  void add(const Computer& computer) {
    const std::lock_guard lock(mutex_);
    entries_.push_back({&computer, pthread_self(), 0, std::chrono::steady_clock::now()});
    if (!thread_.joinable()) {
      thread_ = std::thread([this] { keep(); });
    }
  }

  void remove(const Computer& computer) {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [&](const Entry& entry) { return entry.computer == &computer; });
  }

  ~Keeper() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wanted_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  struct Entry {
    const Computer* computer;
    pthread_t world;
    std::uint64_t seen;
    std::chrono::steady_clock::time_point since;
  };

  void keep() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
      wanted_.wait_for(lock, kPeriod);
      const auto now = std::chrono::steady_clock::now();
      for (Entry& entry : entries_) {
        const std::uint64_t progress = entry.computer->progress();
        const std::chrono::seconds patience{
            entry.computer->configuration().limits.watchdog_seconds};
        if (progress != entry.seen) {
          entry.seen = progress;
          entry.since = now;
        } else if (now - entry.since > patience) {
          entry.since = now;
          pthread_kill(entry.world, kGiveUpSignal);
        }
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::vector<Entry> entries_;
  std::thread thread_;
  bool ending_ = false;
};

}  // namespace

Watchdog::Watchdog(const Computer& computer) : computer_(computer) {
  install_handler();
  Keeper::instance().add(computer_);
}

Watchdog::~Watchdog() { Keeper::instance().remove(computer_); }

}  // namespace sim
