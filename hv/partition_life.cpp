#include "hv/partition_life.h"

#include <array>

#include "hv/hypervisor.h"
#include "hv/processor/monitor_pages.h"
#include "hv/processor/processor_shares.h"
#include "hv/processor/state_pages.h"
#include "hv/registers/parent_registers.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/timer/reference_tsc_page.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr std::uint32_t kCpuidAddressSizes = 0x8000'0008;
/// Only the root's VPs have an event ring page.
constexpr std::size_t kPagesPerVp = 6;
constexpr std::size_t kPagesPerRootVp = kPagesPerVp + 1;
/// Overlays that a VP can show: message, event flags, event ring and assist page.
constexpr std::uint32_t kOverlaysPerVp = 3;
constexpr std::uint32_t kOverlaysPerRootVp = 4;
/// Of the partition: hypercall and reference TSC page.
constexpr std::uint32_t kOverlaysPerPartition = 2;

/// Takes all pages or none.
template <std::size_t Count>
bool take_pages(PagePool& pool, std::array<machine::Spn, Count>& pages) {
  if (pool.available() < Count) {
    return false;
  }
  for (machine::Spn& page : pages) {
    page = *pool.take();
  }
  return true;
}

std::size_t pages_per_vp(const Partition& partition) {
  return partition.is_root() ? kPagesPerRootVp : kPagesPerVp;
}

void give_pages(PagePool& pool, const VpPages& pages) {
  if (pages.event_ring != machine::Spn()) {
    pool.give(pages.event_ring);
  }
  for (const machine::Spn page : {pages.records, pages.extended_state, pages.assist,
                                  pages.event_flags, pages.message, pages.vmcs}) {
    pool.give(page);
  }
}

/// Everything that the tables need for one more VP; false, and nothing changed, if the pool does
/// not have it beside the VP's own pages.
bool reserve_vp(Partition& partition, VpIndex index) {
  const std::uint32_t overlays = overlays_to_reserve(partition, partition.vps.count() + 1);
  {
    const machine::LockGuard guard(partition.space_lock);
    const std::size_t pages = pages_per_vp(partition) + partition.vps.pages_to_reserve(index) +
                              partition.space->pages_to_reserve_overlays(overlays);
    if (partition.pool.available() < pages) {
      return false;
    }
    INVARIANT(partition.space->reserve_overlays(overlays) == Status::kSuccess);
  }
  partition.vps.reserve(index);
  return true;
}

void hide_overlays(Hypervisor& hypervisor, VirtualProcessor& vp) {
  bool flush = false;
  {
    const machine::LockGuard guard(vp.partition.space_lock);
    for (const OverlayKind kind : {OverlayKind::kMessagePage, OverlayKind::kEventFlagsPage,
                                   OverlayKind::kEventRingPage, OverlayKind::kVpAssist}) {
      vp.partition.space->hide_overlay({kind, vp.index});
    }
    flush = vp.partition.space->invalidation_needed();
  }
  if (flush) {
    hypervisor.flush_translations(vp.partition);
    const machine::LockGuard guard(vp.partition.space_lock);
    vp.partition.space->invalidation_done();
  }
}

}  // namespace

void drop_messages(Partition& partition, const MessageOwner& owner) {
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      const machine::LockGuard guard(vp->lock);
      vp->synic.drop(owner);
    }
  }
}

std::uint32_t max_physical_address_bits() {
  const machine::CpuidResult sizes = machine::cpuid(kCpuidAddressSizes, 0);
  const std::uint32_t physical_bits = sizes.eax & 0xFF;
  constexpr std::uint32_t kMaxBits = 48;
  return physical_bits < kMaxBits ? physical_bits : kMaxBits;
}

std::uint32_t overlays_to_reserve(const Partition& partition, std::uint32_t vp_count) {
  const std::uint32_t overlays_per_vp = partition.is_root() ? kOverlaysPerRootVp : kOverlaysPerVp;
  return kOverlaysPerPartition + overlays_per_vp * vp_count + statistics_overlay_count(partition) +
         partition.state_pages_shown + partition.monitor_pages_shown;
}

Status initialize_partition(Hypervisor& hypervisor, Partition& partition) {
  std::array<machine::Spn, 2> pages;
  if (!take_pages(partition.pool, pages)) {
    return Status::kInsufficientMemory;
  }
  const auto [root_table, reference_tsc_page] = pages;
  const std::uint32_t asked = partition.properties.physical_address_bits;
  const std::uint32_t bits = asked != 0 ? asked : max_physical_address_bits();
  partition.space.emplace(partition.pool, root_table, 1ull << (bits - machine::kPageShift),
                          partition.is_root() ? nullptr : &hypervisor.child_pages_mapped);
  if (partition.space->reserve_overlays(kOverlaysPerPartition) != Status::kSuccess) {
    partition.space->destroy();
    partition.space.reset();
    partition.pool.give(reference_tsc_page);
    return Status::kInsufficientMemory;
  }
  partition.ept_pointer.store(vtx::make_ept_pointer(root_table, false));
  partition.reference_tsc_page = reference_tsc_page;
  const std::uint64_t now = machine::read_tsc();
  // It runs on as soon as a virtual processor may.
  partition.clock.begin(hypervisor.information().tsc_frequency_hz, now);
  partition.clock.stop(now);
  partition.properties.physical_address_bits = bits;
  partition.state = PartitionState::kActive;
  return Status::kSuccess;
}

Status create_vp(Hypervisor& hypervisor, Partition& partition, VpIndex index,
                 std::uint32_t pinned_lp) {
  if (!reserve_vp(partition, index)) {
    return Status::kInsufficientMemory;
  }
  std::array<machine::Spn, kPagesPerVp> pages;
  INVARIANT(take_pages(partition.pool, pages));
  VpPages vp_pages{.vmcs = pages[0],
                   .message = pages[1],
                   .event_flags = pages[2],
                   .assist = pages[3],
                   .extended_state = pages[4],
                   .records = pages[5]};
  if (partition.is_root()) {
    vp_pages.event_ring = *partition.pool.take();
  }
  VirtualProcessor* const vp = &partition.vps.make(partition, index, vp_pages);
  // Nobody but itself starts the root's: with an INIT and startup interrupts, as a computer's.
  vp->suspend.explicitly = !partition.is_root();
  vp->suspend.startup = index != VpIndex{0};
  vp->pinned_lp = pinned_lp;
  if (partition.is_root()) {
    // Where the pages really lie: the root sees nothing else there.
    vp->synic.preset_pages();
    vp->vp_assist = OverlayPageRegister(machine::Gpn(vp_pages.assist.value()), false);
  }
  vp->lp = pinned_lp != kNoLp ? pinned_lp
                              : static_cast<std::uint32_t>(index) % hypervisor.processor_count();
  vp->urgent = partition.is_root();
  vp->shares = shares_of(partition);
  vp->group = static_cast<std::uint32_t>(partition.id);
  LogicalProcessor& here = this_processor();
  // Behind the area of the extended registers lie the VP's counters.
  INVARIANT(here.capabilities().extended_area_bytes <= VpStatistics::kOffsetInPage);
  here.run_with_other_context([&] {
    vp->context.initialize(here.capabilities(), hypervisor.shared_pages(partition),
                           partition.ept_pointer.load());
  });
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    partition.vps.insert(*vp);
    partition.change_cpuid();
  }
  publish_statistics(hypervisor, partition);
  return Status::kSuccess;
}

void delete_vp(Hypervisor& hypervisor, VirtualProcessor& vp) {
  Partition& partition = vp.partition;
  end_flush_inhibition(hypervisor, vp);
  end_statistics(hypervisor, vp);
  unmap_state_pages(hypervisor, vp);
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    partition.vps.remove(vp);
    partition.change_cpuid();
    if (partition.parent != nullptr) {
      drop_messages(*partition.parent, vp.intercept_owner);
      drop_messages(*partition.parent, vp.ended_interrupts);
    }
    // Nobody finds it any more; what it still had queued goes with it.
    const machine::LockGuard vp_guard(vp.lock);
    vp.synic.reset();
  }
  {
    const machine::LockGuard guard(hypervisor.scheduler_lock);
    hypervisor.scheduler.remove(vp);
  }
  hide_overlays(hypervisor, vp);
  const VpPages pages = vp.pages;
  partition.vps.end(vp);
  give_pages(partition.pool, pages);
  publish_statistics(hypervisor, partition);
}

void take_partition_apart(Hypervisor& hypervisor, Partition& partition) {
  end_statistics(hypervisor, partition);
  while (Connection* connection = partition.connections.any()) {
    end_connection(hypervisor, partition, *connection);
  }
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    while (Doorbell* doorbell = partition.doorbells.any()) {
      partition.doorbells.remove(*doorbell);
    }
  }
  while (Port* port = partition.ports.any()) {
    end_port(hypervisor, partition, *port);
  }
  {
    const machine::LockGuard guard(hypervisor.communication_lock);
    partition.connections.destroy();
    partition.doorbells.destroy();
    partition.ports.destroy();
    partition.vps.destroy();
  }
  // No processor walks the tables any more, but some may hold what they found there.
  hypervisor.flush_translations(partition);
  const machine::LockGuard guard(partition.space_lock);
  partition.space->destroy();
  partition.space.reset();
  partition.intercepts.destroy();
  partition.pool.give(partition.reference_tsc_page);
}

}  // namespace hv
