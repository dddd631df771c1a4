#include "partitions/child/console.h"

#include "machine/testing.h"
#include "partitions/kernel/posting.h"

namespace child {

namespace {

constexpr machine::Site kConsoleReachesRoot("child.console_reaches_root");

}  // namespace

void Console::line(std::string_view text) {
  append(kernel::make_message(kernel::kConsoleConnection, kernel::kConsoleLine,
                              std::as_bytes(std::span(text))));
}

void Console::done(kernel::Verdict verdict) {
  append(kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                              std::as_bytes(std::span(&verdict, 1))));
}

void Console::append(const hv::PostMessageInput& message) {
  auto* entry = heap_.create<Entry>(message, nullptr);
  (first_ == nullptr ? first_ : last_->next) = entry;
  last_ = entry;
  appended_.give();
}

kernel::Task<> Console::run() {
  while (true) {
    co_await appended_.wait();
    while (first_ != nullptr) {
      Entry* entry = first_;
      const hv::Status status = co_await kernel::post(entry->message);
      machine::always(kConsoleReachesRoot, status == hv::Status::kSuccess,
                      static_cast<std::uint64_t>(status));
      first_ = entry->next;
      heap_.destroy(entry);
    }
  }
}

}  // namespace child
