// What the watch on plain memory found, in words.
#include <dlfcn.h>
#include <fmt/format.h>

#include "sim/computer.h"

namespace sim {

namespace {

/// Where in the program, independent of where that was loaded.
std::string place_of(std::uintptr_t program_counter) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(program_counter), &info) == 0) {
    return "unknown";
  }
  const std::uintptr_t offset = program_counter - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  const std::string_view file = info.dli_fname;
  return fmt::format("{}+{:#x}{}{}", file.substr(file.rfind('/') + 1), offset,
                     info.dli_sname != nullptr ? " " : "",
                     info.dli_sname != nullptr ? info.dli_sname : "");
}

std::string describe(const watch::PlainAccess& access) {
  return fmt::format("a {} by actor {} at {}", access.is_write ? "write" : "read", access.actor,
                     place_of(access.program_counter));
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
