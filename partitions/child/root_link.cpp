#include "partitions/child/root_link.h"

#include <algorithm>

#include "partitions/kernel/posting.h"
#include "partitions/kernel/root_services.h"

namespace child {

hv::Status RootLink::greet(std::string_view greeting) {
  return kernel::try_post(kernel::make_message(kernel::kHelloConnection, kernel::kHello,
                                               std::as_bytes(std::span(greeting))));
}

hv::Status RootLink::ask_for_interrupt(std::uint8_t vector) {
  const std::uint32_t word = vector;
  return kernel::try_post(kernel::make_message(kernel::kHelloConnection, kernel::kPleaseInterrupt,
                                               std::as_bytes(std::span(&word, 1))));
}

void RootLink::message_arrived(const hv::Message& message) {
  if (message.header.type != kernel::kHello || answered_.is_set()) {
    return;
  }
  const std::size_t size =
      std::min<std::size_t>(message.header.payload_size, hv::kMessagePayloadBytes);
  for (const std::byte character : std::span(message.payload).first(size)) {
    const char one = static_cast<char>(character);
    answer_ << std::string_view(&one, 1);
  }
  answered_.set();
}

}  // namespace child
