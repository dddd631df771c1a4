#include "tests/vmbus_states/table.h"

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

}  // namespace vmbus_states
