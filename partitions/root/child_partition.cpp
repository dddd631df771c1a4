#include "partitions/root/child_partition.h"

#include <span>

#include "machine/guest.h"
#include "partitions/root/image_loader.h"
#include "partitions/root/storage/storage_device.h"

namespace root {

namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
constexpr std::uint64_t kLargePagePages = machine::kLargePageSize / machine::kPageSize;

/// Ports of the root, and connections of the child to them, for the services.
constexpr std::uint32_t kConsoleUse = static_cast<std::uint32_t>(kernel::kConsoleConnection);
constexpr std::uint32_t kHelloUse = static_cast<std::uint32_t>(kernel::kHelloConnection);

/// What an enlightened guest uses (TLFS 4.2.2), and no more.
constexpr hv::PrivilegeMask kChildPrivileges =
    hv::PrivilegeMask()
        .with(hv::Privilege::kAccessVpRunTimeReg)
        .with(hv::Privilege::kAccessPartitionReferenceCounter)
        .with(hv::Privilege::kAccessSynicRegs)
        .with(hv::Privilege::kAccessSyntheticTimerRegs)
        .with(hv::Privilege::kAccessIntrCtrlRegs)
        .with(hv::Privilege::kAccessHypercallMsrs)
        .with(hv::Privilege::kAccessVpIndex)
        .with(hv::Privilege::kAccessPartitionReferenceTsc)
        .with(hv::Privilege::kAccessFrequencyRegs)
        .with(hv::Privilege::kPostMessages)
        .with(hv::Privilege::kSignalEvents)
        .with(hv::Privilege::kExtendedGvaRanges)
        .with(hv::Privilege::kStartVirtualProcessor);

std::optional<ChildPartition::Failure> failed(std::string_view what, hv::Status status) {
  if (status == hv::Status::kSuccess) {
    return std::nullopt;
  }
  return ChildPartition::Failure{what, status};
}

}  // namespace

std::optional<ChildPartition::Failure> ChildPartition::create(
    const Parameters& parameters, const machine::BootModule& image_module,
    std::string_view child_parameters) {
  processors_ = parameters.child_processors;
  has_devices_ = uses_bus(parameters.workload);
  const bool fails = parameters.workload == Workload::kFail;
  removals_ = uses_disks(parameters.workload) || fails ? parameters.removals : 0;
  removes_only_subchannels_ = parameters.workload == Workload::kStorage;
  subchannels_ = static_cast<std::uint16_t>(parameters.subchannels);
  monitor_latency_100ns_ = static_cast<std::uint16_t>(parameters.monitor_latency_us * 10);
  bus_version_ = vmbus::version_or(parameters.bus_version, vmbus::Version::kCopper);
  const std::uint64_t memory_bytes = parameters.child_memory_mib * kMib;
  const auto image = read_image(image_module, memory_bytes, processors_);
  if (!image) {
    return Failure{describe(image.error()), hv::Status::kInvalidParameter};
  }
  image_ = *image;
  if (const auto failure = create_partition()) {
    return failure;
  }
  if (const auto failure = give_memory(memory_bytes)) {
    return failure;
  }
  load_image(kernel_, image_module, image_, memory_);
  write_boot_page(kernel_, image_, memory_, processors_, child_parameters);
  for (std::uint32_t index = 0; index < processors_; ++index) {
    if (const auto failure = failed("CreateVp", calls_.create_vp(partition_, index))) {
      return failure;
    }
  }
  if (const auto failure = connect_services()) {
    return failure;
  }
  return connect_to_itself(parameters);
}

std::optional<ChildPartition::Failure> ChildPartition::create_partition() {
  const auto created = calls_.create();
  if (!created) {
    return Failure{"CreatePartition", created.error()};
  }
  partition_ = *created;
  const hv::Status privileges = calls_.set_property(
      partition_, hv::PartitionProperty::kPrivilegeFlags, kChildPrivileges.bits());
  if (const auto failure = failed("SetPartitionProperty", privileges)) {
    return failure;
  }
  if (const auto failure = failed("InitializePartition", calls_.initialize(partition_))) {
    return failure;
  }
  initialized_ = true;
  return std::nullopt;
}

std::optional<ChildPartition::Failure> ChildPartition::give_memory(std::uint64_t bytes) {
  const std::uint64_t page_count = bytes / machine::kPageSize;
  const std::optional<machine::Gpn> first = kernel_.pages().allocate(page_count, kLargePagePages);
  if (!first) {
    return Failure{"memory of the child", hv::Status::kInsufficientMemory};
  }
  memory_ = {*first, page_count};
  // The pages may have been another child's.
  machine::fill_memory(machine::Gpa(*first), bytes, 0);
  return failed("MapGpaPages", calls_.map_memory(partition_, memory_));
}

std::optional<ChildPartition::Failure> ChildPartition::connect_services() {
  ports_ = kernel_.heap().create<ChildPorts>(calls_, number_, partition_);
  const hv::PortInfo info = hv::PortInfo::message(kernel::kServicesSint, hv::VpIndex(0));
  for (const std::uint32_t use : {kConsoleUse, kHelloUse}) {
    const hv::Status status = ports_->open_in_root(use, info, hv::ConnectionId(use));
    if (const auto failure = failed("console port", status)) {
      return failure;
    }
  }
  const hv::Status answers = ports_->open_in_child(hv::PortId(kHelloUse), info, kHelloUse);
  if (const auto failure = failed("hello port", answers)) {
    return failure;
  }
  const VmbusChild child{number_,     processors_, memory_, has_devices_, monitor_latency_100ns_,
                         bus_version_};
  bus_ = kernel_.heap().create<VmbusService>(kernel_, *ports_, child);
  return failed("bus", bus_->open());
}

std::optional<ChildPartition::Failure> ChildPartition::connect_to_itself(
    const Parameters& parameters) {
  for (const kernel::LoopConnection& loop :
       std::span(parameters.loops).first(parameters.loop_count)) {
    const hv::VpIndex vp{loop.vp};
    const hv::PortInfo info =
        loop.flags == 0
            ? hv::PortInfo::message(loop.sint, vp)
            : hv::PortInfo::event(loop.sint, vp, 0, static_cast<std::uint16_t>(loop.flags));
    if (const auto failure = failed("loop-back connection", ports_->open_loop(loop.id, info))) {
      return failure;
    }
  }
  return std::nullopt;
}

std::optional<ChildPartition::Failure> ChildPartition::offer_disk(Disks& disks, EventFlags& flags,
                                                                  const DiskRange& range) {
  const StorageUnit unit{range, disks_++, subchannels_, 0};
  auto* device = kernel_.heap().create<StorageDevice>(kernel_, disks, memory_, unit);
  return failed("disk", bus_->add(*device, flags));
}

std::optional<ChildPartition::Failure> ChildPartition::start() {
  for (std::uint32_t index = 1; index < processors_; ++index) {
    if (const auto failure = failed("SetVpRegisters", calls_.admit_vp(partition_, index))) {
      return failure;
    }
  }
  const auto failure = failed("SetVpRegisters", calls_.start_vp0(partition_, image_));
  if (!failure && removals_ != 0) {
    bus_->begin_removals(removals_, removes_only_subchannels_);
  }
  return failure;
}

void ChildPartition::close_ports() {
  for (const std::uint32_t use : {kConsoleUse, kHelloUse}) {
    ports_->close_in_root(use, hv::ConnectionId(use));
  }
  ports_->close_in_child(hv::PortId(kHelloUse), kHelloUse);
}

kernel::Task<std::optional<ChildPartition::Failure>> ChildPartition::tear_down() {
  if (initialized_) {
    if (const auto failure = failed("FinalizePartition", calls_.finalize(partition_))) {
      co_return failure;
    }
  }
  // The child does not run any more; what its devices have under way still reaches its memory.
  if (bus_ != nullptr) {
    co_await bus_->close();
  }
  if (ports_ != nullptr) {
    close_ports();
  }
  co_return give_back();
}

std::optional<ChildPartition::Failure> ChildPartition::give_back() {
  if (partition_ != hv::kPartitionIdInvalid) {
    if (const auto failure = failed("WithdrawMemory", calls_.withdraw_all(partition_))) {
      return failure;
    }
    if (const auto failure = failed("DeletePartition", calls_.remove(partition_))) {
      return failure;
    }
  }
  if (memory_.page_count != 0) {
    kernel_.pages().free(memory_.first, memory_.page_count);
    memory_ = {};
  }
  return std::nullopt;
}

ChildPartition::~ChildPartition() {
  if (bus_ != nullptr) {
    kernel_.heap().destroy(bus_);
  }
  if (ports_ != nullptr) {
    kernel_.heap().destroy(ports_);
  }
}

}  // namespace root
