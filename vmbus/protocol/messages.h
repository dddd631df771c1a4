// Channel messages: what the two ends post to each other. All integers are little endian; each
// message is the payload of one SynIC message of type 1. Offsets are those of the published
// protocol headers (Linux include/linux/hyperv.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vmbus/protocol/guid.h"

namespace vmbus {

/// The payload of a SynIC message holds no more (TLFS 11.8.2).
inline constexpr std::size_t kMaxMessageSize = 240;

enum class MessageType : std::uint32_t {
  kInvalid = 0,
  kOfferChannel = 1,
  kRescindChannelOffer = 2,
  kRequestOffers = 3,
  kAllOffersDelivered = 4,
  kOpenChannel = 5,
  kOpenChannelResult = 6,
  kCloseChannel = 7,
  kGpadlHeader = 8,
  kGpadlBody = 9,
  kGpadlCreated = 10,
  kGpadlTeardown = 11,
  kGpadlTorndown = 12,
  kRelidReleased = 13,
  kInitiateContact = 14,
  kVersionResponse = 15,
  kUnload = 16,
  kUnloadResponse = 17,
  kOpenReservedChannel = 18,
  kCloseReservedChannel = 19,
  kCloseReservedResponse = 20,
  kTlConnectRequest = 21,
  kModifyChannel = 22,
  kTlConnectResult = 23,
  kModifyChannelResponse = 24,
  kModifyConnection = 25,
  kModifyConnectionResponse = 26,
  kPause = 27,
  kPauseResponse = 28,
  kResume = 29,
};
inline constexpr std::uint32_t kMessageTypeCount = 30;

/// Status words of results.
inline constexpr std::uint32_t kStatusSuccess = 0;
inline constexpr std::uint32_t kStatusUnsuccessful = 0x8000FFFF;
inline constexpr std::uint32_t kStatusConnectionRefused = 0xC0000236;

struct MessageHeader {
  MessageType type = MessageType::kInvalid;
  std::uint32_t padding = 0;
};
static_assert(sizeof(MessageHeader) == 8);

/// Messages of a header alone: REQUESTOFFERS, ALLOFFERS_DELIVERED, UNLOAD, UNLOAD_RESPONSE, PAUSE,
/// PAUSE_RESPONSE, RESUME.
struct EmptyMessage {
  MessageHeader header;
};
static_assert(sizeof(EmptyMessage) == 8);

/// Messages that name a channel alone: RESCIND_CHANNELOFFER, CLOSECHANNEL, RELID_RELEASED,
/// CLOSE_RESERVED_RESPONSE.
struct ChannelMessage {
  MessageHeader header;
  std::uint32_t channel_id = 0;
};
static_assert(sizeof(ChannelMessage) == 12 && offsetof(ChannelMessage, channel_id) == 8);

struct InitiateContact {
  MessageHeader header{MessageType::kInitiateContact, 0};
  std::uint32_t version = 0;
  std::uint32_t target_vp = 0;
  /// Before 5.0 the interrupt page; from 5.0 on byte 0 the SINT, byte 1 the VTL, and from 6.0 on
  /// the upper half the features that the child wants. With kFeatureClientId a GUID follows at 40.
  std::uint64_t interrupt_page_or_target = 0;
  std::uint64_t parent_to_child_monitor_gpa = 0;
  std::uint64_t child_to_parent_monitor_gpa = 0;
};
static_assert(sizeof(InitiateContact) == 40 && offsetof(InitiateContact, version) == 8 &&
              offsetof(InitiateContact, target_vp) == 12 &&
              offsetof(InitiateContact, interrupt_page_or_target) == 16 &&
              offsetof(InitiateContact, parent_to_child_monitor_gpa) == 24 &&
              offsetof(InitiateContact, child_to_parent_monitor_gpa) == 32);

/// Where the client's id is, if the message is long enough for one.
inline constexpr std::size_t kClientIdOffset = sizeof(InitiateContact);

enum class ContactState : std::uint8_t {
  kSuccessful = 0,
  kLowResources = 1,
  kUnknownFailure = 2,
};

struct VersionResponse {
  MessageHeader header{MessageType::kVersionResponse, 0};
  std::uint8_t version_supported = 0;
  ContactState connection_state = ContactState::kSuccessful;
  std::uint16_t padding = 0;
  /// Asked for less than 5.0: the selected version; else where the child posts from now on.
  std::uint32_t version_or_connection_id = 0;
};
static_assert(sizeof(VersionResponse) == 16 && offsetof(VersionResponse, version_supported) == 8 &&
              offsetof(VersionResponse, connection_state) == 9 &&
              offsetof(VersionResponse, version_or_connection_id) == 12);

/// The answer to 6.0 and later: with the features that both ends know.
struct VersionResponseWithFeatures {
  VersionResponse response;
  std::uint32_t features = 0;
};
static_assert(sizeof(VersionResponseWithFeatures) == 20 &&
              offsetof(VersionResponseWithFeatures, features) == 16);

inline constexpr std::uint16_t kOfferEnumerateDeviceInterface = 0x0001;
inline constexpr std::uint16_t kOfferNamedPipe = 0x0010;
inline constexpr std::uint16_t kOfferTlnpiProvider = 0x2000;
inline constexpr std::size_t kUserDataSize = 120;

struct OfferChannel {
  MessageHeader header{MessageType::kOfferChannel, 0};
  Guid interface_type;
  Guid interface_instance;
  std::array<std::uint32_t, 4> reserved{};
  std::uint16_t flags = 0;
  std::uint16_t mmio_megabytes = 0;
  std::array<std::uint8_t, kUserDataSize> user_data{};
  std::uint16_t subchannel_index = 0;
  std::uint16_t mmio_megabytes_optional = 0;
  std::uint32_t channel_id = 0;
  std::uint8_t monitor_id = 0;
  std::uint8_t monitor_allocated = 0;
  std::uint16_t is_dedicated_interrupt = 0;
  std::uint32_t connection_id = 0;
};
static_assert(sizeof(OfferChannel) == 196 && offsetof(OfferChannel, interface_type) == 8 &&
              offsetof(OfferChannel, interface_instance) == 24 &&
              offsetof(OfferChannel, reserved) == 40 && offsetof(OfferChannel, flags) == 56 &&
              offsetof(OfferChannel, mmio_megabytes) == 58 &&
              offsetof(OfferChannel, user_data) == 60 &&
              offsetof(OfferChannel, subchannel_index) == 180 &&
              offsetof(OfferChannel, mmio_megabytes_optional) == 182 &&
              offsetof(OfferChannel, channel_id) == 184 &&
              offsetof(OfferChannel, monitor_id) == 188 &&
              offsetof(OfferChannel, monitor_allocated) == 189 &&
              offsetof(OfferChannel, is_dedicated_interrupt) == 190 &&
              offsetof(OfferChannel, connection_id) == 192);

struct OpenChannel {
  MessageHeader header{MessageType::kOpenChannel, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t open_id = 0;
  std::uint32_t ring_gpadl_id = 0;
  std::uint32_t target_vp = 0;
  std::uint32_t downstream_page_offset = 0;
  std::array<std::uint8_t, kUserDataSize> user_data{};
};
static_assert(sizeof(OpenChannel) == 148 && offsetof(OpenChannel, channel_id) == 8 &&
              offsetof(OpenChannel, open_id) == 12 && offsetof(OpenChannel, ring_gpadl_id) == 16 &&
              offsetof(OpenChannel, target_vp) == 20 &&
              offsetof(OpenChannel, downstream_page_offset) == 24 &&
              offsetof(OpenChannel, user_data) == 28);

struct OpenChannelResult {
  MessageHeader header{MessageType::kOpenChannelResult, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t open_id = 0;
  std::uint32_t status = 0;
};
static_assert(sizeof(OpenChannelResult) == 20 && offsetof(OpenChannelResult, channel_id) == 8 &&
              offsetof(OpenChannelResult, open_id) == 12 &&
              offsetof(OpenChannelResult, status) == 16);

/// The fixed part; the ranges follow at 20, each u32 byte count, u32 byte offset, u64 page numbers.
struct GpadlHeader {
  MessageHeader header{MessageType::kGpadlHeader, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t gpadl_id = 0;
  std::uint16_t range_bytes = 0;
  std::uint16_t range_count = 0;
};
static_assert(sizeof(GpadlHeader) == 20 && offsetof(GpadlHeader, channel_id) == 8 &&
              offsetof(GpadlHeader, gpadl_id) == 12 && offsetof(GpadlHeader, range_bytes) == 16 &&
              offsetof(GpadlHeader, range_count) == 18);

/// The fixed part; more of the range data follows at 16.
struct GpadlBody {
  MessageHeader header{MessageType::kGpadlBody, 0};
  std::uint32_t message_number = 0;
  std::uint32_t gpadl_id = 0;
};
static_assert(sizeof(GpadlBody) == 16 && offsetof(GpadlBody, message_number) == 8 &&
              offsetof(GpadlBody, gpadl_id) == 12);

struct GpadlCreated {
  MessageHeader header{MessageType::kGpadlCreated, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t gpadl_id = 0;
  std::uint32_t status = 0;
};
static_assert(sizeof(GpadlCreated) == 20 && offsetof(GpadlCreated, gpadl_id) == 12 &&
              offsetof(GpadlCreated, status) == 16);

struct GpadlTeardown {
  MessageHeader header{MessageType::kGpadlTeardown, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t gpadl_id = 0;
};
static_assert(sizeof(GpadlTeardown) == 16 && offsetof(GpadlTeardown, gpadl_id) == 12);

struct GpadlTorndown {
  MessageHeader header{MessageType::kGpadlTorndown, 0};
  std::uint32_t gpadl_id = 0;
};
static_assert(sizeof(GpadlTorndown) == 12 && offsetof(GpadlTorndown, gpadl_id) == 8);

struct ModifyChannel {
  MessageHeader header{MessageType::kModifyChannel, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t target_vp = 0;
};
static_assert(sizeof(ModifyChannel) == 16 && offsetof(ModifyChannel, target_vp) == 12);

struct ModifyChannelResponse {
  MessageHeader header{MessageType::kModifyChannelResponse, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t status = 0;
};
static_assert(sizeof(ModifyChannelResponse) == 16 && offsetof(ModifyChannelResponse, status) == 12);

/// A channel that stays open when its connection ends, and has its own place for answers.
struct OpenReservedChannel {
  MessageHeader header{MessageType::kOpenReservedChannel, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t target_vp = 0;
  std::uint32_t target_sint = 0;
  std::uint32_t ring_gpadl_id = 0;
  std::uint32_t downstream_page_offset = 0;
};
static_assert(sizeof(OpenReservedChannel) == 28 && offsetof(OpenReservedChannel, target_vp) == 12 &&
              offsetof(OpenReservedChannel, target_sint) == 16 &&
              offsetof(OpenReservedChannel, ring_gpadl_id) == 20 &&
              offsetof(OpenReservedChannel, downstream_page_offset) == 24);

struct CloseReservedChannel {
  MessageHeader header{MessageType::kCloseReservedChannel, 0};
  std::uint32_t channel_id = 0;
  std::uint32_t target_vp = 0;
  std::uint32_t target_sint = 0;
};
static_assert(sizeof(CloseReservedChannel) == 20 &&
              offsetof(CloseReservedChannel, target_vp) == 12 &&
              offsetof(CloseReservedChannel, target_sint) == 16);

/// From 5.2 on a GUID may follow at 40: the silo (container) that is meant.
struct TlConnectRequest {
  MessageHeader header{MessageType::kTlConnectRequest, 0};
  Guid endpoint;
  Guid service;
};
static_assert(sizeof(TlConnectRequest) == 40 && offsetof(TlConnectRequest, service) == 24);
inline constexpr std::size_t kSiloIdOffset = sizeof(TlConnectRequest);

struct TlConnectRequestWithSilo {
  TlConnectRequest request;
  Guid silo;
};
static_assert(sizeof(TlConnectRequestWithSilo) == 56 &&
              offsetof(TlConnectRequestWithSilo, silo) == kSiloIdOffset);

struct TlConnectResult {
  MessageHeader header{MessageType::kTlConnectResult, 0};
  Guid endpoint;
  Guid service;
  std::uint32_t status = 0;
};
static_assert(sizeof(TlConnectResult) == 44 && offsetof(TlConnectResult, status) == 40);

struct ModifyConnection {
  MessageHeader header{MessageType::kModifyConnection, 0};
  std::uint64_t parent_to_child_monitor_gpa = 0;
  std::uint64_t child_to_parent_monitor_gpa = 0;
};
static_assert(sizeof(ModifyConnection) == 24 &&
              offsetof(ModifyConnection, parent_to_child_monitor_gpa) == 8 &&
              offsetof(ModifyConnection, child_to_parent_monitor_gpa) == 16);

/// The published message is 9 bytes; the rest is padding that a sender leaves away.
struct ModifyConnectionResponse {
  MessageHeader header{MessageType::kModifyConnectionResponse, 0};
  ContactState connection_state = ContactState::kSuccessful;
  std::array<std::uint8_t, 7> padding{};
};
inline constexpr std::size_t kModifyConnectionResponseSize = 9;
static_assert(sizeof(ModifyConnectionResponse) == 16 &&
              offsetof(ModifyConnectionResponse, connection_state) == 8);

}  // namespace vmbus
