// The root's kernel object: what exists once, and the task that runs the children.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/bus_receiver.h"
#include "partitions/root/disks/disks.h"
#include "partitions/root/legacy_interrupts.h"
#include "partitions/root/parameters.h"
#include "partitions/root/partition_calls.h"
#include "partitions/root/serial_port.h"
#include "partitions/root/services.h"

namespace root {

class Program final : public kernel::Kernel, private LineOutput {
 public:
  explicit Program(std::span<std::byte> heap);

  /// Starts everything; the executor does the rest.
  void start();

  [[nodiscard]] LegacyInterrupts& legacy_interrupts() { return legacy_interrupts_; }

 private:
  void line(std::string_view text) override;
  void child_line(std::uint32_t child_number, std::string_view text) override;

  /// False: they were refused, and a line told why.
  [[nodiscard]] bool take_parameters();
  kernel::Task<> main();
  void announce_children();
  kernel::Task<> run_children();
  kernel::Task<> run_child(std::uint32_t number);
  /// One lying child after the other, as long as others work.
  kernel::Task<> run_liars(std::uint32_t place);
  kernel::Task<> run_liar(std::uint32_t place, std::uint32_t generation);
  kernel::Task<> lose_patience(std::uint32_t place);
  void one_child_less();
  [[nodiscard]] Parameters liar_parameters(std::uint32_t generation) const;
  [[nodiscard]] std::optional<ChildPartition::Failure> prepare(ChildPartition& child,
                                                               const Parameters& parameters);
  [[nodiscard]] std::optional<ChildPartition::Failure> prepare_liar(ChildPartition& child,
                                                                    std::uint32_t generation);
  [[nodiscard]] std::optional<ChildPartition::Failure> offer_disks(ChildPartition& child);
  void report_gone(std::uint32_t child_number);
  void report(const ChildPartition& child, const ChildPartition::Failure& failure);
  [[nodiscard]] const machine::BootModule* find_module(std::string_view name) const;
  void take_census(std::uint64_t pages_at_start);
  [[noreturn]] void power_off();

  SerialPort serial_port_;
  LegacyInterrupts legacy_interrupts_;
  PartitionCalls calls_;
  ChildDirectory children_;
  ServicesServer services_;
  InterceptServer intercepts_;
  BusReceiver bus_receiver_;
  Disks disks_;
  Parameters parameters_;
  kernel::Semaphore places_{0};
  std::uint32_t children_left_ = 0;
  /// By place; null where none is.
  std::array<ChildPartition*, kMaxLyingChildren> liars_{};
  /// Which of a place's children is waited for.
  std::array<std::uint64_t, kMaxLyingChildren> patience_{};
  std::uint32_t liars_left_ = 0;
  kernel::Event all_gone_;
  bool passed_ = true;
};

}  // namespace root
