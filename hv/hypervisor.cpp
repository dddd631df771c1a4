#include "hv/hypervisor.h"

#include <algorithm>
#include <new>
#include <span>

#include "hv/partition_life.h"
#include "hv/partition_time.h"
#include "hv/root_partition.h"
#include "hv/vtx/bitmaps.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

/// Slices that a virtual processor may be ahead of one that waits: 1,000 a second, so that 16 that
/// share 4 processors have had the same within 5 % after a tenth of a second.
constexpr std::uint64_t kSlicesPerSecond = 1000;
/// ENDBR64; VMCALL; RET. The first is for guests with indirect-branch tracking and a NOP in every
/// other mode; the last is the near return of each mode.
constexpr std::array<std::byte, 8> kHypercallCode{std::byte{0xF3}, std::byte{0x0F}, std::byte{0x1E},
                                                  std::byte{0xFA}, std::byte{0x0F}, std::byte{0x01},
                                                  std::byte{0xC1}, std::byte{0xC3}};
/// INT3 fills the rest of the hypercall page.
constexpr std::uint8_t kBreakpoint = 0xCC;

constexpr PrivilegeMask kRootPrivileges = PrivilegeMask(kGuestPrivilegeBits)
                                              .with(Privilege::kCreatePartitions)
                                              .with(Privilege::kAccessPartitionId)
                                              .with(Privilege::kAccessMemoryPool)
                                              .with(Privilege::kCreatePort)
                                              .with(Privilege::kConnectPort)
                                              .with(Privilege::kAccessStats)
                                              .with(Privilege::kCpuManagement)
                                              .with(Privilege::kDebugging)
                                              .with(Privilege::kEnableExtendedHypercalls)
                                              .with(Privilege::kAccessVpRegisters);

}  // namespace

Hypervisor::Hypervisor(const machine::BootInformation& information, std::span<std::byte> processors)
    : scheduler(information.logical_processor_count,
                information.tsc_frequency_hz / kSlicesPerSecond),
      information_(information) {
  INVARIANT(processor_count() > 0);
  INVARIANT(processors.size() >= processor_count() * sizeof(LogicalProcessor));
  for (std::uint32_t lp = 0; lp < processor_count(); ++lp) {
    processors_[lp] = new (processors.data() + lp * sizeof(LogicalProcessor))
        LogicalProcessor(*this, lp, information.apic_ids[lp]);
  }
  build_root_pool();
}

/// The hypervisor's memory becomes the root's pool; what the hypervisor needs for itself is taken
/// from there for good.
void Hypervisor::build_root_pool() {
  const MemorySplit split = split_memory(information_);
  INVARIANT(split.hypervisor.size_bytes != 0);
  const machine::Spn first(split.hypervisor.base >> machine::kPageShift);
  const std::uint64_t count = split.hypervisor.size_bytes >> machine::kPageShift;
  const std::span<const machine::MemoryRange> root_ram =
      std::span(split.root).first(split.root_count);
  const std::uint64_t reserved = 1 + PageReferences::pages_needed(root_ram);
  INVARIANT(count > reserved);
  machine::fill_memory(machine::Spa(first), reserved * machine::kPageSize, 0);
  root_ = add_partition(first, nullptr);
  child_pages_mapped.cover(root_ram, first + 1);
  for (std::uint64_t page = count; --page >= reserved;) {
    root_->pool.deposit(first + page);
  }
  const auto take = [this] { return *root_->pool.take(); };
  for (std::uint32_t lp = 0; lp < processor_count(); ++lp) {
    vmxon_pages_[lp] = take();
  }
  hypercall_page_ = take();
  machine::fill_memory(machine::Spa(hypercall_page_), machine::kPageSize, kBreakpoint);
  machine::write_memory(machine::Spa(hypercall_page_), kHypercallCode);
  zero_page_ = take();
  ones_page_ = take();
  machine::fill_memory(machine::Spa(ones_page_), machine::kPageSize, 0xFF);
  root_pages_ = {machine::Spa(take()), machine::Spa(take()), machine::Spa(take())};
  child_pages_ = {machine::Spa(take()), machine::Spa(take()), root_pages_.msr_bitmap};
  vtx::fill_io_bitmaps_passing(root_pages_.io_bitmap_a, root_pages_.io_bitmap_b);
  vtx::fill_io_bitmaps_intercepting(child_pages_.io_bitmap_a, child_pages_.io_bitmap_b);
  vtx::fill_msr_bitmap(root_pages_.msr_bitmap);
}

void Hypervisor::create_root() {
  const MemorySplit split = split_memory(information_);
  Partition& root = *root_;
  {
    const machine::LockGuard guard(management_lock);
    root.privileges = kRootPrivileges;
    root.weight = kRootWeight;
    root.hypercall_register.store(
        OverlayPageRegister(machine::Gpn(hypercall_page_.value()), false).value());
    INVARIANT(initialize_partition(*this, root) == Status::kSuccess);
    map_root_memory(root, split);
    INVARIANT(create_vp(*this, root, VpIndex{0}, 0) == Status::kSuccess);
  }
  VirtualProcessor& vp = *root.vp(VpIndex{0});
  vp.context.load(this_processor().index());
  INVARIANT(load_root_image(information_, split));
  vp.context.unload();
  review_time(*this, root);
  notify(vp);
}

// A partition's place follows from its id, so ids whose place is taken are skipped.
Partition* Hypervisor::find_partition(PartitionId id) {
  Partition* found = partitions_[static_cast<std::uint64_t>(id) % kMaxPartitions];
  return found != nullptr && found->id == id ? found : nullptr;
}

Partition* Hypervisor::add_partition(machine::Spn page, Partition* parent) {
  static_assert(sizeof(Partition) <= machine::kPageSize);
  for (std::uint32_t tries = 0; tries < kMaxPartitions; ++tries) {
    const PartitionId id{next_partition_id_++};
    Partition*& place = partitions_[static_cast<std::uint64_t>(id) % kMaxPartitions];
    if (place == nullptr) {
      place = new (machine::direct_map(page)) Partition(id, parent, page);
      return place;
    }
  }
  return nullptr;
}

void Hypervisor::remove_partition(Partition& partition) {
  Partition*& place = partitions_[static_cast<std::uint64_t>(partition.id) % kMaxPartitions];
  INVARIANT(place == &partition);
  place = nullptr;
  partition.~Partition();
}

bool Hypervisor::is_memory(const GpaMapping& mapping) const {
  if (mapping.caching == GpaCaching::kWriteBack) [[likely]] {
    return true;  // devices are never mapped so
  }
  const std::uint64_t address = machine::Spa(mapping.page).value();
  const auto ranges = std::span(information_.memory_ranges).first(information_.memory_range_count);
  return std::ranges::any_of(ranges, [address](const machine::MemoryRange& range) {
    return address >= range.base && address - range.base < range.size_bytes;
  });
}

void Hypervisor::notify(VirtualProcessor& vp) {
  LogicalProcessor& here = this_processor();
  if (here.current_vp() == &vp) {
    vp.changed = true;
    return;
  }
  const std::uint64_t now = machine::read_tsc();
  std::uint32_t running = kNoLp;
  std::uint32_t nudged = kNoLp;
  {
    const machine::LockGuard guard(scheduler_lock);
    nudged = scheduler.wake(vp, now);
    running = vp.state == RunState::kRunning ? vp.lp : kNoLp;
  }
  // Whoever takes it up later looks at it anyway.
  if (running != kNoLp) {
    processor(running).request(LogicalProcessor::kLookAtVp);
    if ((processor(running).guest_epoch() & 1) != 0) {
      processor(running).interrupt();
    }
  }
  if (nudged != kNoLp) {
    nudge(nudged);
  }
}

void Hypervisor::nudge(std::uint32_t lp) {
  processor(lp).request(LogicalProcessor::kLookAtSlot);
  if (lp != this_processor().index()) {
    processor(lp).interrupt();
  }
}

bool Hypervisor::try_begin_stop() { return stop_token_.compare_exchange(0, 1); }

void Hypervisor::stop(VirtualProcessor& vp) {
  INVARIANT(this_processor().current_vp() != &vp);
  std::uint32_t running = kNoLp;
  {
    const machine::LockGuard guard(scheduler_lock);
    scheduler.hold(vp);
    running = vp.state == RunState::kRunning ? vp.lp : kNoLp;
  }
  if (running == kNoLp) {
    return;
  }
  nudge(running);
  for (bool runs = true; runs;) {
    machine::pause();
    const machine::LockGuard guard(scheduler_lock);
    runs = vp.state == RunState::kRunning;
  }
}

void Hypervisor::resume(VirtualProcessor& vp) {
  const std::uint64_t now = machine::read_tsc();
  std::uint32_t nudged = kNoLp;
  {
    const machine::LockGuard guard(scheduler_lock);
    nudged = scheduler.release(vp, now);
  }
  if (nudged != kNoLp) {
    nudge(nudged);
  }
}

void Hypervisor::end_stop() { stop_token_.store(0); }

void Hypervisor::flush_translations(Partition& partition) {
  // The marks first: a processor that takes up or enters a guest from here on drops what it has;
  // one that had looked before is in a guest now and is waited for.
  partition.stale_processors.exchange(~0ull);
  for (std::uint32_t lp = 0; lp < processor_count(); ++lp) {
    processor(lp).request(LogicalProcessor::kDropTranslations);
  }
  wait_until_outside_guests();
}

void Hypervisor::flush_guest_tlbs() { wait_until_outside_guests(); }

void Hypervisor::wait_until_outside_guests() {
  const std::uint32_t self = this_processor().index();
  std::array<std::uint64_t, kMaxLogicalProcessors> epochs{};
  for (std::uint32_t lp = 0; lp < processor_count(); ++lp) {
    epochs[lp] = lp == self ? 0 : processor(lp).guest_epoch();
    if ((epochs[lp] & 1) != 0) {
      processor(lp).interrupt();
    }
  }
  for (std::uint32_t lp = 0; lp < processor_count(); ++lp) {
    if ((epochs[lp] & 1) == 0) {
      continue;
    }
    while (processor(lp).guest_epoch() == epochs[lp]) {
      machine::pause();
    }
  }
}

}  // namespace hv
