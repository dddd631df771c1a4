// The child's console: lines on their way to the root, in order.
#pragma once

#include <string_view>

#include "partitions/kernel/outbox.h"
#include "partitions/kernel/root_services.h"

namespace child {

/// Belongs to the executor of VP 0.
class Console {
 public:
  explicit Console(kernel::Heap& heap);

  void line(std::string_view text);
  /// The last message of this child: nothing it does afterwards matters to the root.
  void done(kernel::Verdict verdict);

 private:
  kernel::Outbox outbox_;
};

}  // namespace child
