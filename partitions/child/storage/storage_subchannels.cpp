// The sub-channels of a disk: one task opens them as the root offers them and closes those that it
// takes away.
#include "machine/testing.h"
#include "partitions/child/storage/storage_client.h"

namespace child {

namespace {

constexpr machine::Site kSubchannelOpened("child.storage.subchannel_opened");
constexpr machine::Site kSubchannelLost("child.storage.subchannel_taken_away");

}  // namespace

StorageChannel* StorageClient::channel_at(std::uint32_t number) {
  if (number == 0) {
    return primary_.broken() ? nullptr : &primary_;
  }
  return usable_[number - 1] ? subchannels_[number - 1] : nullptr;
}

void StorageClient::begin_subchannels() {
  if (handshake_.granted_subchannels() == 0) {
    return;
  }
  has_subchannels_ = true;
  ending_subchannels_ = false;
  subchannels_ended_.clear();
  bus_.listen_for_offers(subchannels_changed_);
  keep_subchannels().spawn();
}

kernel::Task<> StorageClient::end_subchannels(bool keep) {
  if (!has_subchannels_) {
    co_return;
  }
  ending_subchannels_ = true;
  subchannels_changed_.give();
  co_await subchannels_ended_.wait();
  bus_.stop_listening(subchannels_changed_);
  has_subchannels_ = false;
  for (std::uint32_t index = 0; index < kMostSubchannels; ++index) {
    usable_[index] = false;
    if (subchannels_[index] == nullptr) {
      continue;
    }
    if (keep) {
      subchannels_[index]->give_up();
      co_await subchannels_[index]->stop_serving();
    } else {
      co_await close_subchannel(index);
    }
  }
}

kernel::Task<> StorageClient::keep_subchannels() {
  while (!ending_subchannels_) {
    for (std::uint32_t index = 0; index < handshake_.granted_subchannels(); ++index) {
      co_await look_after(index);
    }
    co_await subchannels_changed_.wait();
  }
  subchannels_ended_.set();
}

kernel::Task<> StorageClient::look_after(std::uint32_t index) {
  const StorageChannel* const channel = subchannels_[index];
  if (channel == nullptr && !ending_subchannels_ && !primary_.broken()) {
    co_await open_subchannel(index);
  } else if (channel != nullptr && channel->broken() && channel->users == 0) {
    machine::sometimes(kSubchannelLost, channel->removed());
    co_await close_subchannel(index);
    subchannels_changed_.give();  // It may be there again already.
  }
}

kernel::Task<> StorageClient::open_subchannel(std::uint32_t index) {
  OfferedDevice* const device =
      bus_.find_subchannel(instance_, static_cast<std::uint16_t>(index + 1));
  if (device == nullptr) {
    co_return;
  }
  StorageChannelOwner& owner = *this;
  auto* channel =
      kernel_.heap().create<StorageChannel>(kernel_, bus_, *device, owner, options_.ring_pages);
  subchannels_[index] = channel;
  const bool opened = co_await channel->open((index + 1) % bus_.processors());
  machine::sometimes(kSubchannelOpened, opened);
  if (opened) {
    channel->serve();
    usable_[index] = !channel->broken();
  } else {
    co_await close_subchannel(index);
  }
}

/// Nobody uses it any more.
kernel::Task<> StorageClient::close_subchannel(std::uint32_t index) {
  StorageChannel& channel = *subchannels_[index];
  usable_[index] = false;
  while (channel.users != 0) {
    co_await kernel::Yield();
  }
  co_await channel.stop_serving();
  co_await channel.close();
  subchannels_[index] = nullptr;
  kernel_.heap().destroy(&channel);
}

kernel::Task<bool> StorageClient::move(std::uint32_t number, std::uint32_t target_vp) {
  StorageChannel* const channel = channel_at(number);
  if (channel == nullptr) {
    co_return false;
  }
  ++channel->users;
  const bool moved = co_await bus_.move(channel->device(), target_vp);
  --channel->users;
  subchannels_changed_.give();
  co_return moved;
}

}  // namespace child
