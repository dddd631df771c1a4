// The functions that -fsanitize=thread calls before each plain access, answered by the simulator in
// place of the sanitizer's own run-time, which watches operating system threads and would see one.
// The build that links this file compiles the code above the seam, and nothing else, with the flag.
// Their names are the compilers' own; clang++ calls the __tsan_mem* in place of the C library's.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sim/watch/race_detector.h"

namespace {

void report(const void* address, std::size_t size_bytes, bool is_write, void* program_counter) {
  sim::watch::RaceDetector* const detector = sim::watch::current_detector();
  if (detector != nullptr && size_bytes != 0) {
    detector->access(reinterpret_cast<std::uintptr_t>(address), size_bytes, is_write,
                     reinterpret_cast<std::uintptr_t>(program_counter));
  }
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the compilers chose
// them.

#define CHRONOVISOR_WATCH_ACCESS(NAME, SIZE, IS_WRITE)            \
  extern "C" void NAME(void* address) {                           \
    report(address, SIZE, IS_WRITE, __builtin_return_address(0)); \
  }

CHRONOVISOR_WATCH_ACCESS(__tsan_read1, 1, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_read2, 2, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_read4, 4, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_read8, 8, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_read16, 16, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_write1, 1, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_write2, 2, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_write4, 4, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_write8, 8, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_write16, 16, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_read2, 2, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_read4, 4, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_read8, 8, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_read16, 16, false)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_write2, 2, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_write4, 4, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_write8, 8, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_unaligned_write16, 16, true)
CHRONOVISOR_WATCH_ACCESS(__tsan_vptr_read, 8, false)

extern "C" void __tsan_vptr_update(void* address, void*) {
  report(address, sizeof(void*), true, __builtin_return_address(0));
}
extern "C" void __tsan_read_range(void* address, std::size_t size_bytes) {
  report(address, size_bytes, false, __builtin_return_address(0));
}
extern "C" void __tsan_write_range(void* address, std::size_t size_bytes) {
  report(address, size_bytes, true, __builtin_return_address(0));
}
extern "C" void* __tsan_memcpy(void* target, const void* source, std::size_t size_bytes) {
  report(source, size_bytes, false, __builtin_return_address(0));
  report(target, size_bytes, true, __builtin_return_address(0));
  return std::memcpy(target, source, size_bytes);
}
extern "C" void* __tsan_memmove(void* target, const void* source, std::size_t size_bytes) {
  report(source, size_bytes, false, __builtin_return_address(0));
  report(target, size_bytes, true, __builtin_return_address(0));
  return std::memmove(target, source, size_bytes);
}
extern "C" void* __tsan_memset(void* target, int value, std::size_t size_bytes) {
  report(target, size_bytes, true, __builtin_return_address(0));
  return std::memset(target, value, size_bytes);
}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_init() {}

// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
