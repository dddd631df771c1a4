// The lines of a serial port as they come in: told apart into the guests' and the machine's own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metal {

class SerialLog {
 public:
  explicit SerialLog(std::function<void(std::string_view)> on_line)
      : on_line_(std::move(on_line)) {}

  /// Takes the bytes that came next.
  void append(std::string_view bytes);
  /// Takes what is left without a line end as a line.
  void finish();

  [[nodiscard]] const std::vector<std::string>& guest_lines() const { return guest_lines_; }
  /// Without the prefix that marks them.
  [[nodiscard]] const std::vector<std::string>& reports() const { return reports_; }
  /// Of the reports, what was violated: a property's name and its values.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  /// The code of machine::stop, once its line has come.
  [[nodiscard]] std::optional<std::uint32_t> stop_code() const { return stop_code_; }

 private:
  void take_line(std::string line);

  std::function<void(std::string_view)> on_line_;
  std::string partial_;
  std::vector<std::string> guest_lines_;
  std::vector<std::string> reports_;
  std::vector<std::string> violations_;
  std::optional<std::uint32_t> stop_code_;
};

}  // namespace metal
