// Runs one of ringsim's programs in SimGrid: a row is an actor, a firing is a flow over the links of its route.
//
// Rates come from SimGrid alone. The network model is CM02 without anything of TCP: no correction factors, no window,
// no weight for narrow links, no traffic in the other direction. What ringsim's law of time adds to flows is written
// here once more, with actors that wait: turns on a connection, dependencies with lags, what a sender spends before a
// firing, what passes between its last byte and its delivery.
//
//   g++ -std=c++17 -O2 -o flows flows.cpp -lsimgrid
//   ./flows < program > times
//
// Reads numbers: links and rows; a line for each link (bytes/s, latency); a line for each row (bytes, firings, how many
// of them are reduced, latency, work, overhead, cap, row before it or -1, length of the route, its links, number of
// dependencies, a row and a lag for each). Writes a line for each firing, row by row: when it began to be sent, when it
// had left, when it was delivered; "nan" where that never happened.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <simgrid/s4u.hpp>
#include <xbt/log.h>

namespace sg4 = simgrid::s4u;

struct Dependency {
  int row, lag;
};

struct Firing {
  double start = NAN, left = NAN, delivered = NAN;
  sg4::SemaphorePtr arrival;
};

struct Row {
  double bytes, latency, work, overhead, cap;
  int reduces, before;
  std::vector<const sg4::Link*> route;
  std::vector<Dependency> dependencies;
  std::vector<Firing> firings;
  sg4::SemaphorePtr gone;
  sg4::Host *source, *target;
};

static std::vector<Row> rows;

// Precisions are as tight as they go: at 1e-16, the size of rounding itself, SimGrid crashes on some platforms.
static const char* const SETTINGS[] = {
    "network/model:CM02", "network/bandwidth-factor:1", "network/latency-factor:1", "network/TCP-gamma:0",
    "network/weight-S:0", "network/crosstraffic:0", "maxmin/precision:1e-14", "surf/precision:1e-14",
    "contexts/stack-size:128"};

template <class T> static T read()
{
  double number;
  if (std::scanf("%lf", &number) != 1) {
    std::fprintf(stderr, "the program ends too early\n");
    std::exit(3);
  }
  return static_cast<T>(number);
}

// Goes through a gate that is opened once and for everybody.
static void pass(const sg4::SemaphorePtr& gate)
{
  gate->acquire();
  gate->release();
}

static void deliver(Firing& firing)
{
  firing.delivered = sg4::Engine::get_clock();
  firing.arrival->release();
}

static void send(Row& row)
{
  if (row.before >= 0)
    pass(rows[row.before].gone);
  const int count = row.firings.size();
  for (int q = 0; q < count; q++) {
    for (const auto& [other, lag] : row.dependencies) {
      auto& awaited = rows[other].firings;
      if (q - lag >= 0)
        pass(awaited[std::min<int>(q - lag, awaited.size() - 1)].arrival);
    }
    if (row.overhead > 0)
      sg4::this_actor::sleep_for(row.overhead);
    Firing& firing = row.firings[q];
    firing.start   = sg4::Engine::get_clock();
    if (not row.route.empty())
      sg4::Comm::sendto_init(row.source, row.target)->set_payload_size(row.bytes)->wait();
    firing.left       = sg4::Engine::get_clock();
    const double wait = row.latency + (q < row.reduces ? row.work : 0.0);
    if (wait > 0)
      sg4::Actor::create("delivery", row.target, [&firing, wait] {
        sg4::this_actor::sleep_for(wait);
        deliver(firing);
      });
    else
      deliver(firing);
  }
  row.gone->release();
}

int main(int argc, char** argv)
{
  xbt_log_control_set("root.thresh:critical");
  sg4::Engine engine(&argc, argv);
  for (const char* setting : SETTINGS)
    sg4::Engine::set_config(setting);

  auto* zone = sg4::create_full_zone("all");
  std::vector<const sg4::Link*> links(read<int>());
  rows.resize(read<int>());
  for (size_t i = 0; i < links.size(); i++) {
    auto* link = zone->create_link(std::to_string(i), read<double>());
    links[i]   = link->set_latency(read<double>())->seal();
  }
  for (size_t v = 0; v < rows.size(); v++) {
    Row& row  = rows[v];
    row.gone  = sg4::Semaphore::create(0);
    row.bytes = read<double>();
    row.firings.resize(read<int>());
    for (auto& firing : row.firings)
      firing.arrival = sg4::Semaphore::create(0);
    row.reduces  = read<int>();
    row.latency  = read<double>();
    row.work     = read<double>();
    row.overhead = read<double>();
    row.cap      = read<double>();
    row.before   = read<int>();
    row.route.resize(read<int>());
    for (auto& link : row.route)
      link = links[read<int>()];
    row.dependencies.resize(read<int>());
    for (auto& [other, lag] : row.dependencies) {
      other = read<int>();
      lag   = read<int>();
    }
    // Two hosts for every row, so that a row's route is its own.
    row.source = zone->create_host("from" + std::to_string(v), 1.0);
    row.target = zone->create_host("to" + std::to_string(v), 1.0);
    if (not row.route.empty()) {
      std::vector<sg4::LinkInRoute> route(row.route.begin(), row.route.end());
      // SimGrid 3.32 forgets the rate of a flow between hosts, so a cap is a link that nobody else uses.
      if (std::isfinite(row.cap))
        route.emplace_back(zone->create_link("cap" + std::to_string(v), row.cap)->set_latency(0)->seal());
      zone->add_route(row.source->get_netpoint(), row.target->get_netpoint(), nullptr, nullptr, route, false);
    }
  }
  zone->seal();
  for (auto& row : rows)
    sg4::Actor::create("row", row.source, [&row] { send(row); });
  engine.run();
  for (const auto& row : rows)
    for (const auto& firing : row.firings)
      std::printf("%.17g %.17g %.17g\n", firing.start, firing.left, firing.delivered);
  return 0;
}
