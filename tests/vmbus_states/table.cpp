#include "tests/vmbus_states/table.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace vmbus_states {

namespace {

constexpr std::array<std::string_view, vmbus::kMessageTypeCount> kNames = {
    "INVALID",
    "OFFERCHANNEL",
    "RESCIND_CHANNELOFFER",
    "REQUESTOFFERS",
    "ALLOFFERS_DELIVERED",
    "OPENCHANNEL",
    "OPENCHANNEL_RESULT",
    "CLOSECHANNEL",
    "GPADL_HEADER",
    "GPADL_BODY",
    "GPADL_CREATED",
    "GPADL_TEARDOWN",
    "GPADL_TORNDOWN",
    "RELID_RELEASED",
    "INITIATE_CONTACT",
    "VERSION_RESPONSE",
    "UNLOAD",
    "UNLOAD_RESPONSE",
    "OPEN_RESERVED_CHANNEL",
    "CLOSE_RESERVED_CHANNEL",
    "CLOSE_RESERVED_RESPONSE",
    "TL_CONNECT_REQUEST",
    "MODIFYCHANNEL",
    "TL_CONNECT_RESULT",
    "MODIFYCHANNEL_RESPONSE",
    "MODIFY_CONNECTION",
    "MODIFY_CONNECTION_RESPONSE",
    "PAUSE",
    "PAUSE_RESPONSE",
    "RESUME",
};

std::string text_of(const Effect& effect) {
  if (!effect.defined()) {
    return "**undefined**";
  }
  std::string text = effect.refused ? "refused" : effect.ignored ? "ignored" : "";
  for (const std::string& answer : effect.answers) {
    text += (text.empty() ? "" : "; ") + answer;
  }
  return text.empty() ? "noted" : text;
}

}  // namespace

std::string_view name_of(vmbus::MessageType type) {
  const auto number = static_cast<std::uint32_t>(type);
  return number < kNames.size() ? kNames[number] : "any other type";
}

std::vector<vmbus::MessageType> all_types() {
  std::vector<vmbus::MessageType> types;
  for (std::uint32_t type = 0; type <= vmbus::kMessageTypeCount; ++type) {
    types.push_back(vmbus::MessageType{type});
  }
  return types;
}

std::string_view name_of(vmbus::Version version) {
  constexpr std::array<std::string_view, vmbus::kVersionsNewestFirst.size()> kVersionNames = {
      "6.0", "5.3", "5.2", "5.1", "5.0", "4.1", "4.0", "3.0", "2.4"};
  std::size_t index = 0;
  while (vmbus::kVersionsNewestFirst[index] != version) {
    ++index;
  }
  return kVersionNames[index];
}

void Printer::rows(const Rows& rows) {
  for (const Row& one : rows) {
    row(one.state, one.type, one.effect);
  }
}

void Printer::differences(const std::function<Rows(vmbus::Version)>& rows_of) {
  Rows after = rows_of(vmbus::kVersionsNewestFirst.front());
  for (std::size_t index = 1; index < vmbus::kVersionsNewestFirst.size(); ++index) {
    const vmbus::Version version = vmbus::kVersionsNewestFirst[index];
    const Rows rows = rows_of(version);
    for (const Row& one : rows) {
      undefined_ += one.effect.defined() ? 0 : 1;
      const auto same = std::ranges::find_if(after, [&](const Row& other) {
        return other.state == one.state && other.type == one.type;
      });
      if (same == after.end() || !(same->effect == one.effect)) {
        row(std::string(name_of(version)) + ": " + std::string(one.state), one.type, one.effect);
      }
    }
    after = rows;
  }
}

void Printer::heading(std::string_view text) {
  std::printf("\n## %.*s\n", static_cast<int>(text.size()), text.data());
}

void Printer::begin_table(std::string_view state, std::string_view message) {
  std::printf("\n| %.*s | %.*s | what it does | state after it |\n| --- | --- | --- | --- |\n",
              static_cast<int>(state.size()), state.data(), static_cast<int>(message.size()),
              message.data());
}

void Printer::event_row(std::string_view state, std::string_view name, const Effect& effect) {
  ++pairs_;
  undefined_ += effect.defined() ? 0 : 1;
  std::printf("| %.*s | %.*s | %s | %s |\n", static_cast<int>(state.size()), state.data(),
              static_cast<int>(name.size()), name.data(), text_of(effect).c_str(),
              effect.next.empty() ? "the same" : effect.next.c_str());
}

void Printer::miss(std::string_view state) {
  ++missing_;
  std::fprintf(stderr, "no table has the state %.*s\n", static_cast<int>(state.size()),
               state.data());
}

}  // namespace vmbus_states
