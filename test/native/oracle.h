// The slow twin of the offload core: written from the RFCs with vectors and loops, sharing no line with it.
//
// `build` makes the bytes of one packet from its fields; `inspect` reads them back and says which checksums hold.
// `cut` is segmentation as one would explain it: build every segment from fields. Nothing here is meant to be fast.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

using Bytes = std::vector<uint8_t>;

/** Abort with a place; in every build, so no check can be compiled away. */
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (0)

/** splitmix64: small, and the same everywhere. */
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return n == 0 ? 0 : static_cast<uint32_t>(next() % n); }
  bool onceIn(uint32_t n) { return below(n) == 0; }
  Bytes bytes(size_t n) {
    Bytes made(n);
    for (auto& b : made) b = static_cast<uint8_t>(next());
    return made;
  }
};

/** The seed of this run: $SEED, or the clock. Printed by its caller. */
uint64_t seedOfRun();

enum class Sum { finished, unfinished, absent, wrong };

struct Packet {
  Bytes ethernet{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  std::vector<uint32_t> tags;  // type and TCI of each, the outermost first
  bool v6 = false;
  bool udp = false;
  uint8_t tos = 0;
  uint8_t ttl = 64;
  uint16_t fragment = 0x4000;  // flags and offset as in the header; DF
  uint16_t id = 0;
  uint32_t flowLabel = 0;
  Bytes source{10, 1, 1, 11}, destination{10, 1, 1, 12};  // the first 4 bytes, IPv6 adds twelve zeros
  Bytes ipOptions;                                        // multiple of 4
  std::vector<uint8_t> extensions;                        // IPv6 extension header types, 8 bytes each
  uint16_t sourcePort = 1000, destinationPort = 2000;
  uint32_t sequence = 0, acknowledgement = 0;
  uint8_t flags = 0x10;
  uint8_t reserved = 0;  // low nibble of TCP byte 12
  uint16_t window = 500, urgent = 0;
  Bytes tcpOptions;  // multiple of 4
  Bytes payload;
  Sum sum = Sum::finished;
  bool ipSumWrong = false;
  Bytes padding;

  size_t l3At() const { return 14 + 4 * tags.size(); }
  size_t l4At() const { return l3At() + (v6 ? 40 + 8 * extensions.size() : 20 + ipOptions.size()); }
  size_t header() const { return l4At() + (udp ? 8 : 20 + tcpOptions.size()); }
};

uint16_t naiveSum(const uint8_t* data, size_t length, uint32_t start = 0);
Bytes build(const Packet& packet);

/** So many tags of 802.1Q and 802.1ad, of any VLANs. */
std::vector<uint32_t> tagsOf(Random& random, size_t count);

/** `frame` behind the tag of an AC, which it leaves by. */
Bytes behindTag(const Bytes& frame);

/** The segments a super-frame stands for: RFC rules, one by one. */
std::vector<Bytes> cut(const Packet& super, size_t size, bool ecn);

/** What a stranger sees in a frame. */
struct Seen {
  bool ipSumGood = true;
  bool l4SumGood = false;
  bool l4SumUnfinished = false;
  bool udp = false, v6 = false;
  size_t l3At = 0, l4At = 0, payloadAt = 0, end = 0;
  uint32_t sequence = 0;
  uint16_t id = 0, fragment = 0;
  uint8_t flags = 0;
  Bytes flow;  // addresses, protocol, ports
};

/** Whole, unfragmented TCP or UDP over IP, extension headers skipped; nothing otherwise. */
std::optional<Seen> inspect(const Bytes& frame);
