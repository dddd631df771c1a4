// The hypercalls of partition management, with the deposit protocol: a call that needs memory gets
// it from the root's pages into the right pool, and is made again.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "hv/tlfs/hypercall_inputs.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"
#include "hv/tlfs/privileges.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"
#include "machine/image.h"
#include "partitions/kernel/kernel.h"
#include "partitions/root/child_memory.h"

namespace root {

/// The crash registers of a partition (TLFS "Guest Crash Enlightenment").
struct CrashReport {
  std::array<std::uint64_t, 5> parameters{};
  std::uint64_t control = 0;
};

class PartitionCalls {
 public:
  explicit PartitionCalls(kernel::Kernel& kernel) : kernel_(kernel) {}

  /// Learns the root's own partition id; before any other call.
  [[nodiscard]] hv::Status learn_own_id();
  [[nodiscard]] hv::PartitionId own_id() const { return own_id_; }

  [[nodiscard]] std::expected<hv::PartitionId, hv::Status> create();
  [[nodiscard]] hv::Status set_property(hv::PartitionId partition, hv::PartitionProperty property,
                                        std::uint64_t value);
  [[nodiscard]] hv::Status initialize(hv::PartitionId partition);
  [[nodiscard]] hv::Status create_vp(hv::PartitionId partition, std::uint32_t index);
  /// Maps the block readable, writable and executable at GPN 0, in large pages where it can.
  [[nodiscard]] hv::Status map_memory(hv::PartitionId partition, const MemoryBlock& block);
  /// Loads VP 0 with the entry state of the image and lets it run.
  [[nodiscard]] hv::Status start_vp0(hv::PartitionId partition, const machine::ImageHeader& image);
  /// Ends the explicit suspension that a new VP has; VPs but the first then wait until the
  /// partition itself starts them.
  [[nodiscard]] hv::Status admit_vp(hv::PartitionId partition, std::uint32_t vp);
  [[nodiscard]] hv::Status create_port(const hv::CreatePortInput& input);
  [[nodiscard]] hv::Status connect_port(const hv::ConnectPortInput& input);
  [[nodiscard]] hv::Status delete_port(hv::PartitionId partition, hv::PortId port);
  [[nodiscard]] hv::Status disconnect_port(hv::PartitionId partition, hv::ConnectionId connection);
  [[nodiscard]] hv::Status assert_interrupt(hv::PartitionId partition, std::uint32_t vp,
                                            std::uint8_t vector);
  /// What a partition told of its crash; nothing if it told none.
  [[nodiscard]] std::optional<CrashReport> read_crash(hv::PartitionId partition);
  [[nodiscard]] hv::Status finalize(hv::PartitionId partition);
  /// Takes every free page of the pool back.
  [[nodiscard]] hv::Status withdraw_all(hv::PartitionId partition);
  /// Takes back what calls made the root deposit for itself.
  [[nodiscard]] hv::Status withdraw_own_deposits();
  [[nodiscard]] hv::Status remove(hv::PartitionId partition);

 private:
  [[nodiscard]] kernel::Hypercalls& hypercalls();
  [[nodiscard]] hv::Status deposit(hv::PartitionId partition);
  /// Pages [begin, end) of a block, `step_pages` an element.
  struct Portion {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t step_pages = 1;
  };
  [[nodiscard]] hv::Status map_portion(hv::PartitionId partition, const MemoryBlock& block,
                                       const Portion& portion);
  template <class Call>
  hv::Status with_deposits(hv::PartitionId partition, Call call);

  static constexpr std::uint32_t kDepositPages = 32;
  static constexpr std::uint32_t kWithdrawPages = 512;
  /// (4096 - 24) / 8: what fits into one call.
  static constexpr std::uint32_t kMapPages = 509;

  kernel::Kernel& kernel_;
  hv::PartitionId own_id_ = hv::kPartitionIdInvalid;
  std::uint64_t deposited_to_root_ = 0;
  /// Page lists on their way into or out of a call; the calls do not nest.
  std::array<std::uint64_t, kWithdrawPages> pages_{};
};

}  // namespace root
