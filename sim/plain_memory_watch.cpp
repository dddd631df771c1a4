// What the watch on plain memory found, in words.
#include <fmt/format.h>

#include "sim/computer.h"
#include "sim/program_symbols.h"

namespace sim {

namespace {

// The program counter is where the report returns to, behind the call.
std::string describe(const watch::PlainAccess& access) {
  return fmt::format("a {} by actor {} at {}", access.is_write ? "write" : "read", access.actor,
                     describe_place(access.program_counter - 1));
}

}  // namespace

void Computer::begin_watch() {
  if (configuration_.watch_plain_memory) {
    detector_ = std::make_unique<watch::RaceDetector>();
    watch::set_current_detector(detector_.get());
  }
}

void Computer::end_watch() {
  if (detector_ == nullptr) {
    return;
  }
  watch::set_current_detector(nullptr);
  for (const watch::Race& race : detector_->races()) {
    result_.violations.push_back({.property = "plain memory is guarded",
                                  .virtual_ns = result_.virtual_ns,
                                  .event = hash_.operations(),
                                  .message = describe(race.earlier) + " and " +
                                             describe(race.later) +
                                             " touch the same bytes, and nothing orders them"});
  }
  if (!detector_->races().empty() && result_.outcome == Outcome::kStopped) {
    result_.outcome = Outcome::kViolation;
  }
}

}  // namespace sim
