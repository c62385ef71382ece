// A ring all-reduce in SimGrid, every message a flow: the peer that shares links max-min fairly, as ringsim does.
//
// Written to be as quick as SimGrid lets a user be. In `flows` there is no actor at all: a message that has arrived
// starts the ones that wait for it, straight from the completion callback. In `actors` every card is a process that
// sends, receives and waits, as one would write it first. Models are set to the textbook: no TCP window, no
// correction factors, so that the time is 2(p-1)(alpha + S/(pB)) and can be compared to the last digits.
//
//   g++ -O2 -o simgrid_ring simgrid_ring.cpp -lsimgrid
//   ./simgrid_ring flows 1024 65536 300e9 3.875e-6       # how, cards, bytes a message, bytes/s, seconds
//
// Prints one line of JSON: simulated seconds, messages, wall and processor seconds of the simulation alone.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <simgrid/s4u.hpp>
#include <xbt/log.h>

namespace sg4 = simgrid::s4u;

static std::vector<sg4::Host*> hosts;
static int p, steps;
static double bytes;
static long messages = 0;

// What each card's next message waits for: the one before it on its connection, and the one it passes on.
static std::vector<int> sent, arrived, sending;

// The message under way and the one before it: SimGrid still looks at a message after its completion callback.
static std::vector<sg4::CommPtr> kept[2];

static void begin(int card)
{
  sending[card] = 1;
  auto comm     = sg4::Comm::sendto_init(hosts[card], hosts[(card + 1) % p]);
  comm->set_payload_size(bytes);
  comm->set_name(std::to_string(card));
  kept[sent[card] % 2][card] = comm;
  comm->vetoable_start();
}

static void try_next(int card)
{
  if (not sending[card] && sent[card] < steps && arrived[card] >= sent[card])
    begin(card);
}

static void completed(int card)
{
  messages++;
  sending[card] = 0;
  sent[card]++;
  int next = (card + 1) % p;
  arrived[next]++;
  try_next(card);
  try_next(next);
}

static void actor(int card)
{
  auto* in  = sg4::Mailbox::by_name(std::to_string(card));
  auto* out = sg4::Mailbox::by_name(std::to_string((card + 1) % p));
  static int token;
  for (int q = 0; q < steps; q++) {
    auto send = out->put_async(&token, bytes);
    in->get<int>();
    send->wait();
    messages++;
  }
}

int main(int argc, char** argv)
{
  xbt_log_control_set("root.thresh:warning");
  sg4::Engine engine(&argc, argv);
  for (const char* setting : {"network/model:CM02", "network/TCP-gamma:0", "network/crosstraffic:0",
                              "network/latency-factor:1", "network/bandwidth-factor:1", "network/weight-S:0"})
    sg4::Engine::set_config(setting);
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s flows|actors CARDS BYTES BANDWIDTH LATENCY\n", argv[0]);
    return 2;
  }
  const std::string how = argv[1];
  p     = std::atoi(argv[2]);
  steps = 2 * (p - 1);
  bytes = std::atof(argv[3]);
  const double bandwidth = std::atof(argv[4]), latency = std::atof(argv[5]);

  // One link out of every card and one into it, as on a switch; the latency is all on the way out.
  auto* zone = sg4::create_star_zone("switch");
  for (int i = 0; i < p; i++) {
    auto* host = zone->create_host(std::to_string(i), 1e9);
    auto* up   = zone->create_link("up" + std::to_string(i), bandwidth)->set_latency(latency)->seal();
    auto* down = zone->create_link("down" + std::to_string(i), bandwidth)->set_latency(0)->seal();
    zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr, {sg4::LinkInRoute(up)}, false);
    zone->add_route(nullptr, host->get_netpoint(), nullptr, nullptr, {sg4::LinkInRoute(down)}, false);
    hosts.push_back(host);
  }
  zone->seal();

  const auto began     = std::chrono::steady_clock::now();
  const auto processor = std::clock();
  if (how == "actors") {
    for (int i = 0; i < p; i++)
      sg4::Actor::create(std::to_string(i), hosts[i], actor, i);
  } else {
    sent.assign(p, 0);
    arrived.assign(p, 0);
    sending.assign(p, 0);
    kept[0].resize(p);
    kept[1].resize(p);
    sg4::Activity::on_completion_cb([](sg4::Activity const& done) { completed(std::atoi(done.get_cname())); });
    for (int i = 0; i < p; i++)
      begin(i);
  }
  engine.run();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("{\"time_s\": %.17g, \"messages\": %ld, \"wall_s\": %.6f, \"cpu_s\": %.6f}\n", sg4::Engine::get_clock(),
              messages, wall, double(std::clock() - processor) / CLOCKS_PER_SEC);
  return 0;
}
