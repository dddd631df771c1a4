#include "partitions/root/services.h"

#include <algorithm>

#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/msr.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/root_services.h"

namespace root {

namespace {

std::span<const std::byte> payload_of(const hv::Message& message) {
  const std::size_t size =
      std::min<std::size_t>(message.header.payload_size, hv::kMessagePayloadBytes);
  return std::span(message.payload).first(size);
}

/// The first u32 of the payload, if it has one.
std::optional<std::uint32_t> word_of(const hv::Message& message) {
  const std::span<const std::byte> payload = payload_of(message);
  if (payload.size() < sizeof(std::uint32_t)) {
    return std::nullopt;
  }
  std::uint32_t word = 0;
  __builtin_memcpy(&word, payload.data(), sizeof(word));
  return word;
}

std::string_view intercept_name(hv::MessageType type) {
  switch (static_cast<std::uint32_t>(type)) {
    case static_cast<std::uint32_t>(hv::MessageType::kUnmappedGpa):
      return "it touched an address without memory";
    case static_cast<std::uint32_t>(hv::MessageType::kGpaIntercept):
      return "it used memory in a way that is not allowed";
    case static_cast<std::uint32_t>(hv::MessageType::kUnrecoverableException):
      return "triple fault";
    case static_cast<std::uint32_t>(hv::MessageType::kInvalidVpRegisterValue):
      return "a register holds an impossible value";
    case static_cast<std::uint32_t>(hv::MessageType::kUnsupportedFeature):
      return "it used a feature that is not supported";
    default:
      return "an intercept that nobody installed";
  }
}

/// What a child wrote may be anything.
char printable(std::byte value) {
  const char character = static_cast<char>(value);
  return character >= ' ' && character <= '~' ? character : '?';
}

}  // namespace

void ChildDirectory::add(ChildPartition& child) {
  ChildPartition*& first = bucket(child.number());
  child.next = first;
  first = &child;
}

void ChildDirectory::remove(ChildPartition& child) {
  ChildPartition** link = &bucket(child.number());
  while (*link != &child) {
    INVARIANT(*link != nullptr);
    link = &(*link)->next;
  }
  *link = child.next;
}

ChildPartition* ChildDirectory::find_number(std::uint32_t number) {
  ChildPartition* child = bucket(number);
  while (child != nullptr && child->number() != number) {
    child = child->next;
  }
  return child;
}

ChildPartition* ChildDirectory::find_partition(hv::PartitionId partition) {
  for (ChildPartition* child : buckets_) {
    while (child != nullptr && child->partition() != partition) {
      child = child->next;
    }
    if (child != nullptr) {
      return child;
    }
  }
  return nullptr;
}

void ServicesServer::message_arrived(const hv::Message& message) {
  const auto port = static_cast<std::uint32_t>(message.header.origination);
  ChildPartition* child = children_.find_number(port >> kChildIdShift);
  if (child == nullptr) {
    return;  // Sent before its partition went.
  }
  const hv::ConnectionId use{port & kChildIdUseMask};
  if (use == kernel::kConsoleConnection) {
    from_console(*child, message);
  } else if (use == kernel::kHelloConnection) {
    from_hello(*child, message);
  }
}

void ServicesServer::from_console(ChildPartition& child, const hv::Message& message) {
  if (message.header.type == kernel::kDone) {
    const std::uint32_t verdict = word_of(message).value_or(1);
    child.end(verdict == 0 ? kernel::Verdict::kPassed : kernel::Verdict::kFailed);
    return;
  }
  if (message.header.type != kernel::kConsoleLine) {
    return;
  }
  std::array<char, hv::kMessagePayloadBytes> text{};
  const std::span<const std::byte> payload = payload_of(message);
  for (std::size_t index = 0; index < payload.size(); ++index) {
    text[index] = printable(payload[index]);
  }
  output_.child_line(child.number(), {text.data(), payload.size()});
}

void ServicesServer::from_hello(ChildPartition& child, const hv::Message& message) {
  if (message.header.type == kernel::kHello) {
    kernel::TextLine greeting;
    greeting << "hello, child " << child.number();
    const hv::ConnectionId answers{
        id_for_child(child.number(), static_cast<std::uint32_t>(kernel::kHelloConnection))};
    // One answer for one greeting; a child that floods the port loses answers, nobody else does.
    static_cast<void>(kernel::try_post(
        kernel::make_message(answers, kernel::kHello, std::as_bytes(std::span(greeting.view())))));
    return;
  }
  if (message.header.type == kernel::kPleaseInterrupt) {
    const std::uint32_t vector = word_of(message).value_or(0);
    if (vector < hv::SintRegister::kMinVector || vector > 0xFF) {
      return;
    }
    static_cast<void>(
        calls_.assert_interrupt(child.partition(), 0, static_cast<std::uint8_t>(vector)));
  }
}

void InterceptServer::message_arrived(const hv::Message& message) {
  const hv::PartitionId sender{message.header.origination};
  ChildPartition* child = children_.find_partition(sender);
  if (child == nullptr || message.header.type == hv::MessageType::kX64ApicEoi) {
    return;
  }
  kernel::TextLine line;
  line << "child " << child->number() << " is stopped: " << intercept_name(message.header.type);
  output_.line(line.view());
  // Each of these payloads begins with the virtual processor.
  tell_crash(*child, word_of(message).value_or(0));
  child->end(kernel::Verdict::kFailed);
}

/// Why the child itself says that it ended, if it does.
void InterceptServer::tell_crash(const ChildPartition& child, std::uint32_t vp) {
  const std::optional<CrashReport> crash = calls_.read_crash(child.partition());
  if (!crash) {
    return;
  }
  kernel::TextLine line;
  line << "child " << child.number() << " (partition "
       << static_cast<std::uint64_t>(child.partition()) << ") crashed on processor " << vp << ":";
  for (std::size_t index = 0; index < crash->parameters.size(); ++index) {
    line << " P" << index << "=0x" << kernel::Hex{crash->parameters[index]};
  }
  output_.line(line.view());
  if ((crash->control & hv::kCrashMessage) == 0) {
    return;
  }
  std::array<std::byte, kernel::TextLine::kCapacity> bytes{};
  const std::uint64_t size = std::min<std::uint64_t>(crash->parameters[4], bytes.size());
  const auto where = child.memory().translate(machine::Gpa(crash->parameters[3]), size);
  if (!where || size == 0) {
    return;
  }
  const std::span<std::byte> message = std::span(bytes).first(size);
  machine::read_memory(*where, message);
  std::array<char, kernel::TextLine::kCapacity> text{};
  std::ranges::transform(message, text.begin(), printable);
  output_.child_line(child.number(), {text.data(), size});
}

}  // namespace root
