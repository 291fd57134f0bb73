// The rules of coalescing one by one: what may merge, what must not, in the order of coalesce.h. Every batch also goes
// through the checks of batch.h. Cases follow the kernel's selftest net/gro.c: data, ack, flags, tcp, ip, large.
#include "batch.h"

using namespace vtepd;

using Shape = std::vector<std::vector<size_t>>;

static Shape shape(const std::vector<Added>& batch, uint32_t what = COALESCE_TCP | COALESCE_UDP) {
  Shape made;
  for (const Output& output : runBatch(batch, what)) made.push_back(output.frames);
  return made;
}

// n packets of one flow, each continuing the one before.
static std::vector<Packet> stream(Packet p, size_t n, size_t size = 100) {
  std::vector<Packet> made;
  for (size_t i = 0; i < n; i++) {
    p.payload = Bytes(size, static_cast<uint8_t>(i + 1));
    made.push_back(p);
    p.sequence += static_cast<uint32_t>(size);
    p.id++;
  }
  return made;
}

static std::vector<Added> added(const std::vector<Packet>& packets) {
  std::vector<Added> batch;
  for (const Packet& p : packets) batch.push_back({build(p)});
  return batch;
}

static const Shape kOne{{0, 1, 2}};
static const Shape kNone{{0}, {1}, {2}};

template <typename Change>
static Shape changed(Packet base, size_t which, Change change) {
  std::vector<Packet> packets = stream(base, 3);
  change(packets[which]);
  return shape(added(packets));
}

static std::vector<Packet> bases() {
  std::vector<Packet> made;
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      for (const std::vector<uint32_t>& tags : {std::vector<uint32_t>{}, {0x81006007}, {0x88a80007, 0x81006007}}) {
        Packet p;
        p.v6 = v6;
        p.udp = udp;
        p.tags = tags;
        p.sequence = 0xffffff90;  // wraps within the run
        p.id = 0xffff;
        made.push_back(p);
        p.fragment = 0;
        p.tcpOptions = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
        made.push_back(p);
      }
    }
  }
  return made;
}

static void headers(const Packet& b) {
  CHECK(changed(b, 1, [](Packet&) {}) == kOne);
  // Rules 1: the middle one differs, hence nothing merges with it, nor behind it with the first.
  CHECK(changed(b, 1, [](Packet& p) { p.ethernet[0] ^= 2; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.ethernet[11] ^= 1; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.tags.insert(p.tags.begin(), 0x81000000); }) == kNone);
  for (size_t n = 0; n < b.tags.size(); n++) {
    for (const uint32_t bit : {1u, 0x2000u, 0x81000000u ^ 0x88a80000u})
      CHECK(changed(b, 1, [&](Packet& p) { p.tags[n] ^= bit; }) == kNone);
  }
  CHECK(changed(b, 1, [](Packet& p) { p.tos ^= 1; }) == kNone);  // ECN
  CHECK(changed(b, 1, [](Packet& p) { p.tos ^= 4; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.ttl--; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.payload.push_back(9); }) ==
        (b.udp ? Shape{{0}, {1, 2}} : kNone));  // longer than the first
  if (b.v6) {
    CHECK(changed(b, 1, [](Packet& p) { p.flowLabel = 1; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.extensions = {0}; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.extensions = {60, 0}; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.extensions = {44}; }) == kNone);
  } else {
    CHECK(changed(b, 1, [](Packet& p) { p.fragment ^= 0x4000; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.fragment |= 0x8000; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.fragment = 0x2000; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.fragment = 5; }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.ipOptions = Bytes(4, 1); }) == kNone);
    CHECK(changed(b, 1, [](Packet& p) { p.ipSumWrong = true; }) == kNone);
    CHECK(changed(b, 0, [](Packet& p) { p.ipSumWrong = true; }) == (Shape{{0}, {1, 2}}));
    const bool idCounts = !(b.fragment & 0x4000);
    CHECK(changed(b, 1, [](Packet& p) { p.id += 5; }) == (idCounts ? kNone : kOne));
    CHECK(changed(b, 2, [](Packet& p) { p.id--; }) == (idCounts ? Shape{{0, 1}, {2}} : kOne));
  }
  // Options and extension headers never merge, not even with their like.
  Packet extended = b;
  if (b.v6) extended.extensions = {0};
  else extended.ipOptions = Bytes(4, 1);
  CHECK(changed(extended, 1, [](Packet&) {}) == kNone);
  Packet evil = b;  // RFC 3514
  evil.fragment |= 0x8000;
  if (!b.v6) CHECK(changed(evil, 1, [](Packet&) {}) == kNone);
  // With the tag of an AC in front of them these could not be cut any more.
  Packet deep = b;
  deep.tags.resize(3, 0x81000009);
  CHECK(changed(deep, 1, [](Packet&) {}) == kNone);
  // Another flow does not disturb (with TCP, and with IDs that count, it leaves a hole).
  const Shape around = b.udp && (b.v6 || (b.fragment & 0x4000)) ? Shape{{0, 2}, {1}} : kNone;
  CHECK(changed(b, 1, [](Packet& p) { p.source[3] ^= 1; }) == around);
  CHECK(changed(b, 1, [](Packet& p) { p.destination[0] ^= 1; }) == around);
  CHECK(changed(b, 1, [](Packet& p) { p.sourcePort ^= 1; }) == around);
  CHECK(changed(b, 1, [](Packet& p) { p.destinationPort ^= 1; }) == around);
  CHECK(changed(b, 1, [](Packet& p) { p.udp = !p.udp; }) == around);
  // Rule 2.
  for (size_t i = 0; i < 3; i++) CHECK(changed(b, i, [](Packet& p) { p.padding = Bytes(7, 0xee); }) == kOne);
  // Rule 6.
  CHECK(changed(b, 0, [](Packet& p) { p.sum = Sum::wrong; }) == (Shape{{0}, {1, 2}}));
  CHECK(changed(b, 1, [](Packet& p) { p.sum = Sum::wrong; }) == kNone);
  CHECK(changed(b, 2, [](Packet& p) { p.sum = Sum::wrong; }) == (Shape{{0, 1}, {2}}));
  for (size_t i = 0; i < 3; i++) CHECK(changed(b, i, [](Packet& p) { p.sum = Sum::unfinished; }) == kOne);
  // Key: everything outside the frame.
  std::vector<Added> batch = added(stream(b, 3));
  batch[1].key = 2;
  CHECK(shape(batch) == kNone);
  batch[2].key = 2;
  CHECK(shape(batch) == (Shape{{0}, {1, 2}}));
  // Not asked to.
  CHECK(shape(added(stream(b, 3)), 0) == kNone);
  CHECK(shape(added(stream(b, 3)), b.udp ? COALESCE_TCP : COALESCE_UDP) == kNone);
  CHECK(shape(added(stream(b, 3)), b.udp ? COALESCE_UDP : COALESCE_TCP) == kOne);
}

static void tcp(const Packet& b) {
  for (int bit = 0; bit < 8; bit++) {
    const uint8_t flag = static_cast<uint8_t>(1 << bit);
    // PSH ends the run, ACK must be there, all others go alone and seal.
    const Shape expected = flag == 0x08 ? Shape{{0, 1}, {2}} : kNone;
    CHECK(changed(b, 1, [flag](Packet& p) { p.flags ^= flag; }) == expected);
  }
  CHECK(changed(b, 0, [](Packet& p) { p.flags |= 0x08; }) == (Shape{{0}, {1, 2}}));
  CHECK(changed(b, 2, [](Packet& p) { p.flags |= 0x08; }) == kOne);
  const std::vector<Output> pushed = runBatch(added([&] {
    auto s = stream(b, 3);
    s[2].flags |= 0x08;
    return s;
  }()));
  CHECK(pushed[0].bytes[b.l4At() + 13] == 0x18 && pushed[0].raw.gso.size == 100);
  Packet ece = b;
  ece.flags = 0x50;
  CHECK(changed(ece, 1, [](Packet&) {}) == kOne);
  Packet odd = b;
  odd.flags = 0;
  CHECK(changed(odd, 1, [](Packet&) {}) == kNone);

  CHECK(changed(b, 1, [](Packet& p) { p.payload.pop_back(); }) == (Shape{{0, 1}, {2}}));
  CHECK(changed(b, 2, [](Packet& p) { p.payload.resize(1); }) == kOne);
  CHECK(changed(b, 1, [](Packet& p) { p.acknowledgement++; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.window++; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.urgent++; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.reserved = 1; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.sequence++; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.sequence -= 100; }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.tcpOptions.resize(p.tcpOptions.size() + 4, 1); }) == kNone);
  if (!b.tcpOptions.empty()) CHECK(changed(b, 1, [](Packet& p) { p.tcpOptions.back() ^= 1; }) == kNone);
  // A hole: the later pair goes together, behind the first.
  CHECK(changed(b, 0, [](Packet& p) { p.sequence -= 1; }) == (Shape{{0}, {1, 2}}));

  // Rule 5: a pure ACK may be overtaken, one with ECE or a payload-less PSH not.
  std::vector<Packet> s = stream(b, 3);
  Packet ack = s[1];
  ack.payload.clear();
  if (b.fragment & 0x4000) {
    CHECK(shape(added({s[0], ack, s[1], s[2]})) == (Shape{{0, 2, 3}, {1}}));
    ack.flags = 0x50;
    CHECK(shape(added({s[0], ack, s[1], s[2]})) == (Shape{{0}, {1}, {2, 3}}));
    ack.flags = 0x18;
    CHECK(shape(added({s[0], ack, s[1], s[2]})) == (Shape{{0}, {1}, {2, 3}}));
    ack.flags = 0x11;
    CHECK(shape(added({s[0], ack, s[1], s[2]})) == (Shape{{0}, {1}, {2, 3}}));
  }
  // Two flows interleaved.
  Packet other = b;
  other.sourcePort++;
  const std::vector<Packet> t = stream(other, 3);
  CHECK(shape(added({s[0], t[0], s[1], t[1], t[2], s[2]})) == (Shape{{0, 2, 5}, {1, 3, 4}}));
}

static void udp(const Packet& b) {
  CHECK(changed(b, 1, [](Packet& p) { p.payload.pop_back(); }) == (Shape{{0, 1}, {2}}));
  CHECK(changed(b, 2, [](Packet& p) { p.payload.resize(1); }) == kOne);
  CHECK(changed(b, 1, [](Packet& p) { p.payload.clear(); }) == kNone);
  CHECK(changed(b, 1, [](Packet& p) { p.sum = Sum::absent; }) == kNone);
  CHECK(changed(b, 0, [](Packet& p) { p.sum = Sum::absent; }) == (Shape{{0}, {1, 2}}));
  const std::vector<Output> absent = runBatch(added([&] {
    auto s = stream(b, 3);
    s[1].sum = Sum::absent;
    return s;
  }()));
  CHECK(absent[1].raw.csum == COALESCE_CSUM_UNKNOWN);  // absent is not wrong
  // A UDP length that is not IP's.
  std::vector<Added> batch = added(stream(b, 3));
  batch[1].frame[b.l4At() + 5]--;
  CHECK(shape(batch) == kNone);
}

static void seals(const Packet& b) {
  const std::vector<Added> s = added(stream(b, 3));
  Bytes arp(60, 0);
  arp[12] = 8;
  arp[13] = 6;
  for (const Bytes& stranger : {arp, Bytes{}, Bytes(13, 0), Bytes(s[1].frame.begin(), s[1].frame.begin() + 30)}) {
    CHECK(shape({s[0], {stranger}, s[1], s[2]}) == (Shape{{0}, {1}, {2, 3}}));
    CHECK(shape({s[0], s[1], {stranger}, s[2]}) == (Shape{{0, 1}, {2}, {3}}));
  }
  // A super-frame passes with its metadata and seals its flow.
  Gso gso{};
  gso.type = GSO_TCPV4;
  gso.units = 7;
  gso.needsCsum = 1;
  std::vector<Added> batch = s;
  batch[1].gso = &gso;
  CHECK(shape(batch) == kNone);
  CHECK(runBatch(batch)[1].raw.gso.units == 7);
}

static void limits() {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      Packet b;
      b.v6 = v6;
      b.udp = udp;
      const size_t most = udp ? 64 : 128;
      const std::vector<Output> many = runBatch(added(stream(b, most + 3, 20)));
      CHECK(many.size() == 2 && many[0].frames.size() == most && many[1].frames.size() == 3);
      // 65535 from the IP header, to the byte.
      const size_t header = (v6 ? 40 : 20) + (udp ? 8 : 20);
      std::vector<Packet> exact = stream(b, 5, 14000);
      exact[4].payload.resize(65535 - header - 4 * 14000);
      CHECK(runBatch(added(exact)).size() == 1);
      exact[4].payload.push_back(0);
      CHECK(runBatch(added(exact)).size() == 2);
    }
  }
  // More frames than there is room for.
  Coalescer* c = new Coalescer;
  coalesceInit(c);
  coalesceBegin(c, COALESCE_TCP | COALESCE_UDP);
  uint8_t frame[60] = {0};
  for (int i = 0; i < COALESCE_MAX_FRAMES; i++) CHECK(coalesceAdd(c, frame, 60, 0, nullptr) == 1);
  CHECK(coalesceAdd(c, frame, 60, 0, nullptr) == 0 && coalesceEnd(c) == COALESCE_MAX_FRAMES);
  // The epoch wraps: slots of the distant past are not this batch's.
  Bytes data = build(stream(Packet{}, 1)[0]);
  c->epoch = 0xffffffffu;
  for (int i = 0; i < 3; i++) {
    coalesceBegin(c, COALESCE_TCP);
    CHECK(coalesceAdd(c, data.data(), static_cast<uint32_t>(data.size()), 0, nullptr) == 1);
    CHECK(coalesceEnd(c) == 1 && c->outputs[0].sliceCount == 0 && c->epoch != 0);
  }
  delete c;
}

// Thousands of flows at once: full neighbourhoods lose merging, never order.
static void crowd(Random& random) {
  std::vector<Added> batch;
  std::vector<std::vector<Packet>> flows;
  for (int i = 0; i < 700; i++) {
    Packet p;
    p.v6 = random.onceIn(2);
    p.udp = random.onceIn(2);
    p.source = random.bytes(4);
    p.sourcePort = static_cast<uint16_t>(random.next());
    flows.push_back(stream(p, 2, 20));
  }
  for (size_t round = 0; round < 2; round++) {
    for (const auto& flow : flows) batch.push_back({build(flow[round])});
  }
  CHECK(runBatch(batch).size() < 720);
}

// Cut a super-frame, feed the segments back: one run, the same bytes.
static void roundTrip(Random& random) {
  for (int i = 0; i < 60; i++) {
    Packet p;
    p.v6 = random.onceIn(2);
    p.udp = random.onceIn(2);
    p.tags = tagsOf(random, random.below(3));
    p.sequence = static_cast<uint32_t>(random.next());
    p.id = static_cast<uint16_t>(random.next());
    p.fragment = random.onceIn(2) ? 0x4000 : 0;
    p.flags = random.onceIn(2) ? 0x18 : 0x10;
    const size_t size = 500 + random.below(900);
    p.payload = random.bytes(size + 1 + random.below(static_cast<uint32_t>(40 * size)));
    if (p.payload.size() > 65000) p.payload.resize(65000);
    p.sum = Sum::unfinished;
    std::vector<Added> batch;
    for (const Bytes& segment : cut(p, size, false)) batch.push_back({segment});
    const std::vector<Output> outputs = runBatch(batch);
    CHECK(outputs.size() == 1 && outputs[0].bytes == build(p) && outputs[0].raw.gso.size == size);
  }
}

int main() {
  const uint64_t seed = seedOfRun();
  std::printf("coalesce-test: SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random{seed};
  for (const Packet& b : bases()) {
    headers(b);
    if (b.udp) udp(b);
    else tcp(b);
    seals(b);
  }
  limits();
  crowd(random);
  roundTrip(random);
  std::puts("coalesce-test: ok");
}
