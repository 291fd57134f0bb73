// Belief in metadata: what a guest may claim of a super-frame (T16-T18, O03), what a datagram is taken for (R1-R3).
#include <cstring>

#include "../../native-bindings/checksum.h"
#include "../../native-bindings/gso.h"
#include "guest.h"
#include "oracle.h"

using namespace vtepd;

static void guests(Random& random) {
  Packet p;
  p.sum = Sum::unfinished;
  p.payload = random.bytes(3000);
  Gso gso;
  for (size_t tags = 0; tags < 3; tags++) {
    for (const bool v6 : {false, true}) {
      for (const bool udp : {false, true}) {
        p.v6 = v6;
        p.udp = udp;
        p.tags = tagsOf(random, tags);
        const uint8_t type = udp ? GSO_UDP_L4 : v6 ? GSO_TCPV6 : GSO_TCPV4;
        const VnetHeader good = vnetOf(p, type, 1000);
        CHECK(believe(build(p), good, &gso) == GSO_OK);
        CHECK(gso.type == type && gso.ecn == 0 && gso.needsCsum == 1 && gso.size == 1000 && gso.units == 3);
        CHECK(gso.header == p.header() && gso.csumStart == p.l4At());
        VnetHeader back;
        gsoToVnet(&gso, &back);
        CHECK(back.flags == 1 && back.gsoType == type && back.gsoSize == 1000 && back.hdrLen == p.header());
        CHECK(back.csumStart == good.csumStart && back.csumOffset == good.csumOffset);
        VnetHeader v = good;
        v.gsoType = type | GSO_ECN_BIT;
        CHECK(believe(build(p), v, &gso) == GSO_OK && gso.type == type && gso.ecn == 1);
        v = good;
        v.hdrLen = 9999;  // T16
        CHECK(believe(build(p), v) == GSO_OK);
        for (const int off : {-4, -1, 1, 4}) {
          v = good;
          v.csumStart = static_cast<uint16_t>(v.csumStart + off);
          CHECK(believe(build(p), v, &gso) == GSO_BAD_CHECKSUM_AT && gso.type == 0 && gso.needsCsum == 0);
          v = good;
          v.csumOffset = static_cast<uint16_t>(v.csumOffset + off);
          CHECK(believe(build(p), v) == GSO_BAD_CHECKSUM_AT);
        }
        v = good;
        v.csumStart = 0;
        CHECK(believe(build(p), v) == GSO_BAD_CHECKSUM_AT);
        v = good;
        v.gsoSize = 0;
        CHECK(believe(build(p), v) == GSO_BAD_SIZE);
        v = good;
        v.flags = 0;
        CHECK(believe(build(p), v) == GSO_BAD_FLAGS);
        v = good;
        v.gsoType = 3;  // UFO
        CHECK(believe(build(p), v) == GSO_BAD_TYPE);
        v = good;
        v.gsoType = GSO_ECN_BIT;
        CHECK(believe(build(p), v) == GSO_BAD_TYPE);
        v = good;
        v.gsoSize = 8;  // 375 segments of a 54-byte header: an MSS of 48, all but 8 bytes of it options
        CHECK(believe(build(p), v, &gso) == (udp ? GSO_BAD_COUNT : GSO_OK) && (udp || gso.units == 375));
        v.gsoSize = 7;
        CHECK(believe(build(p), v) == (udp ? GSO_BAD_COUNT : GSO_BAD_SIZE));
        const Bytes whole = build(p);
        for (size_t n = 0; n < whole.size(); n += n < 130 ? 1 : 97) {
          CHECK(believe(Bytes(whole.begin(), whole.begin() + static_cast<long>(n)), good) < 0);
        }
        Bytes longer = whole;
        longer.push_back(0);
        CHECK(believe(longer, good) == GSO_BAD_FRAME);
      }
    }
  }
  // An AC may put one more in front of two; in front of three it could not be cut any more.
  Packet deep = p;
  for (size_t tags = 0; tags < 5; tags++) {
    deep.tags = tagsOf(random, tags);
    CHECK(believe(build(deep), vnetOf(deep, GSO_UDP_L4, 1000)) == (tags < 3 ? GSO_OK : GSO_BAD_FRAME));
    CHECK(believe(build(deep), vnetOf(deep, GSO_NONE, 0)) == GSO_OK);
  }
  // UDP is bounded by number alone.
  Packet tiny;
  tiny.udp = true;
  tiny.payload = random.bytes(128);
  CHECK(believe(build(tiny), vnetOf(tiny, GSO_UDP_L4, 1), &gso) == GSO_OK && gso.units == 128);
  tiny.payload.push_back(0);
  CHECK(believe(build(tiny), vnetOf(tiny, GSO_UDP_L4, 1)) == GSO_BAD_COUNT);
  // A single short segment is no super-frame to be afraid of.
  tiny.udp = false;
  tiny.payload = random.bytes(2);
  CHECK(believe(build(tiny), vnetOf(tiny, GSO_TCPV4, 2)) == GSO_OK);
}

// A frame as the datagram it comes in; the frame in place of its former self afterwards.
static int takenFor(Bytes& frame, uint32_t groSize, Gso* gso) {
  Bytes datagram = {8, 0, 0, 0, 0, 0, 10, 0};
  datagram.insert(datagram.end(), frame.begin(), frame.end());
  const int kind = gsoFromDatagram(datagram.data(), static_cast<uint32_t>(datagram.size()), groSize, 1450, gso);
  frame.assign(datagram.begin() + 8, datagram.end());
  return kind;
}

// B1: is it one tenant's super-frame or packets that a kernel joined? What may be both is neither.
static void joined(Random& random) {
  Packet p;
  p.udp = true;
  p.payload = random.bytes(300);
  const Bytes first = build(p);
  const uint32_t size = 8 + static_cast<uint32_t>(first.size());
  const auto datagram = [&](const Bytes& head, std::initializer_list<Bytes> headers, size_t last = 0) {
    Bytes all = {8, 0, 0, 0, 0, 0, 10, 0};
    all.insert(all.end(), head.begin(), head.end());
    for (const Bytes& header : headers) {
      all.insert(all.end(), header.begin(), header.end());
      const Bytes rest = random.bytes(size - 8);
      all.insert(all.end(), rest.begin(), rest.end());
    }
    all.resize(all.size() - last);
    return all;
  };
  const auto kind = [&](Bytes all, uint32_t groSize) {
    Gso gso;
    const Bytes before = all;
    const int taken = gsoFromDatagram(all.data(), static_cast<uint32_t>(all.size()), groSize, 1450, &gso);
    CHECK(taken == DATAGRAM_SUPER || (all == before && gso.type == GSO_NONE && gso.units == 1));
    return taken;
  };
  const Bytes own = {8, 0, 0, 0, 0, 0, 10, 0}, other = {8, 0, 0, 0, 0, 0, 20, 0},
              far = {8, 0, 0, 0, 0xff, 0xff, 0xff, 0};
  const Bytes reserved = {8, 0, 0, 0, 0, 0, 10, 1}, flagged = {0x88, 0, 0, 0, 0, 0, 10, 0}, none(8, 0);
  CHECK(kind(datagram(first, {own, own}), size) == DATAGRAM_PACKETS);
  CHECK(kind(datagram(first, {own, own}, size - 23), size) == DATAGRAM_PACKETS);
  CHECK(kind(datagram(first, {own, own}, size - 8), size) == DATAGRAM_PACKETS);  // a runt, which will be counted as one
  CHECK(kind(datagram(first, {own, own}, size - 7), size) == DATAGRAM_DOUBTFUL);
  for (const Bytes& odd : {other, far, reserved, flagged, none}) {
    CHECK(kind(datagram(first, {odd}), size) == DATAGRAM_DOUBTFUL);
    CHECK(kind(datagram(first, {own, odd, own}), size) == DATAGRAM_DOUBTFUL);
    CHECK(kind(datagram(first, {odd, own}), size) == DATAGRAM_DOUBTFUL);
  }
  // The first frame claims the bytes of those behind it, unfinished checksum and all.
  for (const auto pieces : {uint8_t{2}, uint8_t{3}, uint8_t{44}}) {
    Packet liar = p;
    liar.sum = Sum::unfinished;
    liar.payload.resize(300 + (pieces - 1u) * size);
    Bytes whole = build(liar);
    Bytes all = own;
    all.insert(all.end(), whole.begin(), whole.end());
    CHECK(kind(all, size) == DATAGRAM_SUPER);  // nothing in it looks like a packet: an honest super-frame
    for (const Bytes& header : {own, other}) {
      for (uint8_t at = 1; at < pieces; at++) {
        Bytes mixed = all;
        std::memcpy(&mixed[at * size], header.data(), 8);
        CHECK(kind(mixed, size) == (pieces == 2 && header == own ? DATAGRAM_PACKETS : DATAGRAM_DOUBTFUL));
      }
    }
    for (uint8_t at = 1; at < pieces; at++) std::memcpy(&all[at * size], own.data(), 8);
    CHECK(kind(all, size) == DATAGRAM_PACKETS);
  }
  // Sizes that leave no room for a packet, and those that leave room for one alone.
  for (uint32_t tiny = 1; tiny < GSO_MIN_PIECE; tiny++) CHECK(kind(datagram(first, {own}), tiny) == DATAGRAM_DOUBTFUL);
  CHECK(kind(datagram(first, {}), size) == DATAGRAM_PACKETS);
  CHECK(kind(datagram(first, {}), size + 1) == DATAGRAM_PACKETS);
  CHECK(kind(datagram(first, {}), 0xffffffff) == DATAGRAM_PACKETS);
  // A TCP super-frame has no size: with one, it is packets or nothing.
  Packet tcp;
  tcp.sum = Sum::unfinished;
  tcp.payload = random.bytes(3000);
  CHECK(kind(datagram(build(tcp), {}), 1000) == DATAGRAM_DOUBTFUL);
}

static void datagrams(Random& random) {
  for (const bool v6 : {false, true}) {
    Gso gso;
    Packet p;
    p.v6 = v6;
    p.payload = random.bytes(9000);
    p.tcpOptions = Bytes(12, 1);
    for (const Sum sum : {Sum::unfinished, Sum::finished}) {  // R2
      p.sum = sum;
      Bytes frame = build(p);
      CHECK(takenFor(frame, 0, &gso) == 1);
      CHECK(gso.type == (v6 ? GSO_TCPV6 : GSO_TCPV4) && gso.size == 1450 - (v6 ? 40 : 20) - 32 &&
            gso.header == p.header());
      CHECK(inspect(frame)->l4SumUnfinished);
    }
    p.flags = 0x90;
    Bytes cwr = build(p);
    CHECK(takenFor(cwr, 0, &gso) == 1 && gso.ecn == 1);
    p.flags = 0x10;
    for (const int spoil : {0, 1, 2}) {
      Packet bad = p;
      if (spoil == 0) bad.sum = Sum::wrong;
      if (spoil == 1) bad.flags = 0x12;
      if (spoil == 2) bad.padding = Bytes(2);
      Bytes frame = build(bad);
      const Bytes before = frame;
      CHECK(takenFor(frame, 0, &gso) == 0 && frame == before && gso.type == 0 && gso.units == 1);
    }
    Packet fits = p;
    fits.payload.resize(1450 - (v6 ? 40 : 20) - 32);
    Bytes frame = build(fits);
    CHECK(takenFor(frame, 0, &gso) == 0);
    fits.payload.push_back(1);
    frame = build(fits);
    CHECK(takenFor(frame, 0, &gso) == 1 && gso.units == 2);

    for (size_t tags = 1; tags < 4; tags++) {
      Packet tagged = p;
      tagged.tags = tagsOf(random, tags);
      frame = build(tagged);
      CHECK(takenFor(frame, 0, &gso) == (tags < 3 ? 1 : 0));
      // Of what the underlay leaves, tags are a part.
      if (tags < 3) CHECK(gso.size == 1450 - 4 * tags - (v6 ? 40 : 20) - 32 && gso.header == tagged.header());
    }

    p.udp = true;  // R1
    p.tcpOptions.clear();
    for (const Sum sum : {Sum::unfinished, Sum::finished}) {
      p.sum = sum;
      frame = build(p);
      CHECK(takenFor(frame, 1000, &gso) == 1 && gso.type == GSO_UDP_L4 && gso.size == 1000 && gso.units == 9);
      CHECK(inspect(frame)->l4SumUnfinished);
      CHECK(takenFor(frame, 0, &gso) == 0);
    }
    for (const Sum sum : {Sum::absent, Sum::wrong}) {
      p.sum = sum;
      frame = build(p);
      CHECK(takenFor(frame, 1000, &gso) == DATAGRAM_DOUBTFUL);
      CHECK(takenFor(frame, static_cast<uint32_t>(frame.size()) + 8, &gso) == DATAGRAM_PACKETS);
    }
  }
}

static void unfinished(Random& random) {
  for (int i = 0; i < 4000; i++) {
    Packet p;
    p.v6 = random.onceIn(2);
    p.udp = random.onceIn(2);
    p.payload = random.bytes(random.below(40));
    p.source = random.bytes(4);
    p.sum = random.onceIn(2) ? Sum::unfinished : Sum::finished;
    const Bytes frame = build(p);
    Layers layers;
    CHECK(layersParse(frame.data(), static_cast<uint32_t>(frame.size()), static_cast<uint32_t>(frame.size()),
                      &layers) == 1);
    CHECK(checksumIsUnfinished(frame.data(), &layers) == (inspect(frame)->l4SumUnfinished ? 1 : 0));
    CHECK(layers.l4At == p.l4At() && layers.payloadAt == p.header() && layers.end == frame.size());
  }
}

int main() {
  const uint64_t seed = seedOfRun();
  std::printf("gso-test: SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random{seed};
  guests(random);
  datagrams(random);
  joined(random);
  unfinished(random);
  std::puts("gso-test: ok");
}
