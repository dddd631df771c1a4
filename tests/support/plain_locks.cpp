// machine::SpinLock for unit tests that run on one thread without a machine: never contended, and
// nobody watches the order.
#include <cstdint>

#include "machine/common.h"
#include "machine/testing.h"

namespace machine {

void pause() {}
void lock_wanted(std::uint32_t) {}
void lock_acquired(std::uint32_t, const void*) {}
void lock_released(std::uint32_t, const void*) {}

}  // namespace machine
