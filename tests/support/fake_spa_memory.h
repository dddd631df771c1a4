// System memory for unit tests of the hypervisor's parts: the machine:: operations on system
// physical addresses over a sparse map of pages. It records every access, and lets a test act as
// another processor right before any of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "machine/address.h"

namespace test_support {

struct SpaAccess {
  enum class Kind : std::uint8_t { kLoad, kStore, kLocked, kRead, kWrite, kFill };
  Kind kind{};
  std::uint64_t address = 0;
  std::uint64_t size_bytes = 0;
  /// Of a store or a locked operation.
  std::uint64_t value = 0;
};

/// While an object lives, it is the memory; one at a time.
class FakeSpaMemory {
 public:
  FakeSpaMemory();
  ~FakeSpaMemory();
  FakeSpaMemory(const FakeSpaMemory&) = delete;
  FakeSpaMemory& operator=(const FakeSpaMemory&) = delete;
  static FakeSpaMemory& current();

  std::vector<SpaAccess> log;
  /// Called before each access; accesses that it makes through get() and set() are not recorded.
  std::function<void(const SpaAccess&)> before_access;

  template <class T>
  [[nodiscard]] T get(std::uint64_t address) {
    T value;
    std::memcpy(&value, bytes(address), sizeof(T));
    return value;
  }
  template <class T>
  void set(std::uint64_t address, const T& value) {
    std::memcpy(bytes(address), &value, sizeof(T));
  }
  /// The byte at an address; up to the end of its page the following ones lie behind it. A page
  /// that was never touched holds a pattern, not zeros.
  [[nodiscard]] std::byte* bytes(std::uint64_t address);
  void note(const SpaAccess& access);

 private:
  struct alignas(machine::kPageSize) Page {
    std::array<std::byte, machine::kPageSize> bytes;
  };
  std::map<std::uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace test_support
