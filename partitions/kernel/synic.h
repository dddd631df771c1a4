// One processor's use of the synthetic interrupt controller: receives messages and event flags
// (TLFS "Synthetic Interrupt Controller").
#pragma once

#include <array>
#include <cstdint>

#include "hv/tlfs/messages.h"
#include "hv/tlfs/synic.h"
#include "machine/address.h"
#include "partitions/kernel/executor.h"

namespace kernel {

/// Who receives what comes in through one SINT, on the executor of its processor.
class SintReceiver {
 public:
  /// The message's slot is free again when this is called.
  virtual void message_arrived(const hv::Message& message) = 0;
  /// The flag was set, and is clear again.
  virtual void event_flag_set(std::uint32_t flag) = 0;

 protected:
  ~SintReceiver() = default;
};

class Synic : private Work {
 public:
  explicit Synic(Executor& executor);

  /// Switches the controller of the executing processor on, with its pages where given.
  void enable(machine::Gpn message_page, machine::Gpn event_page);
  /// The same with the pages where the hypervisor has put them (root only).
  void enable_where_preset();

  /// Unmasks a SINT, with vector kVectorSint + sint. `event_flags` is how many of its flags can be
  /// set: 0 for messages alone.
  void attach(std::uint32_t sint, SintReceiver& receiver, std::uint32_t event_flags);

  /// From the interrupt handler of any SINT's vector.
  void interrupted() { executor_.post(*this); }

 private:
  struct Sint {
    SintReceiver* receiver = nullptr;
    std::uint32_t event_flags = 0;
  };

  void scan();
  void take_messages(std::uint32_t sint, SintReceiver& receiver);
  void take_events(std::uint32_t sint, const Sint& attached);

  Executor& executor_;
  machine::Gpa message_page_;
  machine::Gpa event_page_;
  std::array<Sint, hv::kSintCount> sints_{};
};

}  // namespace kernel
