// The child's end of the hello: greets the root, asks it for an interrupt, hears its answers.
#pragma once

#include <cstdint>
#include <string_view>

#include "hv/tlfs/messages.h"
#include "hv/tlfs/status.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/kernel/synic.h"
#include "partitions/kernel/text.h"

namespace child {

/// Receives on kernel::kServicesSint of VP 0.
class RootLink final : public kernel::SintReceiver {
 public:
  [[nodiscard]] hv::Status greet(std::string_view greeting);
  [[nodiscard]] hv::Status ask_for_interrupt(std::uint8_t vector);

  /// Set when the root has answered the greeting.
  [[nodiscard]] kernel::Event& answered() { return answered_; }
  [[nodiscard]] std::string_view answer() const { return answer_.view(); }

  void message_arrived(const hv::Message& message) override;

 private:
  kernel::TextLine answer_;
  kernel::Event answered_;
};

}  // namespace child
