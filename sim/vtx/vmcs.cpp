#include "sim/vtx/vmcs.h"

#include <algorithm>

namespace sim::vtx {

Vmcs& VmcsTable::at(machine::Spa region) {
  const auto at =
      std::ranges::lower_bound(vmcss_, region, {}, [](const auto& vmcs) { return vmcs->region; });
  if (at != vmcss_.end() && (*at)->region == region) {
    return **at;
  }
  auto fresh = std::make_unique<Vmcs>();
  fresh->region = region;
  for (const FieldInfo& info : kFieldTable) {
    if (info.exists()) {
      fresh->values[info.slot] = kUndefined & (~std::uint64_t{0} >> (64 - info.width_bits));
    }
  }
  return **vmcss_.insert(at, std::move(fresh));
}

}  // namespace sim::vtx
