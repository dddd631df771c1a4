#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "metal/launch/bochs.h"
#include "metal/launch/serial_log.h"

TEST_CASE("serial lines are passed on as they are completed, without line ends", "[metal]") {
  std::vector<std::string> seen;
  metal::SerialLog log([&](std::string_view line) { seen.emplace_back(line); });
  log.append("[root] he");
  CHECK(seen.empty());
  log.append("llo\r\n[child 1] hi\n[root] la");
  CHECK(seen == std::vector<std::string>{"[root] hello", "[child 1] hi"});
  log.finish();
  CHECK(log.guest_lines() == std::vector<std::string>{"[root] hello", "[child 1] hi", "[root] la"});
}

TEST_CASE("the machine's own reports are kept apart from the guests' lines", "[metal]") {
  metal::SerialLog log({});
  log.append("[root] a\nchronovisor: panic: broken\nchronovisor: stopped with code 3\n");
  CHECK(log.guest_lines() == std::vector<std::string>{"[root] a"});
  CHECK(log.reports() == std::vector<std::string>{"panic: broken", "stopped with code 3"});
  CHECK(log.stop_code() == 3u);
}

TEST_CASE("violated properties are found among the reports", "[metal]") {
  metal::SerialLog log({});
  log.append("chronovisor: property violated: ring.in_order a=0x1 b=0x2\nchronovisor: other\n");
  CHECK(log.violations() == std::vector<std::string>{"ring.in_order a=0x1 b=0x2"});
  CHECK(log.reports().size() == 2);
}

TEST_CASE("a guest that prints half of a stop line does not stop the machine", "[metal]") {
  metal::SerialLog log({});
  log.append("stopped with code 0\nchronovisor: stopped with code\n");
  log.append("chronovisor: stopped with code 1x\n");
  CHECK_FALSE(log.stop_code().has_value());
}

TEST_CASE("an image that is not there is an error, not a crash", "[metal]") {
  const metal::LaunchResult result = metal::run_bochs({.image = "/nowhere/no.iso"});
  CHECK(result.end == metal::LaunchEnd::kNotStarted);
  CHECK(result.error == "there is no image /nowhere/no.iso");
}
