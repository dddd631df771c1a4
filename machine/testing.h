// Operations that exist for testing: decision points, properties, traces, lock order.
//
// On metal a plan in a boot module answers choose(), or it answers 0; properties and traces go to a
// buffer; lock events are empty. None of them changes what the program does but through choose().
#pragma once

#include <cstdint>
#include <string_view>

namespace machine {

/// A named place: a decision, a property or a kind of trace event. Declared as a namespace-scope
/// constant; the name is dotted, stable over the life of the project and unique in the program.
class Site {
 public:
  consteval explicit Site(const char* name) : name_(name), id_(hash(name)) {}
  [[nodiscard]] constexpr const char* name() const { return name_; }
  /// A 64-bit hash of the name (FNV-1a), the same in every build.
  [[nodiscard]] constexpr std::uint64_t id() const { return id_; }

 private:
  static consteval std::uint64_t hash(std::string_view name) {
    std::uint64_t value = 0xCBF29CE484222325;
    for (const char character : name) {
      value = (value ^ static_cast<std::uint8_t>(character)) * 0x100000001B3;
    }
    return value;
  }
  const char* name_;
  std::uint64_t id_;
};

/// Where a trace event is shown.
enum class Track : std::uint8_t { kProcessor, kPartition, kChannel, kDevice };

/// A fault point or a policy choice: a value in [0, domain). 0 is the ordinary course: no fault.
[[nodiscard]] std::uint32_t choose(const Site& site, std::uint32_t domain);

/// A property that must hold whenever this is reached; `a` and `b` are printed when it does not.
void always(const Site& property, bool condition, std::uint64_t a = 0, std::uint64_t b = 0);

/// A coverage goal: over many runs, `condition` should be true here at least once.
void sometimes(const Site& property, bool condition);

/// Something worth seeing in a trace. `id` is the partition, channel or device (ignored for
/// processors); `a` and `b` are the event's own.
void trace(const Site& event, Track track, std::uint64_t id, std::uint64_t a = 0,
           std::uint64_t b = 0);

/// Lock events, called by SpinLock.
void lock_wanted(std::uint32_t rank);
void lock_acquired(std::uint32_t rank, const void* lock);
void lock_released(std::uint32_t rank, const void* lock);

}  // namespace machine
