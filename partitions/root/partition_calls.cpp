#include "partitions/root/partition_calls.h"

#include <algorithm>

#include "hv/tlfs/msr.h"

namespace root {

namespace {

/// A call that asks for memory more often than this is broken.
constexpr std::uint32_t kMaxDeposits = 4096;

hv::RegisterAssignment assign(hv::RegisterName name, std::uint64_t low, std::uint64_t high = 0) {
  return {name, {}, {low, high}};
}

hv::RegisterAssignment assign(hv::RegisterName name, const hv::SegmentRegister& segment) {
  const std::uint64_t high = segment.limit | (static_cast<std::uint64_t>(segment.selector) << 32) |
                             (static_cast<std::uint64_t>(segment.attributes) << 48);
  return assign(name, segment.base, high);
}

}  // namespace

kernel::Hypercalls& PartitionCalls::hypercalls() {
  return kernel::Processor::current().hypercalls();
}

hv::Status PartitionCalls::deposit(hv::PartitionId partition) {
  std::uint32_t count = 0;
  while (count < kDepositPages) {
    const std::optional<machine::Gpn> page = kernel_.pages().allocate(1);
    if (!page) {
      break;
    }
    pages_[count++] = page->value();
  }
  if (count == 0) {
    return hv::Status::kInsufficientMemory;
  }
  const hv::DepositMemoryInput input{partition};
  const kernel::RepResult result = hypercalls().call_reps(
      hv::CallCode::kDepositMemory, input, std::span<const std::uint64_t>(pages_).first(count));
  for (std::uint32_t index = result.completed; index < count; ++index) {
    kernel_.pages().free(machine::Gpn(pages_[index]), 1);
  }
  if (partition == own_id_) {
    deposited_to_root_ += result.completed;
  }
  return result.completed == 0 ? result.status : hv::Status::kSuccess;
}

/// `call` is made until it answers something else than "insufficient memory" of that pool.
template <class Call>
hv::Status PartitionCalls::with_deposits(hv::PartitionId partition, Call call) {
  for (std::uint32_t deposits = 0; deposits < kMaxDeposits; ++deposits) {
    const hv::Status status = call();
    if (status != hv::Status::kInsufficientMemory) {
      return status;
    }
    const hv::Status deposited = deposit(partition);
    if (deposited != hv::Status::kSuccess) {
      return deposited;
    }
  }
  return hv::Status::kInsufficientMemory;
}

hv::Status PartitionCalls::learn_own_id() {
  // The call has no input; the block stands for none.
  const auto answer =
      hypercalls().ask<hv::PartitionIdOutput>(hv::CallCode::kGetPartitionId, hv::PartitionInput{});
  if (!answer) {
    return answer.error();
  }
  own_id_ = answer->partition;
  return hv::Status::kSuccess;
}

std::expected<hv::PartitionId, hv::Status> PartitionCalls::create() {
  hv::CreatePartitionInput input;
  input.flags = hv::kCreateLocalApicEmulation | hv::kCreateX2ApicCapable;
  input.compatibility_version = hv::kCompatibilityVersion21H2;
  hv::PartitionId created = hv::kPartitionIdInvalid;
  const hv::Status status = with_deposits(own_id_, [&] {
    const auto answer =
        hypercalls().ask<hv::PartitionIdOutput>(hv::CallCode::kCreatePartition, input);
    if (!answer) {
      return answer.error();
    }
    created = answer->partition;
    return hv::Status::kSuccess;
  });
  if (status != hv::Status::kSuccess) {
    return std::unexpected(status);
  }
  return created;
}

hv::Status PartitionCalls::set_property(hv::PartitionId partition, hv::PartitionProperty property,
                                        std::uint64_t value) {
  hv::SetPartitionPropertyInput input;
  input.partition = partition;
  input.property = property;
  input.value = value;
  return with_deposits(
      partition, [&] { return hypercalls().call(hv::CallCode::kSetPartitionProperty, input); });
}

hv::Status PartitionCalls::initialize(hv::PartitionId partition) {
  const hv::PartitionInput input{partition};
  return with_deposits(
      partition, [&] { return hypercalls().call_fast(hv::CallCode::kInitializePartition, input); });
}

hv::Status PartitionCalls::create_vp(hv::PartitionId partition, std::uint32_t index) {
  hv::CreateVpInput input;
  input.partition = partition;
  input.vp = hv::VpIndex(index);
  return with_deposits(partition,
                       [&] { return hypercalls().call(hv::CallCode::kCreateVp, input); });
}

hv::Status PartitionCalls::map_memory(hv::PartitionId partition, const MemoryBlock& block) {
  constexpr std::uint64_t kLargePages = machine::kLargePageSize / machine::kPageSize;
  const bool aligned = block.first.value() % kLargePages == 0;
  const std::uint64_t large = aligned ? block.page_count / kLargePages * kLargePages : 0;
  const hv::Status status = map_portion(partition, block, {0, large, kLargePages});
  return status != hv::Status::kSuccess
             ? status
             : map_portion(partition, block, {large, block.page_count, 1});
}

hv::Status PartitionCalls::map_portion(hv::PartitionId partition, const MemoryBlock& block,
                                       const Portion& portion) {
  hv::MapGpaPagesInput input;
  input.target = partition;
  input.flags = hv::kMapRead | hv::kMapWrite | hv::kMapExecute |
                (portion.step_pages != 1 ? hv::kMapLargePage : 0);
  std::uint64_t mapped = portion.begin;
  return with_deposits(partition, [&] {
    while (mapped < portion.end) {
      const auto count = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(kMapPages, (portion.end - mapped) / portion.step_pages));
      for (std::uint32_t index = 0; index < count; ++index) {
        pages_[index] = block.first.value() + mapped + index * portion.step_pages;
      }
      input.target_gpn = machine::Gpn(mapped);
      const kernel::RepResult result = hypercalls().call_reps(
          hv::CallCode::kMapGpaPages, input, std::span<const std::uint64_t>(pages_).first(count));
      mapped += result.completed * portion.step_pages;
      if (result.status != hv::Status::kSuccess) {
        return result.status;
      }
    }
    return hv::Status::kSuccess;
  });
}

hv::Status PartitionCalls::start_vp0(hv::PartitionId partition, const machine::ImageHeader& image) {
  using enum hv::RegisterName;
  const hv::InitialVpContext context = kernel::entry_context(image, 0);
  const std::array registers = {
      assign(kEfer, context.efer), assign(kCr4, context.cr4), assign(kCr3, context.cr3),
      assign(kCr0, context.cr0),   assign(kCs, context.cs),   assign(kDs, context.ds),
      assign(kEs, context.es),     assign(kFs, context.fs),   assign(kGs, context.gs),
      assign(kSs, context.ss),     assign(kTr, context.tr),   assign(kLdtr, context.ldtr),
      assign(kRip, context.rip),   assign(kRsp, context.rsp), assign(kRflags, context.rflags),
      assign(kExplicitSuspend, 0),
  };
  hv::VpRegistersInput input;
  input.partition = partition;
  input.vp = hv::VpIndex(0);
  return hypercalls()
      .call_reps(hv::CallCode::kSetVpRegisters, input,
                 std::span<const hv::RegisterAssignment>(registers))
      .status;
}

hv::Status PartitionCalls::admit_vp(hv::PartitionId partition, std::uint32_t vp) {
  const std::array registers = {assign(hv::RegisterName::kExplicitSuspend, 0)};
  hv::VpRegistersInput input;
  input.partition = partition;
  input.vp = hv::VpIndex(vp);
  return hypercalls()
      .call_reps(hv::CallCode::kSetVpRegisters, input,
                 std::span<const hv::RegisterAssignment>(registers))
      .status;
}

hv::Status PartitionCalls::create_port(const hv::CreatePortInput& input) {
  return with_deposits(input.port_partition,
                       [&] { return hypercalls().call(hv::CallCode::kCreatePort, input); });
}

hv::Status PartitionCalls::connect_port(const hv::ConnectPortInput& input) {
  return with_deposits(input.connection_partition,
                       [&] { return hypercalls().call(hv::CallCode::kConnectPort, input); });
}

hv::Status PartitionCalls::delete_port(hv::PartitionId partition, hv::PortId port) {
  const hv::DeletePortInput input{partition, port, 0};
  return hypercalls().call_fast(hv::CallCode::kDeletePort, input);
}

hv::Status PartitionCalls::disconnect_port(hv::PartitionId partition, hv::ConnectionId connection) {
  const hv::DisconnectPortInput input{partition, connection, 0};
  return hypercalls().call_fast(hv::CallCode::kDisconnectPort, input);
}

hv::Status PartitionCalls::assert_interrupt(hv::PartitionId partition, std::uint32_t vp,
                                            std::uint8_t vector) {
  hv::AssertVirtualInterruptInput input;
  input.partition = partition;
  input.control = static_cast<std::uint64_t>(hv::VirtualInterruptType::kFixed);
  input.destination = vp;
  input.vector = vector;
  return hypercalls().call(hv::CallCode::kAssertVirtualInterrupt, input);
}

std::optional<CrashReport> PartitionCalls::read_crash(hv::PartitionId partition) {
  CrashReport report;
  std::array<hv::RegisterName, 6> names{};
  for (std::uint32_t index = 0; index < names.size(); ++index) {
    names[index] = hv::RegisterName{static_cast<std::uint32_t>(hv::RegisterName::kCrashP0) + index};
  }
  static_assert(static_cast<std::uint32_t>(hv::RegisterName::kCrashCtl) ==
                static_cast<std::uint32_t>(hv::RegisterName::kCrashP0) + 5);
  std::array<hv::RegisterValue, 6> values{};
  hv::VpRegistersInput input;
  input.partition = partition;
  input.vp = hv::VpIndex(0);  // the registers are the partition's
  const kernel::RepResult result = hypercalls().ask_reps(hv::CallCode::kGetVpRegisters, input,
                                                         std::span<const hv::RegisterName>(names),
                                                         std::span<hv::RegisterValue>(values));
  if (result.status != hv::Status::kSuccess || (values.back().low & hv::kCrashNotify) == 0) {
    return std::nullopt;
  }
  for (std::uint32_t index = 0; index < report.parameters.size(); ++index) {
    report.parameters[index] = values[index].low;
  }
  report.control = values.back().low;
  return report;
}

hv::Status PartitionCalls::finalize(hv::PartitionId partition) {
  return hypercalls().call_fast(hv::CallCode::kFinalizePartition, hv::PartitionInput{partition});
}

hv::Status PartitionCalls::withdraw_all(hv::PartitionId partition) {
  const hv::MemoryPoolInput input{partition, {}};
  while (true) {
    const kernel::RepResult result =
        hypercalls().ask_reps(hv::CallCode::kWithdrawMemory, input, std::span(pages_));
    for (std::uint32_t index = 0; index < result.completed; ++index) {
      kernel_.pages().free(machine::Gpn(pages_[index]), 1);
    }
    if (result.status == hv::Status::kNoResources) {
      return hv::Status::kSuccess;
    }
    if (result.status != hv::Status::kSuccess) {
      return result.status;
    }
  }
}

hv::Status PartitionCalls::withdraw_own_deposits() {
  const hv::MemoryPoolInput input{own_id_, {}};
  while (deposited_to_root_ != 0) {
    const std::uint64_t count = std::min<std::uint64_t>(deposited_to_root_, pages_.size());
    const kernel::RepResult result =
        hypercalls().ask_reps(hv::CallCode::kWithdrawMemory, input, std::span(pages_).first(count));
    for (std::uint32_t index = 0; index < result.completed; ++index) {
      kernel_.pages().free(machine::Gpn(pages_[index]), 1);
    }
    deposited_to_root_ -= result.completed;
    if (result.status != hv::Status::kSuccess) {
      return result.status;
    }
  }
  return hv::Status::kSuccess;
}

hv::Status PartitionCalls::remove(hv::PartitionId partition) {
  return hypercalls().call_fast(hv::CallCode::kDeletePartition, hv::PartitionInput{partition});
}

}  // namespace root
