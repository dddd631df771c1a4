#include "hv/vp_table.h"

#include <algorithm>

#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

void VpTable::reserve(VpIndex index) {
  INVARIANT(static_cast<std::uint32_t>(index) < kMaxVirtualProcessors);
  INVARIANT(records_.has_room());
  if (needs_slots(index)) {
    slot_page_ = pool_->take();
    INVARIANT(slot_page_.has_value());
  }
}

void VpTable::insert(VirtualProcessor& vp) {
  const auto number = static_cast<std::uint32_t>(vp.index);
  if (number >= slots_.size()) {
    auto* const first = reinterpret_cast<VirtualProcessor**>(machine::direct_map(*slot_page_));
    std::ranges::copy(slots_, first);
    slots_ = {first, kMaxVirtualProcessors};
  }
  INVARIANT(slots_[number] == nullptr);
  slots_[number] = &vp;
  ++count_;
}

void VpTable::remove(VirtualProcessor& vp) {
  VirtualProcessor*& slot = slots_[static_cast<std::uint32_t>(vp.index)];
  INVARIANT(slot == &vp);
  slot = nullptr;
  --count_;
}

void VpTable::destroy() {
  INVARIANT(count_ == 0);
  records_.destroy();
  slots_ = own_slots_;
  if (slot_page_) {
    pool_->give(*slot_page_);
    slot_page_.reset();
  }
}

}  // namespace hv
