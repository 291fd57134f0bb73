/*
 * Z3: hostile metadata in front of a hostile frame. Input: a vnet header, one byte of choices, the frame.
 *
 * Oracles: our parse and a stranger's agree; metadata is refused, or cutting gives the payload back byte for byte in
 * segments no longer than header + size, with valid checksums, untouched constant fields and no byte more than their headers;
 * a finished checksum changes two bytes only; a datagram is never taken for a super-frame on a wrong checksum.
 */
#include <cstring>
#include <memory>

#include "../../native-bindings/segment.h"
#include "oracle.h"

Bytes fuzz_seed(Random &random) {
  Packet p;
  p.udp = random.once_in(2);
  p.v6 = random.once_in(2);
  if (random.once_in(3)) p.tag = static_cast<uint16_t>(random.next());
  if (random.once_in(5)) p.ip_options = Bytes(4 * (1 + random.below(10)), 1);
  if (random.once_in(5)) p.extensions = {0, 60};
  if (random.once_in(2)) p.tcp_options = Bytes(12, 1);
  p.flags = static_cast<uint8_t>(random.next() & ~6u);
  p.urgent = static_cast<uint16_t>(random.next());
  p.sequence = static_cast<uint32_t>(random.next());
  p.id = static_cast<uint16_t>(random.next());
  p.sum = random.once_in(3) ? Sum::finished : Sum::unfinished;
  p.payload = random.bytes(1 + random.below(random.once_in(10) ? 6000 : 400));
  const Bytes frame = build(p);
  VnetHeader vnet = {};
  if (!random.once_in(6)) {
    vnet.flags = VNET_NEEDS_CSUM;
    vnet.csum_start = static_cast<uint16_t>(p.l4_at());
    vnet.csum_offset = p.udp ? 6 : 16;
    if (!random.once_in(5)) {
      vnet.gso_type = static_cast<uint8_t>((p.udp ? GSO_UDP_L4 : p.v6 ? GSO_TCPV6 : GSO_TCPV4) | (random.once_in(2) ? 0x80 : 0));
      vnet.gso_size = static_cast<uint16_t>(1 + random.below(static_cast<uint32_t>(p.payload.size() + 10)));
    }
  }
  Bytes input(sizeof vnet);
  std::memcpy(input.data(), &vnet, sizeof vnet);
  input.push_back(static_cast<uint8_t>(random.next()));
  input.insert(input.end(), frame.begin(), frame.end());
  return input;
}

/* The frame with everything zeroed that may differ between segments. */
static Bytes constant_part(const Bytes &frame, const Seen &seen) {
  Bytes header(frame.begin(), frame.begin() + static_cast<long>(seen.payload_at));
  const auto zero = [&](size_t at, size_t bytes) { std::memset(&header[at], 0, bytes); };
  if (seen.v6) {
    zero(seen.l3_at + 4, 2);
  } else {
    zero(seen.l3_at + 2, 4);
    zero(seen.l3_at + 10, 2);
  }
  if (seen.udp) {
    zero(seen.l4_at + 4, 4);
  } else {
    zero(seen.l4_at + 4, 4);
    zero(seen.l4_at + 13, 1);
    zero(seen.l4_at + 16, 4);
  }
  return header;
}

static void check_segments(const Bytes &frame, const Gso &gso, const std::vector<Bytes> &segments) {
  const std::optional<Seen> seen = inspect(frame);
  CHECK(seen && seen->end == frame.size());
  CHECK(segments.size() == gso.units && segments.size() <= (seen->udp ? 128u : 65535u));
  Bytes payload;
  size_t all = 0;
  for (size_t i = 0; i < segments.size(); i++) {
    const std::optional<Seen> s = inspect(segments[i]);
    CHECK(s && s->end == segments[i].size() && s->ip_sum_good && s->l4_sum_good);
    CHECK(segments[i].size() <= seen->payload_at + gso.size && s->payload_at == seen->payload_at);
    CHECK(constant_part(segments[i], *s) == constant_part(frame, *seen));
    CHECK(seen->v6 || s->id == static_cast<uint16_t>(seen->id + i));
    if (!seen->udp) {
      const bool last = i + 1 == segments.size();
      CHECK(s->sequence == seen->sequence + static_cast<uint32_t>(payload.size()));
      CHECK((s->flags & 0x09) == (last ? seen->flags & 0x09 : 0));
      CHECK((s->flags & 0x80) == (gso.ecn && i > 0 ? 0 : seen->flags & 0x80));
      CHECK((s->flags & 0x56) == (seen->flags & 0x56));
    }
    payload.insert(payload.end(), segments[i].begin() + static_cast<long>(s->payload_at), segments[i].end());
    all += segments[i].size();
  }
  CHECK(payload == Bytes(frame.begin() + static_cast<long>(seen->payload_at), frame.end()));
  CHECK(all <= frame.size() + (segments.size() - 1) * seen->payload_at);
}

static void cut_and_check(const Bytes &frame, const Gso &gso, uint8_t choice) {
  /* A head of any length behind the headers, the rest in two slices. */
  const uint32_t length = static_cast<uint32_t>(frame.size());
  const uint32_t rest = length - gso.header;
  const uint32_t head = gso.header + rest * (choice & 7) / 7, middle = head + (length - head) * (choice >> 3 & 3) / 3;
  struct iovec slices[2] = {{const_cast<uint8_t *>(frame.data()) + head, middle - head},
                            {const_cast<uint8_t *>(frame.data()) + middle, length - middle}};
  SegmentPlan plan;
  const uint8_t prefix[8] = {8, 0, 0, 0, 0, 0, 1, 0};
  const uint32_t most = 1 + (choice >> 5) * 20u;
  static std::vector<uint8_t> headers(SEGMENT_HEADERS_BYTES);
  for (const bool contiguous : {false, true}) {
    CHECK(segment_plan(&plan, frame.data(), head, length, slices, 2, gso.type, gso.ecn, gso.size, prefix, 8) == GSO_OK);
    std::vector<Bytes> segments;
    while (plan.next < plan.gso.units) {
      struct iovec iov[64];
      Bytes bytes;
      SegmentCut made;
      if (contiguous) {
        bytes.resize(8 + gso.header + gso.size + 5000);
        made = segment_write(&plan, bytes.data(), static_cast<uint32_t>(bytes.size()), most);
      } else {
        made = segment_cut(&plan, headers.data(), SEGMENT_HEADERS_BYTES, iov, 64, most, 65507 > 8u + gso.header + gso.size ? 65507 : 70000);
        for (uint32_t i = 0; i < made.iovecs; i++) {
          const uint8_t *base = static_cast<const uint8_t *>(iov[i].iov_base);
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
    check_segments(frame, gso, segments);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  VnetHeader vnet;
  if (size < sizeof vnet + 1) return 0;
  std::memcpy(&vnet, data, sizeof vnet);
  const uint8_t choice = data[sizeof vnet];
  data += sizeof vnet + 1;
  size -= sizeof vnet + 1;
  if (size > 65535 + 18) size = 65535 + 18;
  const Bytes frame(data, data + size);
  const uint32_t length = static_cast<uint32_t>(size);
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  if (size > 0) std::memcpy(exact.get(), data, size);

  Layers layers;
  const int parsed = layers_parse(exact.get(), length, length, &layers);
  const std::optional<Seen> seen = inspect(frame);
  CHECK(parsed == (seen ? 1 : 0));
  if (seen) CHECK(layers.l4_at == seen->l4_at && layers.payload_at == seen->payload_at && layers.end == seen->end);
  if (seen && !(layers.flags & LAYERS_ROUTING)) CHECK(checksum_is_unfinished(exact.get(), &layers) == (seen->l4_sum_unfinished ? 1 : 0));

  Gso gso;
  const int error = gso_from_vnet(&vnet, exact.get(), length, &gso);
  CHECK(error == GSO_OK || (gso.type == 0 && gso.needs_csum == 0 && gso.units == 1));
  if (error == GSO_OK && gso.type != GSO_NONE) cut_and_check(frame, gso, choice);
  if (error == GSO_OK && gso.type == GSO_NONE && gso.needs_csum) {
    CHECK(finish_checksum(exact.get(), length, gso.csum_start, gso.csum_offset) == GSO_OK);
    const uint32_t at = gso.csum_start + gso.csum_offset;
    for (uint32_t i = 0; i < length; i++) CHECK(exact[i] == frame[i] || i == at || i == at + 1);
    /* What is finished may be the sum of a tunnel inside the packet; then the outer one is as it was. */
    if (seen && seen->l4_sum_unfinished && gso.csum_start == seen->l4_at) CHECK(inspect(Bytes(exact.get(), exact.get() + size))->l4_sum_good);
    std::memcpy(exact.get(), data, size);
  }
  /* Unchecked offsets must be refused by finish_checksum alone, too: a send record is only ours, not infallible. */
  finish_checksum(exact.get(), length, vnet.csum_start, vnet.csum_offset);
  if (size > 0) std::memcpy(exact.get(), data, size);

  const std::unique_ptr<uint8_t[]> datagram(new uint8_t[8 + size]);
  std::memcpy(datagram.get(), "\10\0\0\0\0\0\12\0", 8);
  if (size > 0) std::memcpy(datagram.get() + 8, data, size);
  const int taken = gso_from_datagram(datagram.get(), length + 8, vnet.gso_size, 200 + choice * 8u, &gso);
  const Bytes after(datagram.get() + 8, datagram.get() + 8 + size);
  if (taken == 1) {
    CHECK(seen && (seen->l4_sum_unfinished || seen->l4_sum_good) && inspect(after)->l4_sum_unfinished);
    cut_and_check(after, gso, choice);
  } else {
    CHECK(after == frame && gso.type == GSO_NONE && gso.units == 1);
  }
  return 0;
}
