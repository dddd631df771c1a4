#include "hv/processor/lazy_end_of_interrupt.h"

#include "hv/partition.h"
#include "hv/processor/interrupt_delivery.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr std::uint32_t kNoEoiRequired = 1u << 0;

/// The first word of the page.
machine::Spa assist_word(const VirtualProcessor& vp) { return machine::Spa(vp.pages.assist); }

/// It is edge triggered: the parent has not to be told.
void end(VirtualProcessor& vp) {
  (void)vp.apic.end_of_interrupt();
  deliver_messages(vp);
}

}  // namespace

void offer_lazy_end(VirtualProcessor& vp, std::uint8_t vector) {
  if (!vp.vp_assist.enabled() || !vp.apic.ends_quietly(vector) || vp.apic.any_requested()) {
    return;
  }
  vp.offers_lazy_end = true;
  machine::fetch_or_u32(assist_word(vp), kNoEoiRequired);
}

void settle_lazy_end(VirtualProcessor& vp) {
  if (!vp.offers_lazy_end) {
    return;
  }
  if (vp.apic.any_requested()) {
    withdraw_lazy_end(vp);
    return;
  }
  const std::uint32_t word = machine::load_u32(assist_word(vp));
  if ((word & kNoEoiRequired) == 0) {
    vp.offers_lazy_end = false;
    end(vp);
  }
}

void withdraw_lazy_end(VirtualProcessor& vp) {
  if (!vp.offers_lazy_end) {
    return;
  }
  vp.offers_lazy_end = false;
  const std::uint32_t word = machine::fetch_and_u32(assist_word(vp), ~kNoEoiRequired);
  if ((word & kNoEoiRequired) == 0) {
    end(vp);
  }
}

}  // namespace hv
