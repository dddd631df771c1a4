// A double for what sim/vtx needs of the computer: flat memory, and a record of every misuse.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "sim/vtx/platform.h"

namespace test_support {

class VtxPlatform : public sim::vtx::Platform {
 public:
  explicit VtxPlatform(std::size_t size_bytes = 4u << 20) : memory_(size_bytes) {}

  std::uint8_t load_u8(machine::Spa address) override { return load<std::uint8_t>(address); }
  std::uint32_t load_u32(machine::Spa address) override { return load<std::uint32_t>(address); }
  std::uint64_t load_u64(machine::Spa address) override {
    ++loads_u64;
    return load<std::uint64_t>(address);
  }
  void fetch_or_u64(machine::Spa address, std::uint64_t bits) override {
    store_u64(address, load<std::uint64_t>(address) | bits);
  }
  void store_u64(machine::Spa address, std::uint64_t value) override { store(address, value); }
  void misuse(const char* rule) override { misuses.emplace_back(rule); }

  template <class T>
  void store(machine::Spa address, T value) {
    if (address.value() + sizeof(T) <= memory_.size()) {
      std::memcpy(memory_.data() + address.value(), &value, sizeof(T));
    }
  }
  template <class T>
  T load(machine::Spa address) const {
    T value = static_cast<T>(~T{0});
    if (address.value() + sizeof(T) <= memory_.size()) {
      std::memcpy(&value, memory_.data() + address.value(), sizeof(T));
    }
    return value;
  }

  std::vector<std::string> misuses;
  std::size_t loads_u64 = 0;

 private:
  std::vector<std::byte> memory_;
};

}  // namespace test_support
