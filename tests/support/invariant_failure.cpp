// For unit tests that run without a machine: a broken promise ends the test program. A test that
// links a machine uses that machine's own instead.
#include <cstdio>
#include <cstdlib>

#include "machine/invariant.h"

void machine::invariant_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: INVARIANT(%s) failed\n", file, line, expression);
  std::abort();
}
