// Takes the signals of the bus on a processor other than 0, for the drivers, which live on 0.
#pragma once

#include <cstdint>

#include "machine/shared.h"
#include "partitions/kernel/processor.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/kernel/synic.h"

namespace child {

/// Told on processor 0 that a flag was set on another one.
class SignalForwarder {
 public:
  virtual void signal_came(std::uint32_t flag, std::uint32_t processor) = 0;

 protected:
  ~SignalForwarder() = default;
};

class BusProcessor final : public kernel::SintReceiver {
 public:
  /// As many flags as one word has bits, 0 and the last one among them.
  static constexpr std::uint32_t kFlags = 64;

  BusProcessor(kernel::Processor& there, SignalForwarder& forwarder, std::uint32_t flag_limit);

  /// When the event is set the processor takes signals.
  void start();
  [[nodiscard]] kernel::Event& started() { return started_.done; }

  /// Messages go to processor 0.
  void message_arrived(const hv::Message&) override {}
  [[nodiscard]] std::uint32_t event_flag_limit() const override { return flag_limit_; }
  void event_flag_set(std::uint32_t flag) override;

 private:
  struct Errand : kernel::Work {
    Errand(Run run, BusProcessor& its_processor) : Work(run), processor(its_processor) {}
    BusProcessor& processor;
  };
  struct Arrival : Errand {
    explicit Arrival(BusProcessor& its_processor);
    kernel::Event done;
  };

  static void listen(kernel::Work& work);
  static void forward(kernel::Work& work);

  kernel::Processor& there_;
  kernel::Executor& home_;
  SignalForwarder& forwarder_;
  std::uint32_t flag_limit_;
  /// Set there, taken on processor 0.
  machine::Shared<std::uint64_t> flags_{0};
  Errand listening_;
  Arrival started_;
  Errand forwarding_;
};

}  // namespace child
