// The root's end of console, hello and intercept messages.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hv/tlfs/messages.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synic.h"
#include "partitions/root/child_partition.h"

namespace root {

/// The children that exist, found by number and by partition.
class ChildDirectory {
 public:
  void add(ChildPartition& child);
  void remove(ChildPartition& child);
  [[nodiscard]] ChildPartition* find_number(std::uint32_t number);
  [[nodiscard]] ChildPartition* find_partition(hv::PartitionId partition);

 private:
  static constexpr std::uint32_t kBuckets = 256;
  [[nodiscard]] ChildPartition*& bucket(std::uint32_t number) {
    return buckets_[number % kBuckets];
  }

  /// By number, which every message names. Partitions are looked for when a child has died.
  std::array<ChildPartition*, kBuckets> buckets_{};
};

/// Where the root's lines and the children's go.
class LineOutput {
 public:
  virtual void line(std::string_view text) = 0;
  virtual void child_line(std::uint32_t child_number, std::string_view text) = 0;

 protected:
  ~LineOutput() = default;
};

/// Receives on kernel::kServicesSint. What a child sends is checked; nonsense is dropped.
class ServicesServer final : public kernel::SintReceiver {
 public:
  ServicesServer(ChildDirectory& children, PartitionCalls& calls, LineOutput& output)
      : children_(children), calls_(calls), output_(output) {}

  void message_arrived(const hv::Message& message) override;

 private:
  void from_console(ChildPartition& child, const hv::Message& message);
  void from_hello(ChildPartition& child, const hv::Message& message);

  ChildDirectory& children_;
  PartitionCalls& calls_;
  LineOutput& output_;
};

/// Receives on SINT 0. No intercept is installed: what comes has no continuation, and the child is
/// stopped.
class InterceptServer final : public kernel::SintReceiver {
 public:
  InterceptServer(ChildDirectory& children, PartitionCalls& calls, LineOutput& output)
      : children_(children), calls_(calls), output_(output) {}

  void message_arrived(const hv::Message& message) override;

 private:
  void tell_crash(const ChildPartition& child, std::uint32_t vp);

  ChildDirectory& children_;
  PartitionCalls& calls_;
  LineOutput& output_;
};

}  // namespace root
