// Whom a call is about, and whether the caller may act on it.
#pragma once

#include <cstdint>
#include <expected>

#include "hv/hypercall/call_context.h"
#include "hv/hypervisor.h"

namespace hv::calls {

/// Who may name itself.
enum class SelfAllowed : std::uint8_t { kNever, kRootOnly, kAnybody };

/// The partition that the caller, its parent or itself, names. Under the management lock.
/// kInvalidPartitionId, kAccessDenied.
[[nodiscard]] std::expected<Partition*, Status> find_target(const CallContext& context,
                                                            PartitionId id, SelfAllowed self);
/// Likewise, and it must be active: kInvalidPartitionState.
[[nodiscard]] std::expected<Partition*, Status> find_active_target(const CallContext& context,
                                                                   PartitionId id,
                                                                   SelfAllowed self);

/// The partition whose ports, connections or registers the caller handles: its child, or itself
/// with the privilege. Under the management lock. kInvalidPartitionId, kAccessDenied,
/// kInvalidPartitionState.
[[nodiscard]] std::expected<Partition*, Status> find_owner(const CallContext& context,
                                                           PartitionId id, Privilege on_self);

/// Keeps one virtual processor stopped for a scope. No lock may be held.
class [[nodiscard]] StopScope {
 public:
  explicit StopScope(Hypervisor& hypervisor)
      : hypervisor_(hypervisor), begun_(hypervisor.try_begin_stop()) {}
  ~StopScope() {
    if (stopped_ != nullptr) {
      hypervisor_.resume(*stopped_);
    }
    if (begun_) {
      hypervisor_.end_stop();
    }
  }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

  /// False: another processor stops something just now; try the whole call again.
  [[nodiscard]] bool begun() const { return begun_; }
  /// Between begun() and this, no virtual processor can be deleted.
  void stop(VirtualProcessor& vp) {
    hypervisor_.stop(vp);
    stopped_ = &vp;
  }
  /// It does not exist any more.
  void forget() { stopped_ = nullptr; }

 private:
  Hypervisor& hypervisor_;
  VirtualProcessor* stopped_ = nullptr;
  bool begun_;
};

/// What to answer to an input that is illegal whatever it is about: that only to a caller who may
/// act on the partition (TLFS "Hypercall Interface": access is denied first). Takes the management
/// lock.
[[nodiscard]] CallOutcome refuse(const CallContext& context, PartitionId id, Status status);

/// What a caller says of the place of memory or a processor. All nodes of the computer are one.
[[nodiscard]] bool is_legal(const ProximityDomainInfo& proximity);

[[nodiscard]] inline CallOutcome fail(Status status) { return {.status = status}; }

}  // namespace hv::calls
