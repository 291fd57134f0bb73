// The slow twin. See oracle.h.
#include "oracle.h"

#include <ctime>

uint64_t seedOfRun() {
  const char* given = std::getenv("SEED");
  if (given != nullptr) return std::strtoull(given, nullptr, 0);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000003u + static_cast<uint64_t>(now.tv_nsec);
}

static void put(Bytes& to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}
static void put(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }
static uint32_t get(const Bytes& from, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | from.at(at + static_cast<size_t>(i));
  return value;
}

// RFC 1071 §1, word by word, big-endian, carry after each addition.
uint16_t naiveSum(const uint8_t* data, size_t length, uint32_t start) {
  uint32_t sum = start;
  for (size_t i = 0; i < length; i += 2) {
    sum += static_cast<uint32_t>(data[i] << 8 | (i + 1 < length ? data[i + 1] : 0));
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

static Bytes address(const Packet& p, const Bytes& four) {
  Bytes made = four;
  if (p.v6) made.resize(16, 0);
  return made;
}

static uint16_t pseudoSum(const Packet& p, size_t l4Length) {
  Bytes pseudo = address(p, p.source);
  put(pseudo, address(p, p.destination));
  put(pseudo, l4Length, 4);
  put(pseudo, p.udp ? 17 : 6, 4);
  return naiveSum(pseudo.data(), pseudo.size());
}

Bytes build(const Packet& p) {
  Bytes l4;
  put(l4, p.sourcePort, 2);
  put(l4, p.destinationPort, 2);
  size_t checksumAt;
  if (p.udp) {
    put(l4, 8 + p.payload.size(), 2);
    checksumAt = 6;
    put(l4, 0, 2);
  } else {
    put(l4, p.sequence, 4);
    put(l4, p.acknowledgement, 4);
    put(l4, ((20 + p.tcpOptions.size()) / 4) << 4 | p.reserved, 1);
    put(l4, p.flags, 1);
    put(l4, p.window, 2);
    checksumAt = 16;
    put(l4, 0, 2);
    put(l4, p.urgent, 2);
    put(l4, p.tcpOptions);
  }
  put(l4, p.payload);
  const uint16_t pseudo = pseudoSum(p, l4.size());
  uint16_t sum = static_cast<uint16_t>(~naiveSum(l4.data(), l4.size(), pseudo));
  if (p.udp && sum == 0) sum = 0xffff;
  if (p.sum == Sum::unfinished) sum = pseudo;
  if (p.sum == Sum::absent) sum = 0;
  // One off, and neither the pseudo-header sum nor the other name of zero.
  if (p.sum == Sum::wrong) {
    const uint16_t right = sum;
    do sum++;
    while (sum == pseudo || sum == 0 || (right == 0 && sum == 0xffff) || (right == 0xffff && sum == 0));
  }
  l4[checksumAt] = static_cast<uint8_t>(sum >> 8);
  l4[checksumAt + 1] = static_cast<uint8_t>(sum);

  Bytes ip;
  const uint8_t protocol = p.udp ? 17 : 6;
  if (p.v6) {
    put(ip, 6u << 28 | static_cast<uint32_t>(p.tos) << 20 | p.flowLabel, 4);
    put(ip, 8 * p.extensions.size() + l4.size(), 2);
    put(ip, p.extensions.empty() ? protocol : p.extensions[0], 1);
    put(ip, p.ttl, 1);
    put(ip, address(p, p.source));
    put(ip, address(p, p.destination));
    for (size_t i = 0; i < p.extensions.size(); i++) {
      put(ip, i + 1 < p.extensions.size() ? p.extensions[i + 1] : protocol, 1);
      put(ip, 0, 1);
      put(ip, 0x010400000000u, 6);  // PadN; for a routing header any type with nothing left
    }
  } else {
    put(ip, 4u << 4 | (20 + p.ipOptions.size()) / 4, 1);
    put(ip, p.tos, 1);
    put(ip, 20 + p.ipOptions.size() + l4.size(), 2);
    put(ip, p.id, 2);
    put(ip, p.fragment, 2);
    put(ip, p.ttl, 1);
    put(ip, protocol, 1);
    put(ip, 0, 2);
    put(ip, p.source);
    put(ip, p.destination);
    put(ip, p.ipOptions);
    const uint16_t header = static_cast<uint16_t>(~naiveSum(ip.data(), ip.size()) ^ (p.ipSumWrong ? 0x0100 : 0));
    ip[10] = static_cast<uint8_t>(header >> 8);
    ip[11] = static_cast<uint8_t>(header);
  }
  Bytes frame = p.ethernet;
  for (const uint32_t tag : p.tags) put(frame, tag, 4);
  put(frame, p.v6 ? 0x86dd : 0x0800, 2);
  put(frame, ip);
  put(frame, l4);
  put(frame, p.padding);
  return frame;
}

std::vector<uint32_t> tagsOf(Random& random, size_t count) {
  std::vector<uint32_t> tags;
  while (tags.size() < count) tags.push_back((random.onceIn(2) ? 0x81000000u : 0x88a80000u) | random.below(0x10000));
  return tags;
}

Bytes behindTag(const Bytes& frame) {
  Bytes made(frame.begin(), frame.begin() + 12);
  put(made, 0x8100001eu, 4);
  made.insert(made.end(), frame.begin() + 12, frame.end());
  return made;
}

std::vector<Bytes> cut(const Packet& super, size_t size, bool ecn) {
  std::vector<Bytes> segments;
  const size_t all = super.payload.size();
  for (size_t at = 0, i = 0; at < all; at += size, i++) {
    Packet s = super;
    const size_t end = at + size < all ? at + size : all;
    s.payload.assign(super.payload.begin() + static_cast<long>(at), super.payload.begin() + static_cast<long>(end));
    s.sum = Sum::finished;
    s.ipSumWrong = false;
    s.padding.clear();
    s.id = static_cast<uint16_t>(super.id + i);
    s.sequence = super.sequence + static_cast<uint32_t>(at);
    if (end < all) s.flags = static_cast<uint8_t>(s.flags & ~(0x01 | 0x08));
    if (i > 0 && ecn) s.flags = static_cast<uint8_t>(s.flags & ~0x80);
    if (i > 0 && (s.flags & 0x20)) {
      // The octet it names, if it still lies ahead.
      const long left = static_cast<long>(super.urgent) - static_cast<long>(at);
      s.urgent = left > 0 ? static_cast<uint16_t>(left) : 0;
      if (left <= 0) s.flags = static_cast<uint8_t>(s.flags & ~0x20);
    }
    segments.push_back(build(s));
  }
  return segments;
}

std::optional<Seen> inspect(const Bytes& f) {
  Seen s;
  if (f.size() < 14) return {};
  uint32_t type = get(f, 12, 2);
  s.l3At = 14;
  while (s.l3At < 26 && (type == 0x8100 || type == 0x88a8)) {
    s.l3At += 4;
    if (f.size() < s.l3At) return {};
    type = get(f, s.l3At - 2, 2);
  }
  uint32_t protocol;
  size_t addresses, addressBytes;
  if (type == 0x0800) {
    if (f.size() < s.l3At + 20 || f[s.l3At] >> 4 != 4) return {};
    const size_t header = static_cast<size_t>(f[s.l3At] & 15) * 4, total = get(f, s.l3At + 2, 2);
    if (header < 20 || total < header || s.l3At + total > f.size()) return {};
    s.end = s.l3At + total;
    s.id = static_cast<uint16_t>(get(f, s.l3At + 4, 2));
    s.fragment = static_cast<uint16_t>(get(f, s.l3At + 6, 2));
    if (s.fragment & 0x3fff) return {};
    s.ipSumGood = naiveSum(&f[s.l3At], header) == 0xffff;
    protocol = f[s.l3At + 9];
    addresses = s.l3At + 12;
    addressBytes = 8;
    s.l4At = s.l3At + header;
  } else if (type == 0x86dd) {
    if (f.size() < s.l3At + 40 || f[s.l3At] >> 4 != 6) return {};
    s.v6 = true;
    s.end = s.l3At + 40 + get(f, s.l3At + 4, 2);
    if (s.end > f.size()) return {};
    protocol = f[s.l3At + 6];
    addresses = s.l3At + 8;
    addressBytes = 32;
    s.l4At = s.l3At + 40;
    for (int i = 0; protocol == 0 || protocol == 43 || protocol == 60; i++) {
      if (i == 6 || s.l4At + 8 > s.end) return {};
      protocol = f[s.l4At];
      s.l4At += (static_cast<size_t>(f[s.l4At + 1]) + 1) * 8;
    }
  } else {
    return {};
  }
  if (protocol != 6 && protocol != 17) return {};
  s.udp = protocol == 17;
  if (s.l4At + (s.udp ? 8 : 20) > s.end) return {};
  const size_t header = s.udp ? 8 : static_cast<size_t>(f[s.l4At + 12] >> 4) * 4;
  if (!s.udp && (header < 20 || s.l4At + header > s.end)) return {};
  s.payloadAt = s.l4At + header;
  Bytes pseudo(f.begin() + static_cast<long>(addresses), f.begin() + static_cast<long>(addresses + addressBytes));
  s.flow = pseudo;
  s.flow.push_back(static_cast<uint8_t>(protocol));
  s.flow.insert(s.flow.end(), f.begin() + static_cast<long>(s.l4At), f.begin() + static_cast<long>(s.l4At + 4));
  put(pseudo, s.end - s.l4At, 4);
  put(pseudo, protocol, 4);
  const uint16_t start = naiveSum(pseudo.data(), pseudo.size());
  const uint16_t field = static_cast<uint16_t>(get(f, s.l4At + (s.udp ? 6 : 16), 2));
  s.l4SumUnfinished = field == start;
  s.l4SumGood = naiveSum(&f[s.l4At], s.end - s.l4At, start) == 0xffff && !(s.udp && field == 0);
  if (!s.udp) {
    s.sequence = get(f, s.l4At + 4, 4);
    s.flags = f[s.l4At + 13];
  }
  return s;
}
