// Trace events of a run, for Perfetto: a track for each processor, partition, channel and device.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/testing.h"

namespace sim {

class TraceRecorder {
 public:
  /// `site` outlives the recorder.
  void add(std::uint64_t virtual_ns, const machine::Site& site, machine::Track track,
           std::uint64_t id, std::uint64_t a, std::uint64_t b) {
    events_.push_back({virtual_ns, site.name(), track, id, a, b});
  }
  /// What a processor did from `begin_ns` on: the hypervisor's work, a guest.
  void add_span(std::uint64_t begin_ns, std::uint64_t end_ns, std::uint32_t processor,
                std::string name) {
    spans_.push_back({begin_ns, end_ns, processor, std::move(name)});
  }
  void add_console_line(std::uint64_t virtual_ns, std::string text) {
    lines_.push_back({virtual_ns, std::move(text)});
  }

  /// The Trace Event Format, which ui.perfetto.dev and chrome://tracing open.
  [[nodiscard]] std::string json() const;

 private:
  struct Event {
    std::uint64_t virtual_ns;
    const char* name;
    machine::Track track;
    std::uint64_t id;
    std::uint64_t a;
    std::uint64_t b;
  };
  struct Span {
    std::uint64_t begin_ns;
    std::uint64_t end_ns;
    std::uint32_t processor;
    std::string name;
  };
  struct Line {
    std::uint64_t virtual_ns;
    std::string text;
  };

  std::vector<Event> events_;
  std::vector<Span> spans_;
  std::vector<Line> lines_;
};

}  // namespace sim
