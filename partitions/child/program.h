// The child's kernel object: what exists once, and the task that does the work it was given.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "partitions/child/console.h"
#include "partitions/child/parameters.h"
#include "partitions/child/processor_state.h"
#include "partitions/child/root_link.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"

namespace child {

class Program final : public kernel::Kernel {
 public:
  explicit Program(std::span<std::byte> heap);

  /// On VP 0: starts everything; the executor does the rest.
  void start();

  [[nodiscard]] static Program& current() {
    return static_cast<Program&>(kernel::Kernel::current());
  }

  [[nodiscard]] Console& console() { return console_; }
  [[nodiscard]] RootLink& root_link() { return root_link_; }
  [[nodiscard]] const Parameters& settings() const { return settings_; }
  [[nodiscard]] ProcessorState& state(std::uint32_t index);

 private:
  kernel::Task<> main();
  /// Starts the other VPs one by one; each says that it is there before the next is started.
  kernel::Task<bool> start_processors();
  kernel::Task<bool> do_workload();
  void report(const kernel::ParameterError& error);
  void report_not_started(std::uint32_t index, hv::Status status);
  void report_running();

  Console console_;
  RootLink root_link_;
  Parameters settings_;
  std::span<ProcessorState*> states_;  // by index
};

}  // namespace child
