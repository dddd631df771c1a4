// What the sanitizers are told by every target that a fuzzer drives.

// The guests of a world are fibers that end with it, without returning: what AddressSanitizer keeps
// for each of their frames would fill the memory after a few thousand worlds.
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0:quarantine_size_mb=64";
}
