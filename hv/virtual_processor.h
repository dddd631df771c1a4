// One virtual processor: its registers, its interrupt controllers and timers, and why it may not
// run. It lies in its partition's VpTable.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/apic/local_apic.h"
#include "hv/lock_order.h"
#include "hv/processor/schedulable.h"
#include "hv/processor/vp_records.h"
#include "hv/statistics/vp_statistics.h"
#include "hv/synic/ended_interrupts.h"
#include "hv/synic/synic.h"
#include "hv/timer/synthetic_timers.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/register_values.h"
#include "hv/vtx/exit.h"
#include "hv/vtx/extended_state.h"
#include "hv/vtx/guest_context.h"
#include "hv/vtx/switched_msrs.h"
#include "machine/shared.h"
#include "machine/spin_lock.h"

namespace hv {

class Partition;

/// Pages that a virtual processor takes from its partition's pool.
struct VpPages {
  machine::Spn vmcs;
  machine::Spn message;
  machine::Spn event_flags;
  machine::Spn assist;
  machine::Spn extended_state;
  /// Holds its VpRecords.
  machine::Spn records;
  /// Page 0 but in the root.
  machine::Spn event_ring{};
};

/// Why a virtual processor may not run.
struct SuspendState {
  bool explicitly = false;
  bool intercept = false;
  /// Waits for HvCallStartVirtualProcessor or a startup IPI.
  bool startup = false;
  /// The parent does not want it dispatched.
  bool dispatch = false;
  /// It flushes the TLB of a VP whose parent keeps that from happening.
  bool flush = false;
  bool halt = false;
  bool idle = false;

  [[nodiscard]] constexpr bool stopped() const {
    return explicitly || intercept || startup || dispatch || flush;
  }
  /// Waits for an interrupt, and runs on when there is one.
  [[nodiscard]] constexpr bool waits_for_interrupt() const { return halt || idle; }
};

class VirtualProcessor final : public Schedulable {
 public:
  VirtualProcessor(Partition& its_partition, VpIndex its_index, const VpPages& its_pages);
  ~VirtualProcessor();
  VirtualProcessor(const VirtualProcessor&) = delete;
  VirtualProcessor& operator=(const VirtualProcessor&) = delete;

  Partition& partition;
  const VpIndex index;
  const VpPages pages;
  VpRecords& records;

  // Belong to the logical processor that runs it, or to whoever has stopped it.
  vtx::GuestContext context;
  vtx::ExtendedState extended;
  vtx::SwitchedMsrs switched_msrs;
  /// Delivered with the next entry.
  vtx::Event pending_event;
  /// When the run loop has to look at it again even if nobody asks, in TSC ticks.
  std::uint64_t look_again_at = 0;
  /// When it wants to be woken from the block it goes into.
  std::uint64_t wake_at = kNoDeadline;
  /// The next entry exits as soon as the guest takes interrupts.
  bool interrupt_window = false;
  /// The exceptions that exit; see exception_exits.h.
  std::uint32_t exception_bitmap = 0;

  /// What prepare_to_run() looks at was changed by whoever runs it or has stopped it, or by
  /// somebody else who has asked its processor to look.
  bool changed = true;
  /// It executed HLT.
  bool halts = false;
  /// The PendingEvent registers may have something.
  bool events_asked_for = false;
  VpStatistics& statistics;

  machine::SpinLock lock{kVirtualProcessorRank};
  // --- Under the lock --------------------------------------------------------
  SuspendState suspend;
  Synic synic;
  SyntheticTimers timers;
  LocalApic apic;
  /// Interrupts that come with their vector and pass the local APIC by: of the root's devices, or
  /// the one that a parent asserts.
  std::array<std::uint64_t, 4> external_vectors{};
  /// One was taken, and the parent has not cleared it yet.
  bool external_acknowledged = false;
  bool nmi_pending = false;
  /// Asked for by other processors; carried out where the registers are at hand.
  bool init_pending = false;
  std::optional<std::uint8_t> startup_vector;
  OverlayPageRegister vp_assist;
  /// See lazy_end_of_interrupt.h.
  bool offers_lazy_end = false;
  /// Its parent holds a translation: nobody else may flush its TLB (register InterceptSuspend).
  bool tlb_flush_inhibited = false;
  /// The register DeliverabilityNotifications has something.
  bool deliverability_awaited = false;

  /// What its parent has yet to hear of; see intercept.h.
  EndedInterrupts ended_interrupts{index};
  /// The one intercept message that can be under way; see intercept.h.
  MessageOwner intercept_owner;
  QueuedMessage intercept_entry;
};

}  // namespace hv
