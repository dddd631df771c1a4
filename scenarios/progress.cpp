#include "scenarios/progress.h"

#include <fmt/format.h>

#include <cstdio>

#include "scenarios/figures.h"

namespace scenarios {
namespace {

constexpr std::chrono::milliseconds kTerminalPeriod{250};
constexpr std::chrono::seconds kLinePeriod{5};

}  // namespace

ProgressDisplay::ProgressDisplay(bool on_terminal)
    : on_terminal_(on_terminal),
      begin_(Clock::now()),
      next_(begin_ + (on_terminal ? Clock::duration(kTerminalPeriod) : kLinePeriod)) {}

ProgressDisplay::~ProgressDisplay() { clear(); }

void ProgressDisplay::clear() {
  if (shown_) {
    std::fputs("\r\x1b[2K", stderr);
    std::fflush(stderr);
    shown_ = false;
  }
}

void ProgressDisplay::console_line(const std::string& line, std::uint64_t virtual_ns) {
  clear();
  fmt::print("{}\n", console_text(line, virtual_ns));
  std::fflush(stdout);
}

void ProgressDisplay::progress(std::uint64_t events, std::uint64_t virtual_ns) {
  const auto now = Clock::now();
  if (now < next_) {
    return;
  }
  const auto wall = std::chrono::duration_cast<std::chrono::nanoseconds>(now - begin_);
  const std::string text =
      progress_text(events, virtual_ns, static_cast<std::uint64_t>(wall.count()));
  if (on_terminal_) {
    fmt::print(stderr, "\r\x1b[2K{}", text);
    shown_ = true;
    next_ = now + kTerminalPeriod;
  } else {
    fmt::print(stderr, "{}\n", text);
    next_ = now + kLinePeriod;
  }
  std::fflush(stderr);
}

std::string console_text(const std::string& line, std::uint64_t virtual_ns) {
  std::string shown;
  for (const char character : line) {
    const auto byte = static_cast<unsigned char>(character);
    shown.push_back(byte < ' ' || byte == 0x7F ? '?' : character);
  }
  return fmt::format("{:>6}.{:06} {}", virtual_ns / 1'000'000'000, virtual_ns / 1'000 % 1'000'000,
                     shown);
}

std::string progress_text(std::uint64_t events, std::uint64_t virtual_ns, std::uint64_t wall_ns) {
  return fmt::format("... {} of virtual time, {} events, {} a second", seconds_text(virtual_ns),
                     grouped(events), grouped(per_second(events, wall_ns)));
}

}  // namespace scenarios
