// The child's console: lines on their way to the root, in order.
#pragma once

#include <cstdint>
#include <string_view>

#include "hv/tlfs/hypercall_communication.h"
#include "partitions/kernel/heap.h"
#include "partitions/kernel/root_services.h"
#include "partitions/kernel/synchronization.h"

namespace child {

/// Belongs to the executor of VP 0.
class Console {
 public:
  explicit Console(kernel::Heap& heap) : heap_(heap) {}

  void line(std::string_view text);
  /// The last message of this child: nothing it does afterwards matters to the root.
  void done(kernel::Verdict verdict);

  /// Sends what is queued, for ever.
  kernel::Task<> run();

 private:
  struct Entry {
    hv::PostMessageInput message;
    Entry* next = nullptr;
  };

  void append(const hv::PostMessageInput& message);

  kernel::Heap& heap_;
  Entry* first_ = nullptr;
  Entry* last_ = nullptr;
  kernel::Notice appended_;
};

}  // namespace child
