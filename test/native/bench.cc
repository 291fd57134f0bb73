// What the offload core costs: ns per segment and GB/s, hot cache, one thread. No sanitizer, -O2 as the addon.
// Best of several rounds: a shared machine only ever makes it slower.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "../../native-bindings/checksum.h"
#include "../../native-bindings/coalesce.h"
#include "../../native-bindings/segment.h"

using namespace vtepd;

static double nowNs() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Best ns per call of `work`, `calls` calls a round.
template <typename Work>
static double best(int calls, Work work) {
  double least = 1e18;
  for (int round = 0; round < 25; round++) {
    const double start = nowNs();
    for (int i = 0; i < calls; i++) work();
    const double each = (nowNs() - start) / calls;
    if (each < least) least = each;
  }
  return least;
}

static volatile uint64_t gSink;

static void put16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

// Ethernet, IPv4 or IPv6, TCP with timestamps or UDP; checksum unfinished.
static size_t make(uint8_t* frame, bool v6, bool udp, size_t payload, uint16_t port) {
  const size_t ip = v6 ? 40 : 20, l4 = udp ? 8 : 32;
  std::memset(frame, 0, 14 + ip + l4);
  put16(frame + 12, v6 ? 0x86dd : 0x0800);
  uint8_t *const i = frame + 14, *const t = i + ip;
  if (v6) {
    i[0] = 0x60;
    put16(i + 4, l4 + payload);
    i[6] = udp ? 17 : 6;
    i[7] = 64;
  } else {
    i[0] = 0x45;
    put16(i + 2, ip + l4 + payload);
    i[6] = 0x40;
    i[8] = 64;
    i[9] = udp ? 17 : 6;
    i[12] = i[16] = 10;
  }
  put16(t, port);
  if (udp) {
    put16(t + 4, l4 + payload);
  } else {
    t[12] = 8 << 4;
    t[13] = 0x10;
  }
  for (size_t b = 0; b < payload; b++) t[l4 + b] = static_cast<uint8_t>(b * 131);
  return 14 + ip + l4 + payload;
}

static void benchChecksum() {
  std::vector<uint8_t> data(65536, 0x5a);
  for (const size_t length : {size_t{40}, size_t{64}, size_t{128}, size_t{1400}, size_t{65535}}) {
    const double simd = best(20000, [&] { gSink = checksumAdd(data.data() + 2, length - 2, gSink & 1); });
    const double scalar = best(20000, [&] { gSink = checksumAddScalar(data.data() + 2, length - 2, gSink & 1); });
    std::printf("checksum %6zu B          %8.1f ns %6.1f GB/s   scalar %8.1f ns %6.1f GB/s\n", length, simd,
                static_cast<double>(length) / simd, scalar, static_cast<double>(length) / scalar);
  }
}

static void benchSegment(const char* name, bool v6, bool udp, size_t payload, uint32_t size) {
  std::vector<uint8_t> frame(66 * 1024), headers(SEGMENT_HEADERS_BYTES);
  std::vector<struct iovec> iov(1024);
  const uint32_t length = static_cast<uint32_t>(make(frame.data(), v6, udp, payload, 1000));
  const uint8_t prefix[8] = {8};
  const uint8_t type = udp ? GSO_UDP_L4 : v6 ? GSO_TCPV6 : GSO_TCPV4;
  SegmentPlan plan;
  const auto work = [&] {
    if (segmentPlan(&plan, frame.data(), length, length, nullptr, 0, type, 0, size, prefix, 8) != GSO_OK) std::abort();
    while (plan.next < plan.gso.units)
      gSink = segmentCut(&plan, headers.data(), SEGMENT_HEADERS_BYTES, iov.data(), 1024, 64, 65507).bytes;
  };
  work();
  const double each = best(500, work), units = plan.gso.units;
  std::vector<uint8_t> one(size);
  const double sum =
      best(20000, [&] { gSink = checksumAdd(frame.data() + plan.gso.header, payload < size ? payload : size, 0); });
  std::printf("segment %-16s %8.1f ns a segment (%.1f of it payload sum), %3.0f segments %8.0f ns, %5.1f GB/s\n", name,
              each / units, sum, units, each, static_cast<double>(payload) / each);
}

static void benchCoalesce(const char* name, bool v6, bool udp, size_t payload, int frames, int flows, bool valid) {
  const auto c = std::make_unique<Coalescer>();
  coalesceInit(c.get());
  // Packed as pieces of a UDP_GRO datagram lie: VXLAN header between. A power-of-two stride would alias cache sets.
  const size_t stride = 14 + (v6 ? 40 : 20) + (udp ? 8 : 32) + payload + 8;
  std::vector<uint8_t> arena(stride * static_cast<size_t>(frames)), copy;
  uint32_t length = 0;
  for (int i = 0; i < frames; i++) {
    uint8_t* const f = &arena[stride * static_cast<size_t>(i)];
    length = static_cast<uint32_t>(make(f, v6, udp, payload, static_cast<uint16_t>(1000 + i % flows)));
    Layers layers;
    layersParse(f, length, length, &layers);
    if (!udp) {
      const size_t sequence = static_cast<size_t>(i / flows) * payload;
      put16(f + layers.l4At + 4, sequence >> 16);
      put16(f + layers.l4At + 6, sequence);
    }
    if (!v6) {
      const uint16_t sum = static_cast<uint16_t>(~checksumFold(checksumAdd(f + 14, 20, 0)));
      std::memcpy(f + 24, &sum, 2);
    }
    const uint16_t pseudo = checksumFold(layersPseudo(f, &layers, length - layers.l4At));
    std::memcpy(f + layers.l4At + (udp ? 6 : 16), &pseudo, 2);
    if (valid) finishChecksum(f, length, layers.l4At, udp ? 6 : 16);
  }
  copy = arena;
  uint32_t outputs = 0;
  const auto work = [&] {
    // Heads are rewritten: give them back.
    for (uint32_t o = 0; o < c->outputCount; o++) {
      const size_t at = static_cast<size_t>(c->outputs[o].head - arena.data());
      std::memcpy(&arena[at], &copy[at], length < 94 ? length : 94);
    }
    coalesceBegin(c.get(), COALESCE_TCP | COALESCE_UDP);
    for (int i = 0; i < frames; i++) coalesceAdd(c.get(), &arena[stride * static_cast<size_t>(i)], length, 7, nullptr);
    outputs = coalesceEnd(c.get());
  };
  work();
  const double each = best(300, work);
  std::printf("coalesce %-28s %8.1f ns a frame, %3d frames -> %3u outputs, %5.1f GB/s\n", name, each / frames, frames,
              outputs, static_cast<double>(payload) * frames / each);
}

int main() {
  std::printf("simd %d\n", checksumIsSimd());
  benchChecksum();
  benchSegment("TCP/IPv4 1398", false, false, 64000, 1398);
  benchSegment("TCP/IPv6 1378", true, false, 64000, 1378);
  benchSegment("TCP/IPv4 536", false, false, 64000, 536);
  benchSegment("UDP/IPv4 1400", false, true, 64000, 1400);
  benchSegment("UDP/IPv4 64", false, true, 64 * 64, 64);
  benchCoalesce("TCP/IPv4 1398, 1 flow", false, false, 1398, 46, 1, true);
  benchCoalesce("TCP/IPv4 1398, 8 flows", false, false, 1398, 184, 8, true);
  benchCoalesce("TCP/IPv6 1378, 1 flow", true, false, 1378, 46, 1, true);
  benchCoalesce("TCP/IPv4 1398, unfinished", false, false, 1398, 46, 1, false);
  benchCoalesce("UDP/IPv4 64, 1 flow", false, true, 64, 64, 1, true);
  benchCoalesce("UDP/IPv4 64, 64 flows", false, true, 64, 64, 64, true);
  benchCoalesce("TCP ACKs, 64 flows", false, false, 0, 64, 64, true);
}
