// One partition: identity, place in the tree, privileges and properties, memory, virtual
// processors, ports and connections. It lies in one page of its parent's pool, with all that a
// small partition needs but the virtual processors; these, and tables that grow, lie in its own
// pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hv/debug_loop.h"
#include "hv/hypervisor_limits.h"
#include "hv/intercept_set.h"
#include "hv/lock_order.h"
#include "hv/memory/gpa_space.h"
#include "hv/memory/page_pool.h"
#include "hv/partition_properties.h"
#include "hv/processor/schedulable.h"
#include "hv/synic/doorbell_table.h"
#include "hv/synic/port_table.h"
#include "hv/timer/partition_clock.h"
#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/privileges.h"
#include "hv/vp_table.h"
#include "machine/address.h"
#include "machine/shared.h"
#include "machine/spin_lock.h"

namespace hv {

struct StatisticsMapping;
struct StatisticsRecords;

class Partition {
 public:
  Partition(PartitionId its_id, Partition* its_parent, machine::Spn its_page);
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  [[nodiscard]] bool is_root() const { return parent == nullptr; }

  const PartitionId id;
  Partition* const parent;
  /// The page that this object lies in.
  const machine::Spn page;

  // --- Under the management lock ---------------------------------------------
  /// It leaves kActive under the communication lock, too.
  PartitionState state = PartitionState::kUninitialized;
  Partition* first_child = nullptr;
  Partition* last_child = nullptr;
  Partition* next_sibling = nullptr;
  Partition* previous_sibling = nullptr;
  std::uint32_t weight = Schedulable::kDefaultWeight;
  std::uint64_t creation_flags = 0;
  PartitionProperties properties;
  DebugLoop debug_loop;
  PagePool pool;
  /// Who publishes its counters where, and what it maps itself: statistics_pages.h.
  StatisticsMapping* statistics_mappings = nullptr;
  StatisticsRecords* statistics_records = nullptr;
  /// Pages of its children's VPs that it sees: state_pages.h.
  std::uint32_t state_pages_shown = 0;
  /// Pages of monitor ports that it sees: monitor_pages.h.
  std::uint32_t monitor_pages_shown = 0;

  // --- Under the management lock and the communication lock; read under either -----------------
  VpTable vps{pool};
  PortTable ports{pool};
  ConnectionTable connections{pool};
  DoorbellTable doorbells{pool};

  // --- Under the GPA space lock ----------------------------------------------
  machine::SpinLock space_lock{kGpaSpaceRank};
  std::optional<GpaSpace> space;
  /// Changed under the management lock, too: the pool is.
  InterceptSet intercepts{pool};

  // --- Words of their own ----------------------------------------------------
  /// Exceptions that the parent wants to hear of, by vector; and what else, by InterceptType.
  machine::Shared<std::uint64_t> exception_intercepts{0};
  machine::Shared<std::uint64_t> other_intercepts{0};
  machine::Shared<std::uint64_t> guest_os_id{0};
  machine::Shared<std::uint64_t> hypercall_register{0};
  machine::Shared<std::uint64_t> reference_tsc_register{0};
  machine::Shared<std::uint64_t> unimplemented_msr_action{kUnimplementedMsrFault};
  machine::Shared<std::uint64_t> pm_timer_assist{0};
  /// No virtual processor runs while it is not 0.
  machine::Shared<std::uint32_t> suspended{0};
  /// What the guest tells of its end: five numbers, and then the control word.
  std::array<machine::Shared<std::uint64_t>, kMsrCrashP4 - kMsrCrashP0 + 1> crash_parameters{};
  machine::Shared<std::uint64_t> crash_control{0};
  machine::Shared<std::uint64_t> reenlightenment_control{0};
  machine::Shared<std::uint64_t> tsc_emulation_control{0};
  machine::Shared<std::uint64_t> tsc_invariant_control{0};
  /// Another number from before: what CPUID answered its VPs may no longer be true.
  machine::Shared<std::uint64_t> cpuid_generation{1};
  /// A bit for each logical processor that may hold translations which are no longer true.
  machine::Shared<std::uint64_t> stale_processors{~0ull};
  static_assert(kMaxLogicalProcessors <= 64);
  /// A processor that drops its translations, or takes up a VP, takes over what it says.
  machine::Shared<std::uint64_t> ept_pointer{0};
  /// When its monitor pages are looked at next, in TSC ticks; kNoDeadline while it has none.
  machine::Shared<std::uint64_t> monitors_due{kNoDeadline};

  // --- Set before the first VP runs, or under the management lock with all VPs stopped ----------
  PrivilegeMask privileges;
  PartitionClock clock;
  machine::Spn reference_tsc_page{};
  /// The last that was valid.
  std::uint32_t reference_tsc_sequence = 0;

  /// Of the types that are all or nothing: whether the parent has installed it.
  [[nodiscard]] bool intercepts_all(InterceptType type) const {
    return ((other_intercepts.load() >> static_cast<unsigned>(type)) & 1) != 0;
  }

  /// After every change of what CPUID shows to more than one VP, or to a VP that may run.
  void change_cpuid() { cpuid_generation.fetch_add(1); }

  [[nodiscard]] VirtualProcessor* vp(VpIndex index) const { return vps.find(index); }

  /// Copies from or to the partition's memory, within one page; takes the GPA space lock. False,
  /// with nothing copied, if the page is not mapped with the right to do so.
  [[nodiscard]] bool read_memory(machine::Gpa from, std::span<std::byte> to);
  [[nodiscard]] bool write_memory(machine::Gpa to, std::span<const std::byte> from);
  [[nodiscard]] bool is_readable(machine::Gpa address);
  [[nodiscard]] bool is_writable(machine::Gpa address);
};

/// Whether something is mapped, and is memory: Hypervisor::is_memory.
[[nodiscard]] bool is_memory(const std::optional<GpaMapping>& mapping);
/// Whether its creator let its local APICs be x2APICs; the root's always can.
[[nodiscard]] bool may_use_x2apic(const Partition& partition);

}  // namespace hv
