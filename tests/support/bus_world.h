// A client wired to a server through two queues, with devices that answer when the test says so and
// drivers that do what drivers do. Devices and drivers check what each end has promised them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vmbus/client/client.h"
#include "vmbus/server/server.h"

namespace bus_world {

constexpr std::size_t kDevices = 3;
constexpr std::size_t kChannelSlots = 4;
constexpr std::size_t kGpadlSlots = 16;

using Queue = std::deque<std::vector<std::byte>>;

/// Thrown when an end breaks a promise.
struct Broken {
  std::string what;
};
void expect(bool condition, const char* what);

/// The root's side of one device.
struct Device {
  std::optional<vmbus::OfferId> offer;
  bool open = false;
  vmbus::GpadlId ring;
  std::set<std::uint32_t> held;  // GPADLs
};

/// A question that a device has not answered yet.
struct Question {
  enum class Kind { kContact, kOpen, kClose, kRetarget, kGpadl, kRelease };
  Kind kind = Kind::kContact;
  vmbus::OfferId offer;
  vmbus::GpadlId gpadl;
};

class Root final : public vmbus::ServerNotifier {
 public:
  explicit Root(Queue& to_client);

  /// Answers the question that `choice` picks; false if there is none, or its turn has not come.
  bool answer(std::size_t choice, bool success);
  bool offer_device(std::size_t device);
  bool revoke_device(std::size_t device);

  [[nodiscard]] vmbus::Server& server() { return server_; }
  [[nodiscard]] const std::array<Device, kDevices>& devices() const { return devices_; }
  [[nodiscard]] const std::vector<Question>& questions() const { return questions_; }
  [[nodiscard]] std::size_t words_used() const { return storage_.used_words(); }

  void send_message(std::uint32_t target_vp, std::span<const std::byte> message) override;
  void send_reserved_message(const vmbus::ReservedTarget& target,
                             std::span<const std::byte> message) override;
  void hold_messages(bool) override {}
  void forget_messages() override { to_client_.clear(); }
  [[nodiscard]] bool change_monitor_pages(const vmbus::MonitorPages&) override { return true; }
  void tl_connect(const vmbus::TlConnect& request) override {
    static_cast<void>(server_.refuse_tl_connect(request.endpoint, request.service,
                                                vmbus::kStatusConnectionRefused));
  }
  void contact(const vmbus::Contact& contact) override;
  void disconnected() override;
  void open(vmbus::OfferId offer, const vmbus::ChannelOpening& opening,
            const vmbus::RingPages& rings) override;
  void close(vmbus::OfferId offer) override;
  void retarget(vmbus::OfferId offer, std::uint32_t target_vp) override;
  void gpadl(vmbus::OfferId offer, const vmbus::Gpadl& gpadl) override;
  void gpadl_release(vmbus::OfferId offer, vmbus::GpadlId id) override;

 private:
  Device& device_of(vmbus::OfferId offer);
  void answer(const Question& question, bool success);

  Queue& to_client_;
  std::array<std::uint64_t, 4096> words_{};
  std::array<vmbus::ServerChannel, kChannelSlots> channels_{};
  std::array<vmbus::Gpadl, kGpadlSlots> gpadls_{};
  vmbus::FixedGpadlStorage storage_{words_};
  vmbus::Server server_;
  std::array<Device, kDevices> devices_{};
  std::vector<Question> questions_;
};

/// The child's side of one channel.
struct Driver {
  enum class State { kIdle, kCreatingRing, kReady, kOpening, kOpen };
  State state = State::kIdle;
  std::optional<std::uint32_t> ring;
  std::set<std::uint32_t> creating;
  std::set<std::uint32_t> lent;
  std::set<std::uint32_t> tearing_down;
  bool modifying = false;
  bool rescinded = false;
};

class Child final : public vmbus::ClientNotifier {
 public:
  Child(Queue& to_server, vmbus::Version version);

  /// One of the things that drivers may do now; false if `choice` picks nothing.
  bool act(std::size_t choice);
  bool connect();
  bool unload();
  /// A kernel that crashed, and another one that knows nothing of it.
  void restart();

  [[nodiscard]] vmbus::Client& client() { return *client_; }
  [[nodiscard]] const std::map<std::uint32_t, Driver>& drivers() const { return drivers_; }
  [[nodiscard]] bool connecting() const { return waiting_for_contact_; }
  [[nodiscard]] bool unloading() const { return waiting_for_unload_; }

  void send_message(std::uint32_t connection, std::span<const std::byte> message) override;
  void connected(vmbus::Version version) override;
  void connect_failed() override;
  void offered(vmbus::ChannelId channel, const vmbus::OfferChannel& offer) override;
  void all_offers_delivered() override {}
  void opened(vmbus::ChannelId channel, bool success) override;
  void rescinded(vmbus::ChannelId channel) override;
  void modified(vmbus::ChannelId channel, bool success) override;
  void gpadl_created(vmbus::GpadlId gpadl, bool success) override;
  void gpadl_torndown(vmbus::GpadlId gpadl) override;
  void unloaded() override;
  void reserved_closed(vmbus::ChannelId) override {}
  void service_refused(const vmbus::Guid&, const vmbus::Guid&, std::uint32_t) override {}
  void connection_modified(bool) override {}
  void paused() override {}

 private:
  Driver& driver_of_gpadl(vmbus::GpadlId gpadl);
  bool lend(std::uint32_t channel, Driver& driver, std::size_t pages);
  bool take_back(Driver& driver, std::uint32_t gpadl);
  bool act_on(std::uint32_t channel, Driver& driver, std::size_t choice);
  bool leave(std::uint32_t channel, Driver& driver);

  Queue& to_server_;
  vmbus::Version version_;
  std::array<vmbus::ClientChannel, kChannelSlots> channels_{};
  std::array<vmbus::ClientGpadl, kGpadlSlots> gpadls_{};
  std::unique_ptr<vmbus::Client> client_;
  std::map<std::uint32_t, Driver> drivers_;
  bool waiting_for_contact_ = false;
  bool waiting_for_unload_ = false;
};

class World {
 public:
  explicit World(vmbus::Version version) : root(to_client), child(to_server, version) {}

  bool deliver_to_server();
  bool deliver_to_client();
  /// The child's kernel crashes; what was on its way to it comes to the next one, until the server
  /// hears of that.
  bool crash();
  /// The child's partition is reset: neither its kernel nor a message of its is left.
  void reset_partition();
  /// Delivers and answers, and lets rescinded drivers leave, until nothing moves.
  void settle();
  /// What must hold when nothing moves: nobody waits, and both ends count the same.
  void check_settled();

  Queue to_server;
  Queue to_client;
  Root root;
  Child child;
};

}  // namespace bus_world
