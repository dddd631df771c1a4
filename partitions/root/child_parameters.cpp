#include "partitions/root/child_parameters.h"

#include <algorithm>
#include <span>

#include "machine/invariant.h"
#include "partitions/kernel/text.h"
#include "partitions/root/streams/stream_caller.h"

namespace root {

ChildParameterText::ChildParameterText(const Parameters& parameters, std::uint32_t child_number) {
  add("workload", workload_name(parameters.workload));
  add("number", child_number);
  add("seed", parameters.seed + child_number);
  add("requests", parameters.requests);
  add("in_flight", parameters.in_flight);
  add("chunk_kib", parameters.chunk_kib);
  add("ring_kib", parameters.ring_kib);
  add("busy_us", parameters.busy_us);
  add("padding_bytes", parameters.padding_bytes);
  add("timer_hz", parameters.timer_hz);
  add("idle_ms", parameters.idle_ms);
  add("rounds", parameters.rounds);
  add("openings", parameters.openings);
  add("lies", parameters.lies);
  add("subchannels", parameters.subchannels);
  add("moves", parameters.moves);
  add("connections", parameters.connections);
  add("messages", parameters.messages);
  add("calls", calls_taken(parameters.calls));
  add("monitor", parameters.monitor_latency_us != 0 ? 1 : 0);
  add("bus_version", parameters.child_bus_version);
  for (const kernel::LoopConnection& loop :
       std::span(parameters.loops).first(parameters.loop_count)) {
    kernel::TextLine text;
    text << loop.id << " " << loop.sint << " " << loop.vp << " " << loop.flags;
    add("connection", text.view());
  }
}

void ChildParameterText::add(std::string_view key, std::string_view value) {
  kernel::TextLine line;
  line << key << "=" << value << "\n";
  const std::string_view text = line.view();
  INVARIANT(text.size() <= text_.size() - size_);
  std::copy(text.begin(), text.end(), text_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += text.size();
}

void ChildParameterText::add(std::string_view key, std::uint64_t value) {
  kernel::TextLine number;
  number << value;
  add(key, number.view());
}

}  // namespace root
