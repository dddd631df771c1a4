#include "sim/trace_recorder.h"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace sim {

namespace {

constexpr int kConsoleProcess = 5;

int process_of(machine::Track track) { return static_cast<int>(track) + 1; }

const char* process_name(machine::Track track) {
  switch (track) {
    case machine::Track::kProcessor:
      return "processors";
    case machine::Track::kPartition:
      return "partitions";
    case machine::Track::kChannel:
      return "channels";
    case machine::Track::kDevice:
      return "devices";
  }
  return "unknown";
}

const char* kind_of(machine::Track track) {
  switch (track) {
    case machine::Track::kProcessor:
      return "processor";
    case machine::Track::kPartition:
      return "partition";
    case machine::Track::kChannel:
      return "channel";
    case machine::Track::kDevice:
      return "device";
  }
  return "unknown";
}

/// Channels and devices of several partitions have that of their own in front.
std::string thread_name(machine::Track track, std::uint64_t id) {
  if ((track == machine::Track::kChannel || track == machine::Track::kDevice) && id >> 16 != 0) {
    return fmt::format("{} {} of partition {}", kind_of(track), id & 0xFFFF, id >> 16);
  }
  return fmt::format("{} {}", kind_of(track), id);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      result += '\\';
      result += character;
    } else if (static_cast<unsigned char>(character) < 0x20 ||
               static_cast<unsigned char>(character) >= 0x7F) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(character));
    } else {
      result += character;
    }
  }
  return result;
}

/// Microseconds, as the format has them, without floating point.
std::string microseconds(std::uint64_t nanoseconds) {
  return fmt::format("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
}

}  // namespace

std::string TraceRecorder::json() const {
  std::set<std::pair<machine::Track, std::uint64_t>> tracks;
  for (const Event& event : events_) {
    tracks.emplace(event.track, event.id);
  }
  for (const Span& span : spans_) {
    tracks.emplace(machine::Track::kProcessor, span.processor);
  }
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (const auto& [track, id] : tracks) {
    text += fmt::format(
        "{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{},\"args\":{{\"name\":\"{}\"}}}},\n"
        "{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{},\"tid\":{},"
        "\"args\":{{\"name\":\"{}\"}}}},\n",
        process_of(track), process_name(track), process_of(track), id, thread_name(track, id));
  }
  for (const Span& span : spans_) {
    text += fmt::format(
        "{{\"ph\":\"X\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{},\"dur\":{}}},\n",
        escaped(span.name), process_of(machine::Track::kProcessor), span.processor,
        microseconds(span.begin_ns), microseconds(span.end_ns - span.begin_ns));
  }
  for (const Event& event : events_) {
    text += fmt::format(
        "{{\"ph\":\"i\",\"s\":\"t\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{},"
        "\"args\":{{\"a\":{},\"b\":{}}}}},\n",
        escaped(event.name), process_of(event.track), event.id, microseconds(event.virtual_ns),
        event.a, event.b);
  }
  for (const Line& line : lines_) {
    text += fmt::format(
        "{{\"ph\":\"i\",\"s\":\"t\",\"name\":\"{}\",\"pid\":{},\"tid\":0,\"ts\":{}}},\n",
        escaped(line.text), kConsoleProcess, microseconds(line.virtual_ns));
  }
  text += fmt::format(
      "{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{},\"args\":{{\"name\":\"console\"}}}}\n]}}"
      "\n",
      kConsoleProcess);
  return text;
}

}  // namespace sim
