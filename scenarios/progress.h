// What a run shows while it works: the guests' log on standard output, how far it has come on
// standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace scenarios {

/// One run's. On a terminal a line that is written over and over; elsewhere a line of its own every
/// few seconds. Used on one thread.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(bool on_terminal);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// A line of the guests' log, with its virtual time, as it comes.
  void console_line(const std::string& line, std::uint64_t virtual_ns);
  /// How far the run has come; may be called often.
  void progress(std::uint64_t events, std::uint64_t virtual_ns);
  /// Takes the line away: something else is to be shown.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool on_terminal_;
  bool shown_ = false;
  Clock::time_point begin_;
  Clock::time_point next_;
};

/// A line of the guests' log as people see it: with nothing that could disturb a terminal.
[[nodiscard]] std::string console_text(const std::string& line, std::uint64_t virtual_ns);
/// "12.3 s of virtual time, 45,000,000 events, 4,500,000 a second".
[[nodiscard]] std::string progress_text(std::uint64_t events, std::uint64_t virtual_ns,
                                        std::uint64_t wall_ns);

}  // namespace scenarios
