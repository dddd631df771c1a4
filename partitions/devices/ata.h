// The names of what stands in an ATA drive's registers. Cited as "ATA": ATA/ATAPI-7 (T13/1532D).
#pragma once

#include <cstdint>

namespace devices::ata {

// Status register (ATA 5.14).
inline constexpr std::uint8_t kError = 0x01;
inline constexpr std::uint8_t kDataRequest = 0x08;
inline constexpr std::uint8_t kSeekComplete = 0x10;
inline constexpr std::uint8_t kReady = 0x40;
inline constexpr std::uint8_t kBusy = 0x80;

// Error register (ATA 5.8).
inline constexpr std::uint8_t kAborted = 0x04;
inline constexpr std::uint8_t kIdNotFound = 0x10;
inline constexpr std::uint8_t kUncorrectable = 0x40;

// Device register.
inline constexpr std::uint8_t kSecondDrive = 0x10;
inline constexpr std::uint8_t kLbaMode = 0x40;

// Device control register (ATA 5.7).
inline constexpr std::uint8_t kInterruptsOff = 0x02;
inline constexpr std::uint8_t kSoftwareReset = 0x04;
inline constexpr std::uint8_t kHighOrderByte = 0x80;

// Commands (ATA 6).
inline constexpr std::uint8_t kRecalibrate = 0x10;
inline constexpr std::uint8_t kReadSectors = 0x20;
inline constexpr std::uint8_t kReadSectorsExt = 0x24;
inline constexpr std::uint8_t kReadDmaExt = 0x25;
inline constexpr std::uint8_t kWriteSectors = 0x30;
inline constexpr std::uint8_t kWriteSectorsExt = 0x34;
inline constexpr std::uint8_t kWriteDmaExt = 0x35;
inline constexpr std::uint8_t kWriteDmaFuaExt = 0x3D;
inline constexpr std::uint8_t kReadVerify = 0x40;
inline constexpr std::uint8_t kReadVerifyExt = 0x42;
inline constexpr std::uint8_t kExecuteDiagnostic = 0x90;
inline constexpr std::uint8_t kInitializeParameters = 0x91;
inline constexpr std::uint8_t kReadDma = 0xC8;
inline constexpr std::uint8_t kWriteDma = 0xCA;
inline constexpr std::uint8_t kStandbyImmediate = 0xE0;
inline constexpr std::uint8_t kIdleImmediate = 0xE1;
inline constexpr std::uint8_t kCheckPowerMode = 0xE5;
inline constexpr std::uint8_t kFlushCache = 0xE7;
inline constexpr std::uint8_t kFlushCacheExt = 0xEA;
inline constexpr std::uint8_t kIdentifyDevice = 0xEC;
inline constexpr std::uint8_t kSetFeatures = 0xEF;

// Subcommands of SET FEATURES (ATA 6.49).
inline constexpr std::uint8_t kEnableWriteCache = 0x02;
inline constexpr std::uint8_t kSetTransferMode = 0x03;
inline constexpr std::uint8_t kDisableReadLookAhead = 0x55;
inline constexpr std::uint8_t kDisableWriteCache = 0x82;
inline constexpr std::uint8_t kEnableReadLookAhead = 0xAA;

/// Geometry for drivers that address by cylinder, head and sector.
inline constexpr std::uint32_t kHeads = 16;
inline constexpr std::uint32_t kSectorsPerTrack = 63;
inline constexpr std::uint32_t kMaxCylinders = 16383;

/// What 28 address bits reach.
inline constexpr std::uint64_t kMaxLba28Sectors = 0x0FFFFFFF;

}  // namespace devices::ata
