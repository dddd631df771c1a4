#include "metal/launch/serial_log.h"

#include <charconv>
#include <utility>

namespace metal {
namespace {

constexpr std::string_view kReportPrefix = "chronovisor: ";
constexpr std::string_view kViolated = "property violated: ";
constexpr std::string_view kStopped = "stopped with code ";

std::optional<std::uint32_t> parse_stop(std::string_view report) {
  if (!report.starts_with(kStopped)) {
    return std::nullopt;
  }
  report.remove_prefix(kStopped.size());
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(report.data(), report.data() + report.size(), code);
  if (error != std::errc() || end != report.data() + report.size()) {
    return std::nullopt;
  }
  return code;
}

}  // namespace

void SerialLog::append(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == '\n') {
      take_line(std::exchange(partial_, {}));
    } else if (byte != '\r') {
      partial_.push_back(byte);
    }
  }
}

void SerialLog::finish() {
  if (!partial_.empty()) {
    take_line(std::exchange(partial_, {}));
  }
}

void SerialLog::take_line(std::string line) {
  if (on_line_) {
    on_line_(line);
  }
  if (!line.starts_with(kReportPrefix)) {
    guest_lines_.push_back(std::move(line));
    return;
  }
  line.erase(0, kReportPrefix.size());
  if (!stop_code_) {
    stop_code_ = parse_stop(line);
  }
  if (line.starts_with(kViolated)) {
    violations_.push_back(line.substr(kViolated.size()));
  }
  reports_.push_back(std::move(line));
}

}  // namespace metal
