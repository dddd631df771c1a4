// How a program on metal ends when it must not go on, and the run-time functions of the C++ library
// that lead there.
#include <array>
#include <cstddef>
#include <new>

#include "machine/invariant.h"
#include "metal/metal.h"

namespace metal {

void panic(std::string_view what) {
  serial_write("chronovisor: panic: ");
  serial_write(what);
  serial_write("\n");
  serial_flush();
  end_program(what);
}

namespace {

/// A text of limited length, put together without a heap.
class Sentence {
 public:
  void put(std::string_view part) {
    for (const char character : part) {
      if (size_ < text_.size()) {
        text_[size_++] = character;
      }
    }
  }
  void put(unsigned number) {
    if (number >= 10) {
      put(number / 10);
    }
    const char digit = static_cast<char>('0' + number % 10);
    put(std::string_view(&digit, 1));
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 224> text_{};
  std::size_t size_ = 0;
};

/// What comes first survives a limit: the place, without which the rest is worth little.
[[noreturn]] void report_place(std::string_view what, const char* file, int line) {
  Sentence sentence;
  sentence.put(file);
  sentence.put(":");
  sentence.put(static_cast<unsigned>(line));
  sentence.put(": ");
  sentence.put(what);
  panic(sentence.view());
}

}  // namespace
}  // namespace metal

namespace machine {

void invariant_failed(const char* expression, const char* file, int line) {
  metal::report_place(expression, file, line);
}

}  // namespace machine

// _GLIBCXX_ASSERTIONS: the bounds checks of span, array, optional.
namespace std {
[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char*,
                                        const char* condition) noexcept {
  metal::report_place(condition, file, line);
}
// What string_view::substr calls in place of throwing.
[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...) { metal::panic(format); }
[[noreturn]] void terminate() noexcept { metal::panic("std::terminate"); }
}  // namespace std

extern "C" {
[[noreturn]] void __assert_fail(const char* expression, const char* file, unsigned line,
                                const char*) {
  metal::report_place(expression, file, static_cast<int>(line));
}
[[noreturn]] void __cxa_pure_virtual() { metal::panic("pure virtual function called"); }
}

// Virtual destructors name it; nothing above the seam has a heap to give memory back to.
void operator delete(void*) noexcept { metal::panic("operator delete called"); }
void operator delete(void*, std::size_t) noexcept { metal::panic("operator delete called"); }
void operator delete(void*, std::size_t, std::align_val_t) noexcept {
  metal::panic("operator delete called");
}
