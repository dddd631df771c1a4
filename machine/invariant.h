// INVARIANT states what our own code promises. It is on in every build. What a guest, a peer, a
// file or a user may do never fires one: that gets a status.
#pragma once

namespace machine {

/// Reports a broken promise and ends the run. Does not return.
[[noreturn]] void invariant_failed(const char* expression, const char* file, int line);

}  // namespace machine

#define INVARIANT(condition)                                       \
  do {                                                             \
    if (!(condition)) [[unlikely]] {                               \
      ::machine::invariant_failed(#condition, __FILE__, __LINE__); \
    }                                                              \
  } while (false)
