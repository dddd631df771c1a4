#include "metal/hypervisor/time_stamp_counter.h"

#include "machine/common.h"

namespace metal {
namespace {

constexpr std::uint16_t kPitChannel2 = 0x42;
constexpr std::uint16_t kPitCommand = 0x43;
constexpr std::uint16_t kSystemControl = 0x61;
constexpr std::uint8_t kGate = 0x01;
constexpr std::uint8_t kSpeaker = 0x02;
constexpr std::uint8_t kOutput = 0x20;
constexpr std::uint8_t kChannel2Mode0 = 0xB0;  // low byte, high byte, interrupt on terminal count
constexpr std::uint32_t kPitFrequencyHz = 1'193'182;
constexpr std::uint32_t kMeasurementsPerSecond = 20;

}  // namespace

std::uint64_t measure_tsc_frequency_hz() {
  constexpr auto kCount = static_cast<std::uint16_t>(kPitFrequencyHz / kMeasurementsPerSecond);
  const auto control = static_cast<std::uint8_t>(machine::in_u8(kSystemControl) &
                                                 static_cast<std::uint8_t>(~kSpeaker));
  machine::out_u8(kSystemControl, static_cast<std::uint8_t>(control & ~kGate));
  machine::out_u8(kPitCommand, kChannel2Mode0);
  machine::out_u8(kPitChannel2, kCount & 0xFF);
  machine::out_u8(kPitChannel2, kCount >> 8);
  machine::out_u8(kSystemControl, control | kGate);
  const std::uint64_t begin = machine::read_tsc();
  while ((machine::in_u8(kSystemControl) & kOutput) == 0) {
    machine::pause();
  }
  const std::uint64_t ticks = machine::read_tsc() - begin;
  machine::out_u8(kSystemControl, control);
  return ticks * kMeasurementsPerSecond;
}

}  // namespace metal
