// What a run found out about its declared properties and goals.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "machine/testing.h"

namespace sim {

/// Counters by site: how often it was reached, and how often with a true condition.
class SiteCounters {
 public:
  struct Counter {
    std::uint64_t id = 0;  // 0: free
    const char* name = nullptr;
    std::uint64_t reached = 0;
    std::uint64_t held = 0;
    /// Of trace events: what their `b` comes to.
    std::uint64_t sum = 0;
  };

  SiteCounters() : slots_(64) {}
  [[nodiscard]] Counter& at(const machine::Site& site) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t index = site.id() & mask;
    while (slots_[index].id != site.id()) {
      if (slots_[index].id == 0) {
        return insert(site);
      }
      index = (index + 1) & mask;
    }
    return slots_[index];
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> reached() const;
  [[nodiscard]] std::map<std::string, std::uint64_t> held() const;
  [[nodiscard]] std::map<std::string, std::uint64_t> sums() const;

 private:
  [[nodiscard]] std::map<std::string, std::uint64_t> each(std::uint64_t Counter::* count) const;
  Counter& insert(const machine::Site& site);

  std::vector<Counter> slots_;  // open addressing
  std::size_t used_ = 0;
};

struct Properties {
  SiteCounters always;
  SiteCounters sometimes;
  SiteCounters traces;
};

}  // namespace sim
