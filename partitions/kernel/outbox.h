// Messages on their way out, in order, whoever waits for room at the receiver.
#pragma once

#include "hv/tlfs/hypercall_communication.h"
#include "hv/tlfs/status.h"
#include "partitions/kernel/heap.h"
#include "partitions/kernel/synchronization.h"

namespace kernel {

/// Belongs to one executor. What a receiver refuses for another reason than room is dropped, and
/// told to `refused`; so is what comes when kMost wait for a receiver that takes nothing, or when
/// the heap has no room for it.
class Outbox {
 public:
  static constexpr std::uint32_t kMost = 512;

  using Refused = void (*)(void* context, const hv::PostMessageInput& message, hv::Status status);

  Outbox(Heap& heap, Refused refused, void* context)
      : heap_(heap), refused_(refused), context_(context) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Before close(). A task sends it, which lives as long as there is something to send.
  void append(const hv::PostMessageInput& message);

  /// Keeps back what is appended from now on, or sends it again.
  void hold(bool hold);

  [[nodiscard]] bool is_empty() const { return first_ == nullptr; }

  /// What has not been sent is dropped, and told to nobody.
  void drop();

  /// The same, once and for all; `ended` is set when nothing is touched any more.
  void close();
  [[nodiscard]] Event& ended() { return ended_; }

 private:
  struct Entry {
    hv::PostMessageInput message;
    Entry* next = nullptr;
  };

  Task<> send();
  void start_sending();
  [[nodiscard]] bool may_send() const;
  void remove_first();

  Heap& heap_;
  Refused refused_;
  void* context_;
  Entry* first_ = nullptr;
  Entry* last_ = nullptr;
  std::uint32_t count_ = 0;
  bool sending_ = false;
  bool closing_ = false;
  bool holding_ = false;
  /// Those that may be sent although the others are held back.
  std::uint32_t before_hold_ = 0;
  Event ended_;
};

}  // namespace kernel
