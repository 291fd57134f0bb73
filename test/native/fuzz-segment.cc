// Z3: hostile metadata in front of a hostile frame. Input: a vnet header, one byte of choices, the frame.
//
// Oracles: our parse and a stranger's agree; metadata is refused, or cutting gives the payload back byte for byte in
// segments no longer than header + size, with valid checksums, untouched constant fields and no byte more than their headers,
// also when an AC has put its tag in front;
// a finished checksum changes two bytes only; a datagram is never taken for a super-frame on a wrong checksum.
#include <cstring>
#include <memory>

#include "../../native-bindings/segment.h"
#include "oracle.h"

using namespace vtepd;

Bytes fuzzSeed(Random& random) {
  Packet p;
  p.udp = random.onceIn(2);
  p.v6 = random.onceIn(2);
  if (random.onceIn(3)) p.tags = tagsOf(random, 1 + random.below(4));
  if (random.onceIn(5)) p.ipOptions = Bytes(4 * (1 + random.below(10)), 1);
  if (random.onceIn(5)) p.extensions = {0, 60};
  if (random.onceIn(2)) p.tcpOptions = Bytes(12, 1);
  p.flags = static_cast<uint8_t>(random.next() & ~6u);
  p.urgent = static_cast<uint16_t>(random.next());
  p.sequence = static_cast<uint32_t>(random.next());
  p.id = static_cast<uint16_t>(random.next());
  p.sum = random.onceIn(3) ? Sum::finished : Sum::unfinished;
  p.payload = random.bytes(1 + random.below(random.onceIn(10) ? 6000 : 400));
  const Bytes frame = build(p);
  VnetHeader vnet = {};
  if (!random.onceIn(6)) {
    vnet.flags = VNET_NEEDS_CSUM;
    vnet.csumStart = static_cast<uint16_t>(p.l4At());
    vnet.csumOffset = p.udp ? 6 : 16;
    if (!random.onceIn(5)) {
      vnet.gsoType = static_cast<uint8_t>((p.udp  ? GSO_UDP_L4
                                           : p.v6 ? GSO_TCPV6
                                                  : GSO_TCPV4) |
                                          (random.onceIn(2) ? 0x80 : 0));
      vnet.gsoSize = static_cast<uint16_t>(1 + random.below(static_cast<uint32_t>(p.payload.size() + 10)));
    }
  }
  Bytes input(sizeof vnet);
  std::memcpy(input.data(), &vnet, sizeof vnet);
  input.push_back(static_cast<uint8_t>(random.next()));
  input.insert(input.end(), frame.begin(), frame.end());
  return input;
}

// The frame with everything zeroed that may differ between segments.
static Bytes constantPart(const Bytes& frame, const Seen& seen) {
  Bytes header(frame.begin(), frame.begin() + static_cast<long>(seen.payloadAt));
  const auto zero = [&](size_t at, size_t bytes) { std::memset(&header[at], 0, bytes); };
  if (seen.v6) {
    zero(seen.l3At + 4, 2);
  } else {
    zero(seen.l3At + 2, 4);
    zero(seen.l3At + 10, 2);
  }
  if (seen.udp) {
    zero(seen.l4At + 4, 4);
  } else {
    zero(seen.l4At + 4, 4);
    zero(seen.l4At + 13, 1);
    zero(seen.l4At + 16, 4);
  }
  return header;
}

static void checkSegments(const Bytes& frame, const Gso& gso, const std::vector<Bytes>& segments) {
  const std::optional<Seen> seen = inspect(frame);
  CHECK(seen && seen->end == frame.size());
  CHECK(segments.size() == gso.units && segments.size() <= (seen->udp ? 128u : 65535u));
  Bytes payload;
  size_t all = 0;
  for (size_t i = 0; i < segments.size(); i++) {
    const std::optional<Seen> s = inspect(segments[i]);
    CHECK(s && s->end == segments[i].size() && s->ipSumGood && s->l4SumGood);
    CHECK(segments[i].size() <= seen->payloadAt + gso.size && s->payloadAt == seen->payloadAt);
    CHECK(constantPart(segments[i], *s) == constantPart(frame, *seen));
    CHECK(seen->v6 || s->id == static_cast<uint16_t>(seen->id + i));
    if (!seen->udp) {
      const bool last = i + 1 == segments.size();
      CHECK(s->sequence == seen->sequence + static_cast<uint32_t>(payload.size()));
      CHECK((s->flags & 0x09) == (last ? seen->flags & 0x09 : 0));
      CHECK((s->flags & 0x80) == (gso.ecn && i > 0 ? 0 : seen->flags & 0x80));
      CHECK((s->flags & 0x56) == (seen->flags & 0x56));
    }
    payload.insert(payload.end(), segments[i].begin() + static_cast<long>(s->payloadAt), segments[i].end());
    all += segments[i].size();
  }
  CHECK(payload == Bytes(frame.begin() + static_cast<long>(seen->payloadAt), frame.end()));
  CHECK(all <= frame.size() + (segments.size() - 1) * seen->payloadAt);
}

static void cutAndCheck(const Bytes& frame, const Gso& gso, uint8_t choice) {
  // A head of any length behind the headers, the rest in two slices.
  const uint32_t length = static_cast<uint32_t>(frame.size());
  const uint32_t rest = length - gso.header;
  const uint32_t head = gso.header + rest * (choice & 7) / 7, middle = head + (length - head) * (choice >> 3 & 3) / 3;
  struct iovec slices[2] = {{const_cast<uint8_t*>(frame.data()) + head, middle - head},
                            {const_cast<uint8_t*>(frame.data()) + middle, length - middle}};
  SegmentPlan plan;
  const uint8_t prefix[8] = {8, 0, 0, 0, 0, 0, 1, 0};
  const uint32_t most = 1 + (choice >> 5) * 20u;
  static std::vector<uint8_t> headers(SEGMENT_HEADERS_BYTES);
  for (const bool contiguous : {false, true}) {
    CHECK(segmentPlan(&plan, frame.data(), head, length, slices, 2, gso.type, gso.ecn, gso.size, prefix, 8) == GSO_OK);
    std::vector<Bytes> segments;
    while (plan.next < plan.gso.units) {
      struct iovec iov[64];
      Bytes bytes;
      SegmentCut made;
      if (contiguous) {
        bytes.resize(8 + gso.header + gso.size + 5000);
        made = segmentWrite(&plan, bytes.data(), static_cast<uint32_t>(bytes.size()), most);
      } else {
        made = segmentCut(&plan, headers.data(), SEGMENT_HEADERS_BYTES, iov, 64, most,
                          65507 > 8u + gso.header + gso.size ? 65507 : 70000);
        for (uint32_t i = 0; i < made.iovecs; i++) {
          const uint8_t* base = static_cast<const uint8_t*>(iov[i].iov_base);
          bytes.insert(bytes.end(), base, base + iov[i].iov_len);
        }
      }
      CHECK(made.segments > 0 && made.segments <= most && made.bytes <= bytes.size());
      for (uint32_t i = 0; i < made.segments; i++) {
        const uint32_t end = i + 1 < made.segments ? (i + 1) * made.stride : made.bytes;
        CHECK(std::memcmp(&bytes[i * made.stride], prefix, 8) == 0);
        segments.emplace_back(bytes.begin() + i * made.stride + 8, bytes.begin() + end);
      }
    }
    checkSegments(frame, gso, segments);
  }
}

// It leaves by an AC that has a tag.
static void cutBehindTag(const Bytes& frame, Gso gso, uint8_t choice) {
  gso.header = static_cast<uint16_t>(gso.header + 4);
  if (gso.header <= GSO_MAX_HEADER) cutAndCheck(behindTag(frame), gso, choice);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  VnetHeader vnet;
  if (size < sizeof vnet + 1) return 0;
  std::memcpy(&vnet, data, sizeof vnet);
  const uint8_t choice = data[sizeof vnet];
  data += sizeof vnet + 1;
  size -= sizeof vnet + 1;
  if (size > 65535 + 30) size = 65535 + 30;
  const Bytes frame(data, data + size);
  const uint32_t length = static_cast<uint32_t>(size);
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  if (size > 0) std::memcpy(exact.get(), data, size);

  Layers layers;
  const int parsed = layersParse(exact.get(), length, length, &layers);
  const std::optional<Seen> seen = inspect(frame);
  CHECK(parsed == (seen ? 1 : 0));
  if (seen) CHECK(layers.l4At == seen->l4At && layers.payloadAt == seen->payloadAt && layers.end == seen->end);
  if (seen && !(layers.flags & LAYERS_ROUTING))
    CHECK(checksumIsUnfinished(exact.get(), &layers) == (seen->l4SumUnfinished ? 1 : 0));

  Gso gso;
  const int error = gsoFromVnet(&vnet, exact.get(), length, &gso);
  CHECK(error == GSO_OK || (gso.type == 0 && gso.needsCsum == 0 && gso.units == 1));
  if (error == GSO_OK && gso.type != GSO_NONE) {
    cutAndCheck(frame, gso, choice);
    cutBehindTag(frame, gso, choice);
  }
  if (error == GSO_OK && gso.type == GSO_NONE && gso.needsCsum) {
    CHECK(finishChecksum(exact.get(), length, gso.csumStart, gso.csumOffset) == GSO_OK);
    const uint32_t at = gso.csumStart + gso.csumOffset;
    for (uint32_t i = 0; i < length; i++) CHECK(exact[i] == frame[i] || i == at || i == at + 1);
    // What is finished may be the sum of a tunnel inside the packet; then the outer one is as it was.
    if (seen && seen->l4SumUnfinished && gso.csumStart == seen->l4At)
      CHECK(inspect(Bytes(exact.get(), exact.get() + size))->l4SumGood);
    std::memcpy(exact.get(), data, size);
  }
  // Unchecked offsets must be refused by finishChecksum alone, too: a send record is only ours, not infallible.
  finishChecksum(exact.get(), length, vnet.csumStart, vnet.csumOffset);
  if (size > 0) std::memcpy(exact.get(), data, size);

  const std::unique_ptr<uint8_t[]> datagram(new uint8_t[8 + size]);
  std::memcpy(datagram.get(), "\10\0\0\0\0\0\12\0", 8);
  if (size > 0) std::memcpy(datagram.get() + 8, data, size);
  const int taken = gsoFromDatagram(datagram.get(), length + 8, vnet.gsoSize, 200 + choice * 8u, &gso);
  const Bytes after(datagram.get() + 8, datagram.get() + 8 + size);
  if (taken == 1) {
    CHECK(seen && (seen->l4SumUnfinished || seen->l4SumGood) && inspect(after)->l4SumUnfinished);
    cutAndCheck(after, gso, choice);
    cutBehindTag(after, gso, choice);
  } else {
    CHECK(after == frame && gso.type == GSO_NONE && gso.units == 1);
  }
  return 0;
}
