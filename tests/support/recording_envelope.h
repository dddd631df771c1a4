// The outer layer of a recording, taken off and put on: for tests that damage what is inside, which
// the checksum would else keep from being looked at.
#pragma once

#include <span>

#include "scenarios/recording.h"

namespace recording_envelope {

/// What a packed recording holds, not compressed.
[[nodiscard]] sim::Bytes contents_of(std::span<const std::byte> file);
/// A file whose envelope is right, around any contents.
[[nodiscard]] sim::Bytes file_of(std::span<const std::byte> contents);

}  // namespace recording_envelope
