// What a child and the root say to each other outside VMBus: lines of the console, the hello, the
// end. Both ends are ours.
#pragma once

#include <cstdint>

#include "hv/tlfs/messages.h"
#include "hv/tlfs/ports.h"

namespace kernel {

/// Connections of a child to the root.
inline constexpr hv::ConnectionId kConsoleConnection{0x10};
inline constexpr hv::ConnectionId kHelloConnection{0x11};
/// The SINT, on both ends, of everything in this file.
inline constexpr std::uint32_t kServicesSint = 3;

/// On the console connection: a line of text.
inline constexpr hv::MessageType kConsoleLine{0x2};
/// On the hello connection, and the answer's: a greeting in text.
inline constexpr hv::MessageType kHello{0x3};
/// On the console connection, after the last line: the child is done. The payload is a Verdict.
inline constexpr hv::MessageType kDone{0x4};
/// On the hello connection: please assert an interrupt. The payload is the vector, as u32.
inline constexpr hv::MessageType kPleaseInterrupt{0x5};

enum class Verdict : std::uint32_t { kPassed = 0, kFailed = 1 };

}  // namespace kernel
