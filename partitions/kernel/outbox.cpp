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
  auto* entry = heap_.try_create<Entry>(message, nullptr);
  if (entry == nullptr) {
    refused_(context_, message, hv::Status::kInsufficientMemory);
    return;
  }
  ++count_;
  (first_ == nullptr ? first_ : last_->next) = entry;
  last_ = entry;
  start_sending();
}

void Outbox::start_sending() {
  if (!sending_ && may_send()) {
    sending_ = true;
    send().spawn();
  }
}

bool Outbox::may_send() const {
  return first_ != nullptr && !closing_ && (!holding_ || before_hold_ != 0);
}

void Outbox::hold(bool hold) {
  if (hold && !holding_) {
    before_hold_ = count_;
  }
  holding_ = hold;
  start_sending();
}

void Outbox::remove_first() {
  Entry* entry = first_;
  first_ = entry->next;
  --count_;
  before_hold_ -= before_hold_ != 0 ? 1 : 0;
  heap_.destroy(entry);
}

void Outbox::close() {
  closing_ = true;
  drop();
  if (!sending_) {
    ended_.set();
  }
}

Task<> Outbox::send() {
  while (may_send()) {
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
  sending_ = false;
  if (closing_) {
    ended_.set();
  }
}

void Outbox::drop() {
  while (first_ != nullptr) {
    remove_first();
  }
}

}  // namespace kernel
