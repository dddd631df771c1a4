#include "partitions/root/streams/stream_call.h"

#include "machine/testing.h"

namespace root {

namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

constexpr machine::Site kComesBack("root.stream.what_a_child_sends_back_is_what_was_sent");
constexpr machine::Site kEndsInOrder("root.stream.a_child_ends_it_when_we_have");

/// Every stream's own.
vmbus::Guid draw_endpoint(kernel::Random& random) {
  vmbus::Guid result;
  const std::uint64_t halves[] = {random.next(), random.next()};
  static_assert(sizeof(halves) == sizeof(result));
  __builtin_memcpy(&result, halves, sizeof(result));
  return result;
}

}  // namespace

StreamCall::StreamCall(kernel::Kernel& kernel, std::uint32_t port, std::uint32_t messages,
                       kernel::Random& random, CallOutcome& outcome)
    : StreamEnd(kernel, vmbus::guid_of_port(port), draw_endpoint(random)),
      outcome_(outcome),
      random_(random.next()),
      again_(random_),
      messages_left_(messages) {}

vmbus::Offer StreamCall::offer() const {
  vmbus::Offer offer = StreamEnd::offer();
  vmbus::mark_as_call(offer.user_data);
  return offer;
}

void StreamCall::destroy() {
  outcome_.gone.set();
  heap().destroy(this);
}

void StreamCall::opened() {
  outcome_.taken = true;
  put_next();
}

void StreamCall::put_next() {
  size_bytes_ = 0;
  if (messages_left_ != 0) {
    --messages_left_;
    size_bytes_ = kWord * (1 + random_.below(vmbus::kMostServiceBytes / kWord));
    again_ = random_;
    for (std::size_t at = 0; at < size_bytes_; at += kWord) {
      const std::uint64_t word = random_.next();
      __builtin_memcpy(&bytes()[at], &word, kWord);
    }
  }
  put(size_bytes_);
}

bool StreamCall::is_what_was_sent(std::size_t size_bytes) {
  bool right = size_bytes == size_bytes_;
  for (std::size_t at = 0; right && at < size_bytes; at += kWord) {
    const std::uint64_t word = again_.next();
    right = __builtin_memcmp(&bytes()[at], &word, kWord) == 0;
  }
  return right;
}

void StreamCall::came(std::size_t size_bytes) {
  const bool was_end = size_bytes_ == 0;
  const bool right = is_what_was_sent(size_bytes);
  machine::always(was_end ? kEndsInOrder : kComesBack, right, size_bytes, size_bytes_);
  outcome_.talked_to_its_end = was_end && right;
  if (was_end || !right) {
    finish();
  } else {
    put_next();
  }
}

}  // namespace root
