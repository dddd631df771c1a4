// Partitions come and go (TLFS "Partition Management").
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/partition_life.h"
#include "hv/statistics/statistics_pages.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

/// An EXO partition has its virtualization stack outside of the hypervisor's: every one here does.
constexpr std::uint64_t kKnownCreationFlags = kCreateSmtGuest | kCreateGpaSuperPages |
                                              kCreateExoPartition | kCreateLocalApicEmulation |
                                              kCreateInterceptMessagePage | kCreateX2ApicCapable;
constexpr machine::Site kPoolIsWhole{"hv.partition.returns_all_it_took"};
constexpr machine::Site kPartitionCreated{"hv.partition.created"};
constexpr machine::Site kPartitionDeleted{"hv.partition.deleted"};

bool is_legal(const CreatePartitionInput& input) {
  const std::uint32_t known_proximity =
      ProximityDomainInfo::kPreferred | ProximityDomainInfo::kValid;
  const bool known_version = input.compatibility_version == 0 ||
                             (input.compatibility_version >= kCompatibilityVersionOldest &&
                              input.compatibility_version <= kCompatibilityVersion21H2);
  return (input.flags & ~kKnownCreationFlags) == 0 && known_version &&
         input.isolation_properties == 0 && (input.proximity.flags & ~known_proximity) == 0;
}

/// A parent that names no version means the newest.
PartitionProperties first_properties(const CreatePartitionInput& input) {
  PartitionProperties properties;
  if (input.compatibility_version != 0) {
    properties.compatibility_version = input.compatibility_version;
  }
  properties.disabled_features.banks = {input.disabled_processor_features[0],
                                        input.disabled_processor_features[1],
                                        input.disabled_xsave_features};
  return properties;
}

void add_child(Partition& parent, Partition& child) {
  child.previous_sibling = parent.last_child;
  (parent.last_child != nullptr ? parent.last_child->next_sibling : parent.first_child) = &child;
  parent.last_child = &child;
}

void remove_child(Partition& parent, Partition& child) {
  Partition* before = child.previous_sibling;
  Partition* after = child.next_sibling;
  (before != nullptr ? before->next_sibling : parent.first_child) = after;
  (after != nullptr ? after->previous_sibling : parent.last_child) = before;
}

Partition* add_partition(Hypervisor& hypervisor, machine::Spn page, Partition& parent) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  return hypervisor.add_partition(page, &parent);
}

VirtualProcessor* any_vp(const Partition& partition) {
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      return vp;
    }
  }
  return nullptr;
}

}  // namespace

CallOutcome create_partition(CallContext& context) {
  const auto input = context.header<CreatePartitionInput>();
  if (!is_legal(input)) {
    return fail(Status::kInvalidParameter);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  Partition& parent = context.caller;
  const std::optional<machine::Spn> page = parent.pool.take();
  if (!page) {
    return fail(Status::kInsufficientMemory);
  }
  Partition* child = add_partition(context.hypervisor, *page, parent);
  if (child == nullptr) {
    parent.pool.give(*page);
    return fail(Status::kNoResources);
  }
  child->privileges = PrivilegeMask(kDefaultPrivilegeBits);
  child->creation_flags = input.flags;
  child->properties = first_properties(input);
  add_child(parent, *child);
  publish_statistics(context.hypervisor, parent);
  machine::trace(kPartitionCreated, machine::Track::kPartition,
                 static_cast<std::uint64_t>(child->id));
  return fail(context.put_output(PartitionIdOutput{child->id}));
}

CallOutcome initialize_partition(CallContext& context) {
  const auto input = context.header<PartitionInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  if ((*target)->state != PartitionState::kUninitialized) {
    return fail(Status::kInvalidPartitionState);
  }
  return fail(hv::initialize_partition(context.hypervisor, **target));
}

CallOutcome finalize_partition(CallContext& context) {
  const auto input = context.header<PartitionInput>();
  StopScope scope(context.hypervisor);
  if (!scope.begun()) {
    return CallOutcome::try_again();
  }
  Hypervisor& hypervisor = context.hypervisor;
  Partition* partition = nullptr;
  {
    const machine::LockGuard guard(hypervisor.management_lock);
    const auto target = find_target(context, input.partition, SelfAllowed::kNever);
    if (!target) {
      return fail(target.error());
    }
    partition = *target;
    if (partition->state != PartitionState::kActive) {
      return fail(Status::kInvalidPartitionState);
    }
    if (partition->first_child != nullptr) {
      return fail(Status::kOperationDenied);
    }
    // Whoever is about to send it something looks under that lock.
    const machine::LockGuard communication(hypervisor.communication_lock);
    partition->state = PartitionState::kFinalizing;
  }
  // In this state no call adds a VP, and only the holder of the scope deletes one.
  for (VirtualProcessor* vp = nullptr; (vp = any_vp(*partition)) != nullptr;) {
    hypervisor.stop(*vp);
    const machine::LockGuard guard(hypervisor.management_lock);
    hv::delete_vp(hypervisor, *vp);
  }
  const machine::LockGuard guard(hypervisor.management_lock);
  take_partition_apart(hypervisor, *partition);
  partition->state = PartitionState::kFinalized;
  machine::always(kPoolIsWhole, partition->pool.in_use() == 0,
                  static_cast<std::uint64_t>(partition->id), partition->pool.in_use());
  return {};
}

CallOutcome delete_partition(CallContext& context) {
  const auto input = context.header<PartitionInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kNever);
  if (!target) {
    return fail(target.error());
  }
  Partition& partition = **target;
  if (partition.state != PartitionState::kFinalized &&
      partition.state != PartitionState::kUninitialized) {
    return fail(Status::kInvalidPartitionState);
  }
  if (partition.pool.available() != 0 || partition.pool.in_use() != 0) {
    return fail(Status::kOperationDenied);
  }
  machine::trace(kPartitionDeleted, machine::Track::kPartition,
                 static_cast<std::uint64_t>(partition.id));
  remove_child(context.caller, partition);
  const machine::Spn page = partition.page;
  {
    const machine::LockGuard communication(context.hypervisor.communication_lock);
    context.hypervisor.remove_partition(partition);
  }
  context.caller.pool.give(page);
  publish_statistics(context.hypervisor, context.caller);
  return {};
}

CallOutcome get_partition_id(CallContext& context) {
  return fail(context.put_output(PartitionIdOutput{context.caller.id}));
}

CallOutcome get_next_child_partition(CallContext& context) {
  const auto input = context.header<GetNextChildPartitionInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  Partition* parent = input.parent == kPartitionIdSelf
                          ? &context.caller
                          : context.hypervisor.find_partition(input.parent);
  if (parent == nullptr) {
    return fail(Status::kInvalidPartitionId);
  }
  if (parent != &context.caller && parent->parent != &context.caller) {
    return fail(Status::kAccessDenied);
  }
  Partition* next = parent->first_child;
  if (input.previous_child != kPartitionIdInvalid) {
    Partition* previous = context.hypervisor.find_partition(input.previous_child);
    if (previous == nullptr || previous->parent != parent) {
      return fail(Status::kInvalidPartitionId);
    }
    next = previous->next_sibling;
  }
  return fail(context.put_output(
      GetNextChildPartitionOutput{next != nullptr ? next->id : kPartitionIdInvalid}));
}

}  // namespace hv::calls
