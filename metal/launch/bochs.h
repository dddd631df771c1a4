// Runs a bootable image on Bochs, an emulator with VT-x, without a display, and reads what it
// writes on its serial port. Called by the command line (`metal run`) and by the tests in
// tests/metal/; it knows nothing of what the image does but the lines of metal/metal.h's own
// reports.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metal {

struct LaunchOptions {
  std::filesystem::path image{};
  std::uint32_t processors = 1;
  std::uint32_t memory_mib = 256;
  /// Of Bochs' processor models: this one has all that the hypervisor needs.
  std::string cpu_model = "corei7_haswell_4770";
  /// Up to two flat disk images, for the first and the second drive of the first ATA channel. The
  /// image boots from the second channel. A run may write to them.
  std::vector<std::filesystem::path> disks{};
  /// Wall time after which the run is ended and counts as hung.
  std::chrono::milliseconds limit = std::chrono::seconds(180);
  /// Called with each line of the serial port as it is completed, without its line end.
  std::function<void(std::string_view)> on_line{};
};

enum class LaunchEnd : std::uint8_t {
  /// The program called machine::stop: `stop_code` has the code.
  kStopped,
  /// The limit passed.
  kHung,
  /// The emulator ended by itself before the program stopped.
  kEmulatorEnded,
  /// The emulator could not be started: `error` says why.
  kNotStarted,
};

struct LaunchResult {
  LaunchEnd end = LaunchEnd::kNotStarted;
  std::uint32_t stop_code = 0;
  /// The guests' own lines.
  std::vector<std::string> log;
  /// Lines of the machine itself: stops, panics, violated properties, without their prefix.
  std::vector<std::string> reports;
  /// Of those, the names of violated properties with their two values.
  std::vector<std::string> violations;
  /// The emulator's last messages, when it did not end as it should.
  std::vector<std::string> emulator_messages;
  std::string error;
  std::chrono::nanoseconds wall_time{0};
};

/// Runs the image to its end or to the limit. Reports every failure in the result; throws nothing.
[[nodiscard]] LaunchResult run_bochs(const LaunchOptions& options) noexcept;

/// The image NAME.iso that the build has put beside the running program (in its folder metal/);
/// nothing if it is not there.
[[nodiscard]] std::optional<std::filesystem::path> find_image(std::string_view name) noexcept;

}  // namespace metal
