// The driver of the first serial port (COM1): where the root writes its lines.
#pragma once

#include <string_view>

namespace root {

/// Programmed output, a character at a time.
class SerialPort {
 public:
  /// 115,200 baud, eight bits, no parity, no interrupts.
  void set_up();
  /// Writes the parts and a newline.
  void write_line(std::string_view first, std::string_view second = {});
  /// Returns when the last character has left.
  void drain();

 private:
  void write(std::string_view text);
  void put(char character);
};

}  // namespace root
