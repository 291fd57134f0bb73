// Cutting super-frames. What changes from segment to segment, and why, is told in segment.h.
//
// The plan holds a template: prefix and headers with every varying field zeroed, and the running sums of what is left.
// A segment is then one copy of the template, a few stores, and one pass over its payload; the headers are never summed
// again. All arithmetic on sequence numbers is 32 bits wide, on the IPv4 ID 16.
#include "segment.h"

#include <cstring>

#include "checksum.h"

namespace vtepd {

namespace {

enum : uint32_t {
  IPV4_LENGTH = 2,
  IPV4_ID = 4,
  IPV4_CHECKSUM = 10,
  IPV6_LENGTH = 4,
  IPV6_BYTES = 40,
  TCP_SEQUENCE = 4,
  TCP_FLAGS = 13,
  TCP_CHECKSUM = 16,
  TCP_URGENT = 18,
  UDP_LENGTH = 4,
  UDP_CHECKSUM = 6,

  FIN = 0x01,
  PSH = 0x08,
  URG = 0x20,
  CWR = 0x80,

  COPY_CHUNK = 64,
};

inline void put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void put32(uint8_t* at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}
inline uint32_t get16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }
inline uint32_t get32(const uint8_t* at) { return get16(at) << 16 | get16(at + 2); }

// A big-endian 16-bit field, as it would be summed from memory.
inline uint64_t word(uint32_t value) {
  uint8_t bytes[2];
  put16(bytes, value);
  uint16_t sum;
  memcpy(&sum, bytes, sizeof sum);
  return sum;
}

inline void storeSum(uint8_t* at, uint16_t sum) { memcpy(at, &sum, sizeof sum); }

// Copy prefix and headers; whole chunks when the buffer has room behind, since the next header overwrites the excess.
inline void copyTemplate(uint8_t* to, const uint8_t* from, uint32_t bytes, uint32_t room) {
  if (room < SEGMENT_MAX_PREFIX + GSO_MAX_HEADER) {
    memcpy(to, from, bytes);
    return;
  }
  for (uint32_t at = 0; at < bytes; at += COPY_CHUNK) memcpy(to + at, from + at, COPY_CHUNK);
}

// Prefix and headers of the next segment, whose payload is `bytes` long and sums to `payloadSum`.
inline void writeHeaders(const SegmentPlan* plan, uint8_t* to, uint32_t room, uint32_t bytes, uint64_t payloadSum) {
  const Layers& layers = plan->layers;
  const uint32_t i = plan->next;
  const uint32_t skipped = i * plan->gso.size;
  copyTemplate(to, plan->templateBytes, plan->prefix + plan->gso.header, room);

  uint8_t* const ip = to + plan->prefix + layers.l3At;
  const uint32_t ipBytes = plan->gso.header - layers.l3At + bytes;
  if (layers.version == 4) {
    const uint32_t id = (plan->ipId + i) & 0xffff;
    put16(ip + IPV4_LENGTH, ipBytes);
    put16(ip + IPV4_ID, id);
    storeSum(ip + IPV4_CHECKSUM, static_cast<uint16_t>(~checksumFold(plan->ipSum + word(ipBytes) + word(id))));
  } else {
    put16(ip + IPV6_LENGTH, ipBytes - IPV6_BYTES);
  }

  uint8_t* const l4 = to + plan->prefix + layers.l4At;
  const uint32_t l4Bytes = plan->gso.header - layers.l4At + bytes;
  uint64_t sum = checksumJoin(plan->l4Sum + word(l4Bytes), payloadSum);
  if (layers.protocol == LAYERS_UDP) {
    put16(l4 + UDP_LENGTH, l4Bytes);
    uint16_t checksum = static_cast<uint16_t>(~checksumFold(checksumJoin(sum, word(l4Bytes))));
    storeSum(l4 + UDP_CHECKSUM, checksum == 0 ? 0xffff : checksum);
    return;
  }
  const bool last = i + 1 == plan->gso.units;
  uint32_t flags = plan->tcpFlags;
  if (!last) flags &= ~(FIN | PSH);
  if (i > 0 && plan->gso.ecn) flags &= ~CWR;
  uint32_t urgent = plan->urgent;
  if (i > 0 && (flags & URG)) {
    // The pointer counts from this segment's sequence number; once it would point behind, there is nothing urgent left.
    urgent = urgent > skipped ? urgent - skipped : 0;
    if (urgent == 0) flags &= ~URG;
  }
  const uint32_t sequence = plan->sequence + skipped;
  put32(l4 + TCP_SEQUENCE, sequence);
  l4[TCP_FLAGS] = static_cast<uint8_t>(flags);
  put16(l4 + TCP_URGENT, urgent);
  sum = checksumJoin(sum, word(sequence >> 16) + word(sequence & 0xffff) + word(flags) + word(urgent));
  storeSum(l4 + TCP_CHECKSUM, static_cast<uint16_t>(~checksumFold(sum)));
}

// The next run of payload bytes that lie together, at most `wanted` (> 0) of them; the plan moves behind it.
inline iovec take(SegmentPlan* plan, uint32_t wanted) {
  for (;;) {
    const iovec& slice = plan->slice == 0 ? plan->first : plan->slices[plan->slice - 1];
    const uint32_t left = static_cast<uint32_t>(slice.iov_len) - plan->sliceAt;
    if (left == 0) {
      plan->slice++;
      plan->sliceAt = 0;
      continue;
    }
    const uint32_t bytes = left < wanted ? left : wanted;
    const iovec taken = {static_cast<uint8_t*>(slice.iov_base) + plan->sliceAt, bytes};
    plan->sliceAt += bytes;
    return taken;
  }
}

// Sum of the bytes taken so far plus those of `part`, which starts `offset` bytes into the payload.
inline uint64_t addPart(uint64_t sum, const iovec& part, uint32_t offset) {
  const uint64_t own = checksumAdd(part.iov_base, part.iov_len, 0);
  return checksumJoin(sum, offset & 1 ? checksumOdd(own) : own);
}

inline uint32_t nextPayload(const SegmentPlan* plan) {
  const uint32_t left = plan->payload - plan->next * plan->gso.size;
  return left < plan->gso.size ? left : plan->gso.size;
}

}  // namespace

int segmentPlan(SegmentPlan* plan, const uint8_t* frame, uint32_t head, uint32_t length, const iovec* slices,
                uint32_t sliceCount, uint8_t type, int ecn, uint32_t size, const uint8_t* prefix,
                uint32_t prefixBytes) {
  plan->next = 0;
  plan->gso = Gso{};  // no units: a plan that was refused cuts nothing
  if (head > length || prefixBytes > SEGMENT_MAX_PREFIX) return GSO_BAD_FRAME;
  uint32_t missing = length - head;
  for (uint32_t i = 0; i < sliceCount; i++) {
    if (slices[i].iov_len > missing) return GSO_BAD_FRAME;
    missing -= static_cast<uint32_t>(slices[i].iov_len);
  }
  if (missing != 0) return GSO_BAD_FRAME;
  Gso gso;
  const int error = gsoCheck(type, ecn, size, frame, head, length, &gso, &plan->layers);
  if (error != GSO_OK) return error;

  plan->gso = gso;
  const Layers& layers = plan->layers;
  const uint32_t header = plan->gso.header;
  plan->payload = length - header;
  plan->prefix = prefixBytes;
  plan->slice = 0;
  plan->sliceAt = 0;
  plan->sliceCount = sliceCount;
  plan->slices = slices;
  plan->first = {const_cast<uint8_t*>(frame) + header, head - header};

  uint8_t* const bytes = plan->templateBytes;
  if (prefixBytes > 0) memcpy(bytes, prefix, prefixBytes);
  memcpy(bytes + prefixBytes, frame, header);
  uint8_t* const ip = bytes + prefixBytes + layers.l3At;
  uint8_t* const l4 = bytes + prefixBytes + layers.l4At;
  if (layers.version == 4) {
    plan->ipId = static_cast<uint16_t>(get16(ip + IPV4_ID));
    put32(ip + IPV4_LENGTH, 0);  // length and ID
    put16(ip + IPV4_CHECKSUM, 0);
    plan->ipSum = checksumAdd(ip, layers.l3End - layers.l3At, 0);
  }
  if (layers.protocol == LAYERS_TCP) {
    plan->sequence = get32(l4 + TCP_SEQUENCE);
    plan->tcpFlags = l4[TCP_FLAGS];
    plan->urgent = static_cast<uint16_t>(get16(l4 + TCP_URGENT));
    put32(l4 + TCP_SEQUENCE, 0);
    l4[TCP_FLAGS] = 0;
    put32(l4 + TCP_CHECKSUM, 0);  // checksum and urgent pointer
  } else {
    put32(l4 + UDP_LENGTH, 0);  // length and checksum
  }
  // Folded, so that adding a few words later cannot overflow.
  plan->l4Sum = checksumFold(checksumAdd(l4, header - layers.l4At, layersPseudo(frame, &layers, 0)));
  plan->ipSum = layers.version == 4 ? checksumFold(plan->ipSum) : 0;
  return GSO_OK;
}

SegmentCut segmentCut(SegmentPlan* plan, uint8_t* headers, uint32_t headersBytes, iovec* iov, uint32_t iovCount,
                      uint32_t maxSegments, uint32_t maxBytes) {
  SegmentCut cut = {};
  const uint32_t slot = plan->prefix + plan->gso.header;
  uint32_t used = 0;
  if (maxSegments > SEGMENT_MAX_PER_CALL) maxSegments = SEGMENT_MAX_PER_CALL;
  while (cut.segments < maxSegments && plan->next < plan->gso.units) {
    const uint32_t bytes = nextPayload(plan);
    if (used + slot > headersBytes || cut.iovecs >= iovCount || slot + bytes > maxBytes - cut.bytes) break;
    const uint32_t slice = plan->slice, sliceAt = plan->sliceAt;
    uint32_t at = cut.iovecs + 1, done = 0;
    uint64_t sum = 0;
    while (done < bytes && at < iovCount) {
      iov[at] = take(plan, bytes - done);
      sum = addPart(sum, iov[at], done);
      done += static_cast<uint32_t>(iov[at++].iov_len);
    }
    if (done < bytes) {
      plan->slice = slice;
      plan->sliceAt = sliceAt;
      break;
    }
    writeHeaders(plan, headers + used, headersBytes - used, bytes, sum);
    iov[cut.iovecs] = {headers + used, slot};
    if (cut.segments == 0) cut.stride = slot + bytes;
    used += slot;
    cut.iovecs = at;
    cut.bytes += slot + bytes;
    cut.segments++;
    plan->next++;
  }
  return cut;
}

SegmentCut segmentWrite(SegmentPlan* plan, uint8_t* buffer, uint32_t bufferBytes, uint32_t maxSegments) {
  SegmentCut cut = {};
  const uint32_t slot = plan->prefix + plan->gso.header;
  if (maxSegments > SEGMENT_MAX_PER_CALL) maxSegments = SEGMENT_MAX_PER_CALL;
  while (cut.segments < maxSegments && plan->next < plan->gso.units) {
    const uint32_t bytes = nextPayload(plan);
    if (slot + bytes > bufferBytes - cut.bytes) break;
    uint8_t* const to = buffer + cut.bytes;
    for (uint32_t done = 0; done < bytes;) {
      const iovec part = take(plan, bytes - done);
      memcpy(to + slot + done, part.iov_base, part.iov_len);
      done += static_cast<uint32_t>(part.iov_len);
    }
    writeHeaders(plan, to, slot, bytes, checksumAdd(to + slot, bytes, 0));
    if (cut.segments == 0) cut.stride = slot + bytes;
    cut.bytes += slot + bytes;
    cut.segments++;
    plan->next++;
  }
  return cut;
}

}  // namespace vtepd
