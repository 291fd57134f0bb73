// Z4: a batch of hostile frames. The input is read as decisions: so many frames of few flows, each continuing its flow
// unless a decision says otherwise, some with bytes changed afterwards. All oracles are those of batch.h.
#include "batch.h"

using namespace vtepd;

Bytes fuzzSeed(Random& random) {
  Bytes input = random.bytes(20 + random.below(random.onceIn(2) ? 150 : 400));
  if (random.onceIn(3)) {
    // Long chains of several flows through each other: next to nothing but "continue".
    for (size_t i = 3; i < input.size(); i++) {
      if (!random.onceIn(24)) input[i] = static_cast<uint8_t>(i < 7 ? input[i] & 0x33 : input[i] & 0x03);
    }
    return input;
  }
  // Mostly quiet: zero means "continue".
  if (!random.onceIn(4)) {
    for (auto& b : input) {
      if (!random.onceIn(6)) b = static_cast<uint8_t>(b & (random.onceIn(2) ? 0x03 : 0));
    }
  }
  return input;
}

struct Decisions {
  const uint8_t* at;
  size_t left;
  uint8_t next() { return left == 0 ? 0 : (left--, *at++); }
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Decisions d{data, size};
  Random random{d.next()};
  const uint32_t what = d.next() & 8 ? d.next() & 3 : 3;
  std::vector<Packet> flows(4);
  for (size_t i = 0; i < flows.size(); i++) {
    Packet& p = flows[i];
    const uint8_t kind = d.next();
    p.v6 = kind & 1;
    p.udp = kind & 2;
    if (kind & 4) p.tags = tagsOf(random, 1 + random.below(4));
    p.fragment = kind & 8 ? 0 : 0x4000;
    if (kind & 16) p.tcpOptions = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    p.sourcePort = static_cast<uint16_t>(kind & 32 ? 1000 : 1000 + i);
    p.sequence = kind & 64 ? 0xfffffff0 : 1;
    p.id = kind & 128 ? 0xfffe : 1;
  }
  std::vector<Added> batch;
  std::vector<size_t> sizes(flows.size(), 1 + d.next() % 120u * ((d.next() & 15) == 15 ? 20u : 1u));
  while (d.left > 0 && batch.size() < 256) {
    const uint8_t which = d.next();
    const size_t i = which & 3;
    Packet p = flows[i];
    uint64_t key = 1;
    size_t bytes = sizes[i];
    if (which & 4) p.flags |= d.next();
    if (which & 8) bytes = d.next();
    if (which & 16) {
      const uint8_t change = d.next();
      switch (change % 20) {
        case 0: p.sum = Sum::wrong; break;
        case 1: p.sum = Sum::unfinished; break;
        case 2: p.sum = p.udp ? Sum::absent : Sum::unfinished; break;
        case 3: p.padding = random.bytes(change); break;
        case 4: p.ttl--; break;
        case 5: p.tos ^= 3; break;
        case 6: p.id = static_cast<uint16_t>(p.id + change); break;
        case 7: p.sequence += change; break;
        case 8: p.acknowledgement++; break;
        case 9: p.window++; break;
        case 10: p.fragment ^= static_cast<uint16_t>(change << 8); break;
        case 11: p.ipOptions = Bytes(8, 1); break;
        case 12: p.extensions = {60}; break;
        case 13: p.ipSumWrong = true; break;
        case 14: key = change; break;
        case 15: p.flags = change; break;
        case 16: p.ethernet[5] = change; break;
        case 17: p.tags = tagsOf(random, change % 5); break;
        case 18: p.urgent = change; break;
        case 19: p.reserved = change & 15; break;
      }
    }
    p.payload = random.bytes(bytes);
    Bytes frame = build(p);
    if (which & 32) {
      for (int n = d.next() & 3; n >= 0; n--) frame[d.next() % frame.size()] ^= static_cast<uint8_t>(d.next());
    }
    if ((which & 0xc0) == 0xc0) frame.resize(frame.size() * d.next() / 255);
    batch.push_back({frame, key});
    flows[i].sequence += static_cast<uint32_t>(bytes);
    flows[i].id++;
  }
  runBatch(batch, what);
  return 0;
}
