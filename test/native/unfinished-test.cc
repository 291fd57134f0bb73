// Checksums that a guest leaves unfinished without GSO: which may be finished, and where that writes (gso.h).
#include "../../native-bindings/gso.h"
#include "guest.h"
#include "oracle.h"

using namespace vtepd;

static void loneChecksums(Random& random) {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      Packet p;
      p.v6 = v6;
      p.udp = udp;
      p.sum = Sum::unfinished;
      p.padding = random.bytes(random.below(20));
      if (!v6 && random.onceIn(2)) p.ipOptions = Bytes(8, 1);
      p.tags = tagsOf(random, random.below(4));
      p.payload = random.bytes(random.below(1400));
      Gso gso;
      Bytes frame = build(p);
      CHECK(believe(frame, vnetOf(p, GSO_NONE, 0), &gso) == GSO_OK && gso.needsCsum == 1 && gso.type == GSO_NONE &&
            gso.units == 1);
      CHECK(inspect(frame)->l4SumUnfinished);
      CHECK(finishChecksum(frame.data(), static_cast<uint32_t>(frame.size()), gso.csumStart, gso.csumOffset) == GSO_OK);
      CHECK(inspect(frame)->l4SumGood);
      p.sum = Sum::finished;
      CHECK(frame == build(p));
      // Nothing but the checksum may be aimed at.
      for (uint32_t start = 0; start < 80; start++) {
        for (uint32_t offset = 0; offset < 24; offset++) {
          VnetHeader v = {VNET_NEEDS_CSUM, 0, 0, 0, static_cast<uint16_t>(start), static_cast<uint16_t>(offset)};
          const bool own = start == p.l4At() && offset == (udp ? 6u : 16u);
          // A tunnel inside the payload of UDP leaves its checksum there.
          const bool inside = udp && start >= p.l4At() + 8 && start + offset + 2 <= frame.size() - p.padding.size();
          const bool right = own || inside;
          CHECK(believe(frame, v) == (right ? GSO_OK : GSO_BAD_CHECKSUM_AT));
        }
      }
      VnetHeader none = {VNET_DATA_VALID, 0, 0, 0, 65535, 65535};
      CHECK(believe(frame, none, &gso) == GSO_OK && gso.needsCsum == 0 && gso.units == 1);
    }
  }
  // A sum of zero is sent as 0xffff.
  Packet zero;
  zero.udp = true;
  zero.payload = Bytes(4, 0);
  const Bytes probe = build(zero);
  zero.payload = {0, 0, probe[40], probe[41]};
  zero.sum = Sum::unfinished;
  Bytes frame = build(zero);
  CHECK(finishChecksum(frame.data(), static_cast<uint32_t>(frame.size()), 34, 6) == GSO_OK);
  CHECK(frame[40] == 0xff && frame[41] == 0xff && inspect(frame)->l4SumGood);

  // ICMP (type and code out of reach), a fragment, not IP.
  Packet other;
  other.payload = random.bytes(64);
  Bytes icmp = build(other);
  icmp[23] = 1;
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 34, 2}) == GSO_OK);
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 34, 0}) == GSO_BAD_CHECKSUM_AT);
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 33, 3}) == GSO_BAD_CHECKSUM_AT);
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 34, static_cast<uint16_t>(icmp.size() - 36)}) == GSO_OK);
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 34, static_cast<uint16_t>(icmp.size() - 35)}) == GSO_BAD_CHECKSUM_AT);
  CHECK(believe(icmp, {VNET_NEEDS_CSUM, 0, 0, 0, 65535, 65535}) == GSO_BAD_CHECKSUM_AT);
  other.fragment = 0x2000;
  CHECK(believe(build(other), {VNET_NEEDS_CSUM, 0, 0, 0, 34, 0}) == GSO_BAD_CHECKSUM_AT);
  CHECK(believe(build(other), {VNET_NEEDS_CSUM, 0, 0, 0, 34, 16}) == GSO_OK);
  Bytes arp(60, 0);
  arp[12] = 8;
  arp[13] = 6;
  CHECK(believe(arp, {VNET_NEEDS_CSUM, 0, 0, 0, 34, 2}) == GSO_BAD_FRAME);
  for (uint32_t start = 0; start < 80; start++) {
    Bytes copy = arp;
    CHECK(finishChecksum(copy.data(), 60, start, 2) < 0 && copy == arp);
  }
  // An IP packet whose lengths are wrong is none to look behind.
  Bytes lying = icmp;
  lying[16] = 0xff;
  CHECK(believe(lying, {VNET_NEEDS_CSUM, 0, 0, 0, 40, 2}) == GSO_BAD_FRAME);
  for (const uint32_t offset : {0xffffffffu, 0xfffffffeu, 0x80000000u}) {
    Bytes copy = icmp;
    CHECK(finishChecksum(copy.data(), static_cast<uint32_t>(copy.size()), 34, offset) == GSO_BAD_CHECKSUM_AT);
    CHECK(finishChecksum(copy.data(), static_cast<uint32_t>(copy.size()), offset, 2) == GSO_BAD_CHECKSUM_AT &&
          copy == icmp);
  }
}

// TCP behind tags, or in a frame that is no IP packet: MPLS, PPPoE. The whole of its checksum, in there; behind tags nothing but that.
static void tunnelsOfGuests(Random& random) {
  Packet inner;
  inner.sum = Sum::unfinished;
  inner.payload = random.bytes(200);
  struct Wrapping {
    Bytes bytes;  // EtherType and what follows it, up to the IP header
    bool tags;    // and nothing else
  };
  const Wrapping wrappings[] = {
      {{0x88, 0xa8, 0, 7, 0x08, 0x00}, true},                // QinQ
      {{0x81, 0, 0, 5, 0x81, 0, 0, 7, 0x08, 0x00}, true},    // two tags, the first of which is ours to take off
      {{0x88, 0x47, 0, 1, 0x01, 64}, false},                 // MPLS
      {{0x88, 0x64, 0x11, 0, 0, 1, 0, 242, 0, 0x21}, false}  // PPPoE session, PPP
  };
  const Bytes plain = build(inner);
  for (const Wrapping& wrapping : wrappings) {
    Bytes frame(plain.begin(), plain.begin() + 12);
    frame.insert(frame.end(), wrapping.bytes.begin(), wrapping.bytes.end());
    const size_t l3 = frame.size();
    frame.insert(frame.end(), plain.begin() + 14, plain.end());
    const uint16_t start = static_cast<uint16_t>(l3 + 20), length = static_cast<uint16_t>(frame.size());
    Gso gso;
    CHECK(believe(frame, {VNET_NEEDS_CSUM, 0, 0, 0, start, 16}, &gso) == GSO_OK);
    CHECK(gso.needsCsum == 1 && gso.csumStart == start && gso.csumOffset == 16 && gso.units == 1);
    CHECK(finishChecksum(frame.data(), length, start, 16) == GSO_OK);
    Packet finished = inner;
    finished.sum = Sum::finished;
    const Bytes right = build(finished);
    CHECK(Bytes(frame.begin() + static_cast<long>(l3), frame.end()) == Bytes(right.begin() + 14, right.end()));
    for (uint16_t at = 0; at < 20; at++) {
      const bool allowed = !wrapping.tags && at >= 14;
      CHECK((believe(frame, {VNET_NEEDS_CSUM, 0, 0, 0, at, 0}) == GSO_OK) == allowed);
    }
    const int last = wrapping.tags ? GSO_BAD_CHECKSUM_AT : GSO_OK;
    CHECK(believe(frame, {VNET_NEEDS_CSUM, 0, 0, 0, start, static_cast<uint16_t>(length - start - 2)}) == last);
    CHECK(believe(frame, {VNET_NEEDS_CSUM, 0, 0, 0, start, static_cast<uint16_t>(length - start - 1)}) ==
          GSO_BAD_CHECKSUM_AT);
  }
}

// Bytes that the data plane decides by stay as they were when it looked: no field that a guest names lies on one of them.
static void decidedBy(Random& random) {
  // Where a checksum may be finished in `frame`: the first byte of each such field, summed from `start` on.
  const auto fields = [](const Bytes& frame, uint16_t start) {
    std::vector<uint32_t> found;
    for (uint16_t offset = 0; start + offset + 2u <= frame.size(); offset++)
      if (believe(frame, {VNET_NEEDS_CSUM, 0, 0, 0, start, offset}) == GSO_OK) found.push_back(start + offset);
    return found;
  };
  const auto nowhere = [&](const Bytes& frame) {
    for (uint16_t start = 0; start < frame.size(); start++)
      if (!fields(frame, start).empty()) return false;
    return true;
  };
  Packet p;
  p.v6 = true;
  p.payload = random.bytes(40);
  // A neighbour advertisement tells of its target behind the checksum, and of a MAC behind that.
  Bytes advertisement = build(p);
  advertisement[20] = 58;
  advertisement[54] = 136;
  for (uint16_t start = 0; start < advertisement.size(); start++)
    CHECK(fields(advertisement, start) == (start == 54 ? std::vector<uint32_t>{56} : std::vector<uint32_t>{}));
  // The offset in a fragment header says whether a message begins here; headers in front of it do not matter.
  for (const std::vector<uint8_t>& extensions : {std::vector<uint8_t>{44}, std::vector<uint8_t>{60, 44}}) {
    p.extensions = extensions;
    CHECK(nowhere(build(p)));
  }
  // What is in front of a header says what it is: of a chain that is longer than ours, and of headers that we do not look through.
  p.extensions = std::vector<uint8_t>(7, 60);
  CHECK(nowhere(build(p)));
  for (const uint8_t type : Bytes{51, 135, 139, 140}) {
    p.extensions = {60, type};
    CHECK(nowhere(build(p)));
  }
  p.extensions = {0, 60};
  CHECK(fields(build(p), static_cast<uint16_t>(p.l4At())) ==
        std::vector<uint32_t>{static_cast<uint32_t>(p.l4At()) + 16});
  p.extensions = {};
  // Priority tags are taken off before anything is looked at; ARP and LLC have no checksum behind them either.
  for (const uint8_t first : Bytes{0x81, 0x88})
    for (size_t tags = 1; tags < 12; tags++)
      for (const bool isArp : {false, true}) {
        Bytes frame = build(p);
        if (isArp) frame[12] = 8, frame[13] = 6;
        for (size_t n = 0; n < tags; n++) {
          const bool outer = n + 1 == tags;
          const uint8_t high = outer ? first : 0x81;
          const Bytes tag = {high, static_cast<uint8_t>(high == 0x81 ? 0 : 0xa8), 0, 0};
          frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        }
        const uint16_t l4 = static_cast<uint16_t>(54 + 4 * tags);
        if (isArp || tags > 9) CHECK(nowhere(frame));
        else
          for (uint16_t start = 0; start < frame.size(); start++)
            CHECK(fields(frame, start) == (start == l4 ? std::vector<uint32_t>{l4 + 16u} : std::vector<uint32_t>{}));
      }
  Bytes llc(60, 0);
  llc[13] = 46;
  CHECK(nowhere(llc));
}

int main() {
  const uint64_t seed = seedOfRun();
  std::printf("unfinished-test: SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random{seed};
  loneChecksums(random);
  tunnelsOfGuests(random);
  decidedBy(random);
  std::puts("unfinished-test: ok");
}
