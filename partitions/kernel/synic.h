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
  /// The flags from this one on are never set, and not looked at. May grow, but never shrink: a
  /// flag that stayed set unseen would bring no interrupt any more.
  [[nodiscard]] virtual std::uint32_t event_flag_limit() const { return 0; }
  /// The flag was set, and is clear again.
  virtual void event_flag_set(std::uint32_t) {}

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

  /// Unmasks a SINT that has no receiver here, with vector kVectorSint + sint.
  void attach(std::uint32_t sint, SintReceiver& receiver);

  /// From the interrupt handler of any SINT's vector.
  void interrupted() { executor_.post(*this); }

 private:
  struct Attached {
    SintReceiver* receiver = nullptr;
    std::uint32_t sint = 0;
  };

  void scan();
  void take_messages(const Attached& attached);
  void take_events(const Attached& attached);

  Executor& executor_;
  machine::Gpa message_page_;
  machine::Gpa event_page_;
  std::array<Attached, hv::kSintCount> attached_{};
  std::size_t attached_count_ = 0;
};

}  // namespace kernel
