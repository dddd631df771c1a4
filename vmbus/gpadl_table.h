// The server's table of GPADLs: the lists of guest pages that a client has lent, from the first
// message to the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmbus/gpa_range.h"
#include "vmbus/gpadl_storage.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/vmbus.h"

namespace vmbus {

enum class GpadlState : std::uint8_t {
  kFree,
  kInProgress,         // page numbers arrive
  kOffered,            // complete; the device has been asked
  kAccepted,           // the client has been told that it exists
  kTearingDown,        // the device has been, or will be, asked to let go
  kOfferedTearingDown  // channel or connection went away before the device answered
};

struct Gpadl {
  GpadlState state = GpadlState::kFree;
  ChannelId channel;
  GpadlId id;
  std::uint16_t range_count = 0;
  /// The client waits for GPADL_TORNDOWN.
  bool answer_wanted = false;
  /// The device has been asked to let go of it.
  bool release_requested = false;
  std::uint32_t received = 0;
  /// The ranges, once complete; what has arrived of them before.
  std::span<std::uint64_t> values;
};

enum class GpadlProgress : std::uint8_t {
  kInProgress,
  kComplete,  // well formed; now in state kOffered
  kFailed,    // malformed or no room: forgotten
  kUnknown,   // a body for an id that is not in progress
};

struct GpadlStep {
  GpadlProgress progress = GpadlProgress::kUnknown;
  ChannelId channel;
  GpadlId id;
};

class GpadlTable {
 public:
  /// Both outlive the table. The entries bound how many GPADLs one client may have.
  GpadlTable(std::span<Gpadl> entries, GpadlStorage& storage)
      : entries_(entries), storage_(storage) {}

  /// GPADL_HEADER and GPADL_BODY; `data` is what follows the fixed part. Bytes that do not fill a
  /// word are ignored.
  [[nodiscard]] GpadlStep begin(const GpadlHeader& header, std::span<const std::byte> data);
  [[nodiscard]] GpadlStep add_body(GpadlId id, std::span<const std::byte> data);

  /// Null if there is none.
  [[nodiscard]] Gpadl* find(ChannelId channel, GpadlId id);
  /// Every entry, free ones included.
  [[nodiscard]] std::span<Gpadl> entries() { return entries_; }
  [[nodiscard]] std::size_t count() const;

  /// Gives the page list back and frees the entry.
  void forget(Gpadl& gpadl);

 private:
  [[nodiscard]] GpadlStep append(Gpadl& gpadl, std::span<const std::byte> data);
  [[nodiscard]] Gpadl* find_in_progress(GpadlId id);

  std::span<Gpadl> entries_;
  GpadlStorage& storage_;
};

/// The ring of a channel: a GPADL of one range of whole pages.
struct RingPages {
  std::span<const std::uint64_t> client_to_server;
  std::span<const std::uint64_t> server_to_client;
};

/// Splits a ring GPADL at `downstream_page_offset`; nothing if either ring would have less than a
/// control page and a data page, or the GPADL is not one range of whole pages.
[[nodiscard]] std::optional<RingPages> split_ring(const Gpadl& gpadl,
                                                  std::uint32_t downstream_page_offset);

}  // namespace vmbus
