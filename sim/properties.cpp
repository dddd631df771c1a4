#include "sim/properties.h"

#include <utility>

namespace sim {

SiteCounters::Counter& SiteCounters::insert(const machine::Site& site) {
  if (++used_ * 2 > slots_.size()) {
    std::vector<Counter> old(slots_.size() * 2);
    std::swap(old, slots_);
    for (const Counter& counter : old) {
      if (counter.id != 0) {
        std::size_t index = counter.id & (slots_.size() - 1);
        while (slots_[index].id != 0) {
          index = (index + 1) & (slots_.size() - 1);
        }
        slots_[index] = counter;
      }
    }
  }
  std::size_t index = site.id() & (slots_.size() - 1);
  while (slots_[index].id != 0) {
    index = (index + 1) & (slots_.size() - 1);
  }
  slots_[index] = {site.id(), site.name(), 0, 0, 0};
  return slots_[index];
}

std::map<std::string, std::uint64_t> SiteCounters::each(std::uint64_t Counter::* count) const {
  std::map<std::string, std::uint64_t> counts;
  for (const Counter& counter : slots_) {
    if (counter.id != 0) {
      counts[counter.name] = counter.*count;
    }
  }
  return counts;
}

std::map<std::string, std::uint64_t> SiteCounters::reached() const {
  return each(&Counter::reached);
}

std::map<std::string, std::uint64_t> SiteCounters::held() const { return each(&Counter::held); }

std::map<std::string, std::uint64_t> SiteCounters::sums() const { return each(&Counter::sum); }

}  // namespace sim
