#include "partitions/child/console.h"

#include "machine/testing.h"
#include "partitions/kernel/posting.h"

namespace child {

namespace {

constexpr machine::Site kConsoleReachesRoot("child.console_reaches_root");

void on_refused(void*, const hv::PostMessageInput&, hv::Status status) {
  machine::always(kConsoleReachesRoot, false, static_cast<std::uint64_t>(status));
}

}  // namespace

Console::Console(kernel::Heap& heap) : outbox_(heap, &on_refused, nullptr) {}

void Console::line(std::string_view text) {
  outbox_.append(kernel::make_message(kernel::kConsoleConnection, kernel::kConsoleLine,
                                      std::as_bytes(std::span(text))));
}

void Console::done(kernel::Verdict verdict) {
  outbox_.append(kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                                      std::as_bytes(std::span(&verdict, 1))));
}

}  // namespace child
