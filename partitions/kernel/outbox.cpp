#include "partitions/kernel/outbox.h"

#include "partitions/kernel/posting.h"
#include "partitions/kernel/processor.h"

namespace kernel {

namespace {

constexpr std::uint64_t kRetryAfter100ns = 500;

}  // namespace

void Outbox::append(const hv::PostMessageInput& message) {
  if (count_ == kMost) {
    refused_(context_, message, hv::Status::kInsufficientBuffers);
    return;
  }
  ++count_;
  auto* entry = heap_.create<Entry>(message, nullptr);
  (first_ == nullptr ? first_ : last_->next) = entry;
  last_ = entry;
  if (!sending_) {
    sending_ = true;
    send().spawn();
  }
}

void Outbox::remove_first() {
  Entry* entry = first_;
  first_ = entry->next;
  --count_;
  heap_.destroy(entry);
}

void Outbox::close() {
  closing_ = true;
  if (!sending_) {
    ended_.set();
  }
}

Task<> Outbox::send() {
  while (first_ != nullptr && !closing_) {
    const hv::Status status = try_post(first_->message);
    if (status == hv::Status::kInsufficientBuffers) {
      co_await sleep_for(kRetryAfter100ns);
      continue;
    }
    if (status != hv::Status::kSuccess) {
      refused_(context_, first_->message, status);
    }
    remove_first();
  }
  while (first_ != nullptr) {
    remove_first();
  }
  sending_ = false;
  if (closing_) {
    ended_.set();
  }
}

}  // namespace kernel
