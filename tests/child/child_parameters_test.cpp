#include <catch2/catch.hpp>

#include "partitions/child/parameters.h"
#include "partitions/root/child_parameters.h"

TEST_CASE("a child understands what the root tells it", "[child][root][parameters]") {
  root::Parameters told;
  told.workload = root::Workload::kStorage;
  told.seed = 0xFFFFFFFFFFFFFFF0;
  told.requests = 123;
  told.in_flight = 4;
  told.chunk_kib = 128;
  told.ring_kib = 8;
  told.busy_us = 900;
  told.timer_hz = 50;
  told.idle_ms = 99;
  told.rounds = 7;
  told.child_bus_version = 0x30000;
  const root::ChildParameterText text(told, 3);
  const auto understood = child::parse_parameters(text.view());
  REQUIRE(understood.has_value());
  CHECK(understood->workload == child::Workload::kStorage);
  CHECK(understood->seed == 0xFFFFFFFFFFFFFFF3);
  CHECK(understood->requests == 123);
  CHECK(understood->in_flight == 4);
  CHECK(understood->chunk_kib == 128);
  CHECK(understood->ring_kib == 8);
  CHECK(understood->busy_us == 900);
  CHECK(understood->timer_hz == 50);
  CHECK(understood->idle_ms == 99);
  CHECK(understood->rounds == 7);
  CHECK(child::bus_options(*understood).newest_version == vmbus::Version::kWin8_1);
  CHECK(child::bus_options(*understood).number == 3);
}

TEST_CASE("a child is told of the calls of the root that it will take",
          "[child][root][parameters]") {
  root::Parameters told;
  told.workload = root::Workload::kStream;
  told.connections = 5;
  told.messages = 6;
  told.calls = 9;
  const auto understood = child::parse_parameters(root::ChildParameterText(told, 1).view());
  REQUIRE(understood.has_value());
  CHECK(understood->workload == child::Workload::kStream);
  CHECK(understood->connections == 5);
  CHECK(understood->messages == 6);
  CHECK(understood->calls == 7);  // the fourth and the eighth are to nobody
}

TEST_CASE("a child understands as many connections as the root can tell it of",
          "[child][root][parameters]") {
  root::Parameters told;
  told.workload = root::Workload::kLoop;
  told.loop_count = kernel::kMaxLoopConnections;
  told.loops.fill({.id = 16777215, .sint = 15, .vp = 0xFFFFFFFF, .flags = 2048});
  const root::ChildParameterText text(told, 1024);
  const auto understood = child::parse_parameters(text.view());
  REQUIRE(understood.has_value());
  CHECK(understood->workload == child::Workload::kLoop);
  REQUIRE(understood->loop_count == kernel::kMaxLoopConnections);
  CHECK(understood->loops[7].id == 16777215);
  CHECK(understood->loops[7].sint == 15);
  CHECK(understood->loops[7].vp == 0xFFFFFFFF);
  CHECK(understood->loops[7].flags == 2048);
  CHECK_FALSE(child::parse_parameters("connection=65536 16 0 0\n").has_value());
}

TEST_CASE("a child refuses what it does not know", "[child][parameters]") {
  CHECK_FALSE(child::parse_parameters("colour=blue\n").has_value());
  CHECK_FALSE(child::parse_parameters("workload=sleep\n").has_value());
  CHECK_FALSE(child::parse_parameters("requests=many\n").has_value());
}
