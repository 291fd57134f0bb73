// Cutting super-frames against the slow twin: every size around the edges, every flag, IPv4 with options, IPv6 with
// extension headers, VLAN, sequence and ID wrap, odd tails, payload in slices, several calls, both entry points (O01, O02).
#include <cstring>

#include "../../native-bindings/segment.h"
#include "oracle.h"

using namespace vtepd;

struct Space {
  std::vector<uint8_t> headers = std::vector<uint8_t>(SEGMENT_HEADERS_BYTES);
  std::vector<struct iovec> iov = std::vector<struct iovec>(1024);
};

static const Bytes kPrefix{8, 0, 0, 0, 0, 0, 10, 0};

// Cut with random limits per call; what comes out, as plain frames, prefix checked and removed.
static std::vector<Bytes> cutInCalls(SegmentPlan& plan, Random& random, bool contiguous, size_t prefix) {
  Space space;
  std::vector<Bytes> frames;
  while (plan.next < plan.gso.units) {
    const uint32_t most = random.onceIn(2) ? uint32_t{SEGMENT_MAX_PER_CALL} : 1 + random.below(50);
    const size_t longest = prefix + plan.gso.header + plan.gso.size;
    SegmentCut made;
    Bytes buffer;
    if (contiguous) {
      buffer.resize(longest + random.below(65000));
      made = segmentWrite(&plan, buffer.data(), static_cast<uint32_t>(buffer.size()), most);
    } else {
      const uint32_t limit = static_cast<uint32_t>(longest + random.below(65000));
      // Sometimes too few iovecs, so that a segment is given up half way through its slices and made again.
      const uint32_t iovecs = random.onceIn(2) ? 1024 : 2 + random.below(10);
      made = segmentCut(&plan, space.headers.data(), SEGMENT_HEADERS_BYTES, space.iov.data(), iovecs, most, limit);
      CHECK(made.bytes <= limit && made.iovecs <= iovecs);
      if (made.segments == 0 && iovecs < 1024) continue;
      for (uint32_t i = 0; i < made.iovecs; i++) {
        const uint8_t* base = static_cast<const uint8_t*>(space.iov[i].iov_base);
        CHECK(space.iov[i].iov_len > 0);
        buffer.insert(buffer.end(), base, base + space.iov[i].iov_len);
      }
      CHECK(buffer.size() == made.bytes);
    }
    CHECK(made.segments > 0 && made.segments <= most && made.bytes <= buffer.size());
    // The UDP_SEGMENT contract: equal strides, only the last may be shorter.
    CHECK(made.bytes > (made.segments - 1) * made.stride && made.bytes <= made.segments * made.stride);
    for (uint32_t at = 0; at < made.bytes; at += made.stride) {
      const uint32_t end = at + made.stride < made.bytes ? at + made.stride : made.bytes;
      CHECK(std::memcmp(buffer.data() + at, kPrefix.data(), prefix) == 0);
      frames.emplace_back(buffer.begin() + static_cast<long>(at + prefix), buffer.begin() + static_cast<long>(end));
    }
  }
  return frames;
}

static uint8_t typeOf(const Packet& p) { return p.udp ? GSO_UDP_L4 : p.v6 ? GSO_TCPV6 : GSO_TCPV4; }

static void compare(const Packet& super, size_t size, bool ecn, Random& random) {
  const Bytes frame = build(super);
  const Bytes before = frame;
  const std::vector<Bytes> expected = cut(super, size, ecn);
  for (int way = 0; way < 4; way++) {
    // Head somewhere behind the headers, the rest in slices that do not fit segments, some of them empty.
    size_t head = frame.size();
    std::vector<Bytes> pieces;
    if (way & 1) {
      head = super.header() + random.below(static_cast<uint32_t>(super.payload.size()));
      for (size_t at = head; at < frame.size();) {
        size_t bytes = random.onceIn(8) ? 0 : 1 + random.below(3000);
        if (bytes > frame.size() - at) bytes = frame.size() - at;
        pieces.emplace_back(frame.begin() + static_cast<long>(at), frame.begin() + static_cast<long>(at + bytes));
        at += bytes;
      }
    }
    const Bytes front(frame.begin(), frame.begin() + static_cast<long>(head));
    std::vector<struct iovec> slices;
    for (Bytes& piece : pieces) slices.push_back({piece.data(), piece.size()});
    const size_t prefix = way == 3 ? 0 : kPrefix.size();
    SegmentPlan plan;
    const int error = segmentPlan(&plan, front.data(), static_cast<uint32_t>(head), static_cast<uint32_t>(frame.size()),
                                  slices.data(), static_cast<uint32_t>(slices.size()), typeOf(super), ecn,
                                  static_cast<uint32_t>(size), kPrefix.data(), static_cast<uint32_t>(prefix));
    CHECK(error == GSO_OK);
    CHECK(plan.gso.units == expected.size() && plan.gso.header == super.header());
    CHECK(plan.gso.csumStart == super.l4At() && plan.gso.csumOffset == (super.udp ? 6 : 16));
    CHECK(cutInCalls(plan, random, way & 2, prefix) == expected);
  }
  CHECK(frame == before);
}

static Packet anySuper(Random& random) {
  Packet p;
  p.udp = random.onceIn(3);
  p.v6 = random.onceIn(2);
  if (random.onceIn(3)) p.tags = tagsOf(random, 1 + random.below(3));
  p.tos = static_cast<uint8_t>(random.next());
  p.ttl = static_cast<uint8_t>(random.next());
  p.flowLabel = random.below(1 << 20);
  p.fragment = random.onceIn(2) ? 0x4000 : 0;
  p.id = random.onceIn(3) ? static_cast<uint16_t>(0xffff - random.below(4)) : static_cast<uint16_t>(random.next());
  if (!p.v6 && random.onceIn(4)) p.ipOptions = random.bytes(4 * (1 + random.below(10)));
  if (p.v6 && random.onceIn(4)) p.extensions = random.onceIn(2) ? std::vector<uint8_t>{0} : std::vector<uint8_t>{0, 60};
  p.source = random.bytes(4);
  p.sourcePort = static_cast<uint16_t>(random.next());
  p.sequence = random.onceIn(3) ? 0xffffffff - random.below(70000) : static_cast<uint32_t>(random.next());
  p.acknowledgement = static_cast<uint32_t>(random.next());
  p.flags = static_cast<uint8_t>(random.next() & ~0x06u);
  p.reserved = static_cast<uint8_t>(random.below(16));
  p.window = static_cast<uint16_t>(random.next());
  p.urgent = random.onceIn(2) ? static_cast<uint16_t>(random.next()) : static_cast<uint16_t>(random.below(3000));
  if (!p.udp && random.onceIn(2)) p.tcpOptions = random.bytes(4 * (1 + random.below(10)));
  p.sum = random.onceIn(2) ? Sum::unfinished : Sum::wrong;  // whatever stood there is not believed
  p.ipSumWrong = random.onceIn(2);
  return p;
}

static void edges(Random& random) {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      for (const size_t size :
           {size_t{1}, size_t{2}, size_t{7}, size_t{536}, size_t{1398}, size_t{1399}, size_t{9000}}) {
        for (const size_t payload :
             {size_t{1}, size - 1, size, size + 1, 2 * size - 1, 2 * size, 2 * size + 1, 44 * size, 45 * size + 3}) {
          if (payload == 0 || payload > 65535 - 100) continue;
          Packet p = anySuper(random);
          p.v6 = v6;
          p.udp = udp;
          p.ipOptions.clear();
          p.tcpOptions.clear();
          p.extensions.clear();
          p.payload = random.bytes(payload);
          compare(p, size, random.onceIn(2), random);
        }
      }
    }
  }
  // The longest there is, and many small segments: more than one call of 128.
  Packet p;
  p.payload = random.bytes(65535 - 40);
  compare(p, 1448, false, random);
  compare(p, 300, false, random);
  p.udp = true;
  p.payload = random.bytes(128);  // 128 datagrams of one byte (O02)
  compare(p, 1, false, random);
  p.v6 = true;
  p.payload = random.bytes(65535 - 8);
  compare(p, 1232, false, random);
}

// Each flag alone, on three segments.
static void flags(Random& random) {
  for (int bits = 0; bits < 256; bits++) {
    for (const bool ecn : {false, true}) {
      if (bits & 0x06) continue;
      Packet p;
      p.flags = static_cast<uint8_t>(bits);
      p.urgent = 1000 + static_cast<uint16_t>(random.below(900));
      p.payload = random.bytes(2500);
      compare(p, 1000, ecn, random);
    }
  }
}

// A UDP sum that comes out as 0 must be sent as 0xffff: choose the last word of each segment so that it does.
static void zeroSum() {
  Packet p;
  p.udp = true;
  p.payload = Bytes(40, 1);
  p.sum = Sum::unfinished;
  for (int i = 0; i < 4; i++) {
    Packet s = p;
    s.payload.assign(10, 1);
    s.payload[8] = s.payload[9] = 0;
    const Bytes frame = build([&] {
      Packet t = s;
      t.sum = Sum::finished;
      return t;
    }());
    // Adding the complement of what is there makes the total 0xffff, hence the checksum 0.
    p.payload[static_cast<size_t>(i) * 10 + 8] = frame[40];
    p.payload[static_cast<size_t>(i) * 10 + 9] = frame[41];
  }
  const Bytes frame = build(p);
  SegmentPlan plan;
  CHECK(segmentPlan(&plan, frame.data(), static_cast<uint32_t>(frame.size()), static_cast<uint32_t>(frame.size()),
                    nullptr, 0, GSO_UDP_L4, 0, 10, nullptr, 0) == GSO_OK);
  Bytes out(4 * 52);
  const SegmentCut made = segmentWrite(&plan, out.data(), static_cast<uint32_t>(out.size()), 128);
  CHECK(made.segments == 4);
  for (size_t at = 0; at < out.size(); at += 52) CHECK(out[at + 40] == 0xff && out[at + 41] == 0xff);
}

static int planError(const Bytes& frame, uint8_t type, uint32_t size) {
  SegmentPlan plan;
  const uint32_t length = static_cast<uint32_t>(frame.size());
  const int error = segmentPlan(&plan, frame.data(), length, length, nullptr, 0, type, 0, size, nullptr, 0);
  if (error != GSO_OK) {
    uint8_t headers[512];
    struct iovec iov[8];
    CHECK(segmentCut(&plan, headers, sizeof headers, iov, 8, 128, 65507).segments == 0);
  }
  return error;
}

static void refusals(Random& random) {
  Packet p;
  p.payload = random.bytes(3000);
  CHECK(planError(build(p), GSO_TCPV4, 1000) == GSO_OK);
  CHECK(planError(build(p), GSO_TCPV6, 1000) == GSO_BAD_TYPE);
  CHECK(planError(build(p), GSO_UDP_L4, 1000) == GSO_BAD_TYPE);
  CHECK(planError(build(p), GSO_NONE, 1000) == GSO_BAD_TYPE);
  CHECK(planError(build(p), 3, 1000) == GSO_BAD_TYPE);
  CHECK(planError(build(p), GSO_TCPV4, 0) == GSO_BAD_SIZE);
  CHECK(planError(build(p), GSO_TCPV4, 65536) == GSO_BAD_SIZE);
  p.padding = Bytes(1);
  CHECK(planError(build(p), GSO_TCPV4, 1000) == GSO_BAD_FRAME);
  p.padding.clear();
  p.flags = 0x12;
  CHECK(planError(build(p), GSO_TCPV4, 1000) == GSO_BAD_FLAGS);
  p.flags = 0x14;
  CHECK(planError(build(p), GSO_TCPV4, 1000) == GSO_BAD_FLAGS);
  p.flags = 0x10;
  for (const auto fragment : {uint16_t{0x2000}, uint16_t{0x0001}, uint16_t{0x6000}, uint16_t{0x2001}}) {
    p.fragment = fragment;
    CHECK(planError(build(p), GSO_TCPV4, 1000) == GSO_BAD_FRAGMENT);
  }
  p.fragment = 0x4000;
  const Bytes empty = build([&] {
    Packet e = p;
    e.payload.clear();
    return e;
  }());
  CHECK(planError(empty, GSO_TCPV4, 1000) == GSO_BAD_SIZE);
  for (size_t n = 0; n < 54; n++)
    CHECK(planError(Bytes(empty.begin(), empty.begin() + static_cast<long>(n)), GSO_TCPV4, 1000) < 0);
  p.v6 = true;
  p.extensions = {43};
  CHECK(planError(build(p), GSO_TCPV6, 1000) == GSO_BAD_FRAGMENT);
  p.extensions = {44};
  CHECK(planError(build(p), GSO_TCPV6, 1000) == GSO_BAD_FRAGMENT);
  p.extensions = {0, 60, 0, 60, 0, 60, 0};
  CHECK(planError(build(p), GSO_TCPV6, 1000) == GSO_BAD_FRAME);
  p.extensions = {};
  p.udp = true;
  p.payload = random.bytes(129);
  CHECK(planError(build(p), GSO_UDP_L4, 1) == GSO_BAD_COUNT);

  // Slices that do not add up.
  p.udp = p.v6 = false;
  p.payload = random.bytes(100);
  Bytes frame = build(p);
  const uint32_t length = static_cast<uint32_t>(frame.size());
  struct iovec slice = {frame.data() + 100, 53};
  SegmentPlan plan;
  CHECK(length == 154);
  CHECK(segmentPlan(&plan, frame.data(), 100, length, &slice, 1, GSO_TCPV4, 0, 50, nullptr, 0) == GSO_BAD_FRAME);
  slice.iov_len = 55;
  CHECK(segmentPlan(&plan, frame.data(), 100, length, &slice, 1, GSO_TCPV4, 0, 50, nullptr, 0) == GSO_BAD_FRAME);
  slice.iov_len = 54;
  CHECK(segmentPlan(&plan, frame.data(), 100, length, &slice, 1, GSO_TCPV4, 0, 50, nullptr, 0) == GSO_OK);
  // Headers must be in the head.
  slice = {frame.data() + 53, 101};
  CHECK(segmentPlan(&plan, frame.data(), 53, length, &slice, 1, GSO_TCPV4, 0, 50, nullptr, 0) == GSO_BAD_FRAME);

  // No room: nothing made, nothing lost.
  CHECK(segmentPlan(&plan, frame.data(), length, length, nullptr, 0, GSO_TCPV4, 0, 50, nullptr, 0) == GSO_OK);
  uint8_t buffer[256];
  struct iovec iov[8];
  CHECK(segmentWrite(&plan, buffer, 103, 128).segments == 0);
  CHECK(segmentCut(&plan, buffer, 53, iov, 8, 128, 65507).segments == 0);
  CHECK(segmentCut(&plan, buffer, 256, iov, 1, 128, 65507).segments == 0);
  CHECK(segmentCut(&plan, buffer, 256, iov, 3, 128, 65507).segments == 1);
  CHECK(segmentCut(&plan, buffer, 256, iov, 8, 128, 103).segments == 0);
  CHECK(segmentCut(&plan, buffer, 256, iov, 8, 128, 104).segments == 1 && plan.next == 2);
  CHECK(segmentCut(&plan, buffer, 256, iov, 8, 128, 104).segments == 0);
}

int main() {
  const uint64_t seed = seedOfRun();
  std::printf("segment-test: SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random{seed};
  edges(random);
  flags(random);
  zeroSum();
  refusals(random);
  for (int i = 0; i < 120; i++) {
    Packet p = anySuper(random);
    const size_t size = 1 + random.below(random.onceIn(3) ? 100 : 2000);
    const size_t most = p.udp ? 128 * size : 65535 - 200;
    p.payload = random.bytes(1 + random.below(static_cast<uint32_t>(most < 65300 ? most : 65300)));
    compare(p, size, random.onceIn(2), random);
  }
  std::puts("segment-test: ok");
}
