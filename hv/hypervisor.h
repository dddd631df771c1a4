// The hypervisor: owns processors and memory isolation, and nothing else. Devices and policy belong
// to the root partition.
//
// From a VM exit to its handler: processor/logical_processor.cpp enters guests,
// vtx/exit_dispatch.cpp says what an exit was, hypercall/call_table.cpp and msr/msr_table.cpp name
// the handlers. Those who call it: boot(), once. It knows machine/ below and the interface in
// hv/tlfs/ above, and nothing of VMBus, devices or kernels.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "hv/device_interrupts.h"
#include "hv/hypervisor_limits.h"
#include "hv/lock_order.h"
#include "hv/memory/page_references.h"
#include "hv/partition.h"
#include "hv/processor/logical_processor.h"
#include "hv/processor/scheduler.h"
#include "hv/tlfs/hypercall_system.h"
#include "hv/virtual_processor.h"
#include "hv/vtx/guest_context.h"
#include "machine/boot.h"
#include "machine/spin_lock.h"

namespace hv {

class Hypervisor {
 public:
  /// `processors` is memory for the logical processors.
  Hypervisor(const machine::BootInformation& information, std::span<std::byte> processors);
  Hypervisor(const Hypervisor&) = delete;
  Hypervisor& operator=(const Hypervisor&) = delete;

  /// Reserves the hypervisor's memory, creates the root partition with one VP and loads its image.
  /// Logical processor 0, once.
  void create_root();

  [[nodiscard]] const machine::BootInformation& information() const { return information_; }
  [[nodiscard]] LogicalProcessor& processor(std::uint32_t lp) { return *processors_[lp]; }
  [[nodiscard]] std::uint32_t processor_count() const {
    return information_.logical_processor_count;
  }
  [[nodiscard]] machine::Spn vmxon_page(std::uint32_t lp) const { return vmxon_pages_[lp]; }
  [[nodiscard]] Partition& root() { return *root_; }
  /// False in the first steps of the boot.
  [[nodiscard]] bool has_root() const { return root_ != nullptr; }

  machine::SpinLock management_lock{kManagementRank};
  machine::SpinLock communication_lock{kCommunicationRank};
  machine::SpinLock scheduler_lock{kSchedulerRank};
  /// What no child may have when it becomes the hypervisor's. Has a lock of its own.
  PageReferences child_pages_mapped;
  /// Under its lock.
  Scheduler scheduler;

  /// As many pages as one call can deposit; of the call that is under way, under the management
  /// lock.
  static constexpr std::size_t kMaxDepositPages =
      (machine::kPageSize - sizeof(PartitionId)) / sizeof(machine::Gpn);
  std::array<machine::Gpn, kMaxDepositPages> deposit_list{};

  // --- Under the management lock ---------------------------------------------
  /// A bit for each logical processor that the root has been told of; the first is there from the
  /// beginning.
  std::uint64_t added_processors = 1;
  static_assert(kMaxLogicalProcessors <= 64);
  /// As the root set it; no state at first.
  SleepStateInfo sleep_state;
  /// Who publishes the hypervisor's counters where: statistics_pages.h. Under the management lock.
  StatisticsMapping* statistics_mappings = nullptr;

  // --- Under the communication lock ------------------------------------------
  DeviceInterrupts device_interrupts;

  // --- Partitions: under the management lock, and for changes the communication lock ------------
  /// Null if there is none of that id.
  [[nodiscard]] Partition* find_partition(PartitionId id);
  /// Builds a partition with a new id in `page`; null when all places are taken.
  [[nodiscard]] Partition* add_partition(machine::Spn page, Partition* parent);
  void remove_partition(Partition& partition);
  template <class Visit>
  void for_each_partition(Visit visit) const {
    for (const Partition* partition : partitions_) {
      if (partition != nullptr) {
        visit(*partition);
      }
    }
  }

  // --- Running ---------------------------------------------------------------
  /// Something changed that the virtual processor must see: wakes it if it sleeps, makes it leave
  /// its guest if it runs on another processor.
  void notify(VirtualProcessor& vp);
  /// Makes a logical processor look at its scheduler slot again.
  void nudge(std::uint32_t lp);

  /// Stops the world from running one virtual processor: returns once no logical processor has it.
  /// At most one VP is stopped at a time; false if another is: the caller gives up for now and lets
  /// its own VP make the call again. No lock is held.
  [[nodiscard]] bool try_begin_stop();
  void stop(VirtualProcessor& vp);
  void resume(VirtualProcessor& vp);
  void end_stop();

  /// Makes every processor drop its translations of the partition's GPA space, and waits for it.
  void flush_translations(Partition& partition);
  /// Makes every processor that runs a guest leave it once, which drops what the guest's own
  /// address translation left in the TLB (no VPID is used).
  void flush_guest_tlbs();

  /// Whether what is mapped is RAM. The rest are devices, which the hypervisor itself never reads
  /// or writes for a guest.
  [[nodiscard]] bool is_memory(const GpaMapping& mapping) const;

  /// The pages that virtual processors share.
  [[nodiscard]] const vtx::SharedPages& shared_pages(const Partition& partition) const {
    return partition.is_root() ? root_pages_ : child_pages_;
  }
  [[nodiscard]] machine::Spn hypercall_page() const { return hypercall_page_; }
  /// Pages that any partition may read: all bits 0, all bits 1.
  [[nodiscard]] machine::Spn zero_page() const { return zero_page_; }
  [[nodiscard]] machine::Spn ones_page() const { return ones_page_; }

 private:
  void build_root_pool();
  void wait_until_outside_guests();

  const machine::BootInformation& information_;
  std::array<LogicalProcessor*, kMaxLogicalProcessors> processors_{};
  std::array<machine::Spn, kMaxLogicalProcessors> vmxon_pages_{};
  std::array<Partition*, kMaxPartitions> partitions_{};
  std::uint64_t next_partition_id_ = 1;
  Partition* root_ = nullptr;
  vtx::SharedPages root_pages_;
  vtx::SharedPages child_pages_;
  machine::Spn hypercall_page_;
  machine::Spn zero_page_;
  machine::Spn ones_page_;
  machine::Shared<std::uint32_t> stop_token_{0};
};

/// The hypervisor that the executing processor belongs to.
[[nodiscard]] LogicalProcessor& this_processor();

}  // namespace hv
