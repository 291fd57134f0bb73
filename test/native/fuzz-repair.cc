// Z5: a batch of send records, and a kernel that refuses as it likes: UDP_SEGMENT with EIO, too many segments with EINVAL, a
// narrow path with EMSGSIZE, a full queue with ENOBUFS, a firewall with EPERM, a sendmmsg that stops half-way, is interrupted
// or does nothing; a TAP that takes no super-frame, or nothing.
//
// sendmmsg, sendmsg, write and writev are ours (ld --wrap), for the addon's files under test: transmit.cc, messages.cc, batch.cc.
// Oracles: every datagram reaches its own peer once, or its record says how many did not and why; a peer that refuses
// nothing loses nothing, whatever the others do; a flow's order holds; no send breaks the contract of UDP_SEGMENT (equal
// lengths but the last, the cap, 65507 bytes, none on a single one); the number of system calls is bounded; the bytes are
// those of a slow twin (oracle.h), finished checksums and all.
#include <linux/udp.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "../../native-bindings/exchange.h"
#include "oracle.h"

using namespace vtepd;

namespace {

constexpr int kTxFd = 100000, kTapFd = 200000;  // no file of the fuzzer's own
constexpr int kPeers = 4, kTapPort = 9, kFirstPeer = 10;
constexpr uint32_t kArena = 256 * 1024;
constexpr int kBatches = 2;
constexpr uint32_t kSlices = 48;

enum Conduct { TAKES_ALL, NO_GSO, FEW_SEGMENTS, NARROW, FULL, FORBIDDEN, kConducts };
enum TapConduct { TAP_TAKES_ALL, TAP_NO_GSO, TAP_FULL, TAP_BROKEN, kTapConducts };

struct Decisions {
  const uint8_t* at;
  size_t left;
  uint8_t next() { return left == 0 ? 0 : (left--, *at++); }
};

// A wire packet of a record: which, and how the way there is told.
struct Place {
  int record, segment;
};

struct World {
  Decisions* d;
  Conduct conduct[kPeers];
  uint32_t most[kPeers];  // segments, bytes or refusals, as the conduct wants
  TapConduct tap;
  int interruptions;
  uint64_t calls;
  bool hostile;  // a record's numbers are nonsense: only its accounts are checked
  uint32_t cap;
  std::map<Bytes, Place> expected[kPeers + 1];  // by destination; the last one is the TAP
  std::vector<int> done;                        // wire packets of each record that arrived
  Place last[kPeers + 1][kMaxTxSockets];
} world;

int refuse(int error) {
  errno = error;
  return -1;
}

// A wire packet has arrived at a destination.
void arrive(int destination, int way, const Bytes& bytes) {
  if (world.hostile) return;
  const auto found = world.expected[destination].find(bytes);
  CHECK(found != world.expected[destination].end());
  const Place place = found->second;
  world.expected[destination].erase(found);
  world.done[static_cast<size_t>(place.record)]++;
  Place& last = world.last[destination][way];
  CHECK(last.record < place.record || (last.record == place.record && last.segment < place.segment));
  last = place;
}

Bytes gathered(const iovec* iov, size_t count) {
  Bytes bytes;
  for (size_t i = 0; i < count; i++) {
    const uint8_t* base = static_cast<const uint8_t*>(iov[i].iov_base);
    bytes.insert(bytes.end(), base, base + iov[i].iov_len);
  }
  return bytes;
}

// 0, or an errno: what this kernel says to one message.
int take(int way, const msghdr& message) {
  CHECK(message.msg_namelen == sizeof(sockaddr_in) && message.msg_iovlen <= 1024);
  sockaddr_in to;
  std::memcpy(&to, message.msg_name, sizeof to);
  const int peer = static_cast<int>(ntohl(to.sin_addr.s_addr) & 0xff) - kFirstPeer;
  CHECK(peer >= 0 && peer < kPeers && to.sin_port == htons(4789));
  uint16_t stride = 0;
  if (message.msg_controllen > 0) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(const_cast<msghdr*>(&message), c)) {
      if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
        std::memcpy(&stride, CMSG_DATA(c), sizeof stride);
      else CHECK(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS);
    }
  }
  const Bytes all = gathered(message.msg_iov, message.msg_iovlen);
  const size_t length = stride == 0 ? all.size() : stride;
  const size_t segments = all.empty() ? 1 : (all.size() + length - 1) / length;
  CHECK(all.size() <= 65507 || world.hostile);
  CHECK(stride == 0 || (segments >= 2 && segments <= world.cap));
  switch (world.conduct[peer]) {
    case NO_GSO:
      if (stride != 0) return EIO;
      break;
    case FEW_SEGMENTS:
      if (segments > world.most[peer]) return EINVAL;
      break;
    case NARROW:
      if (length > world.most[peer]) return EMSGSIZE;
      break;
    case FULL:
      if (world.most[peer] > 0) {
        world.most[peer]--;
        return world.d->next() & 1 ? ENOBUFS : EAGAIN;
      }
      break;
    case FORBIDDEN: return EPERM;
    default: break;
  }
  for (size_t at = 0; at < all.size(); at += length) {
    const size_t end = at + length < all.size() ? at + length : all.size();
    arrive(peer, way, Bytes(all.begin() + static_cast<long>(at), all.begin() + static_cast<long>(end)));
  }
  return 0;
}

ssize_t takeTap(const iovec* iov, size_t count) {
  world.calls++;
  const Bytes all = gathered(iov, count);
  CHECK(all.size() > 10 || world.hostile);
  if (world.tap == TAP_FULL) return refuse(EAGAIN);
  if (world.tap == TAP_BROKEN) return refuse(EIO);
  if (world.tap == TAP_NO_GSO && all[1] != GSO_NONE) return refuse(EINVAL);
  if (!world.hostile) arrive(kPeers, 0, Bytes(all.begin() + 10, all.end()));
  return static_cast<ssize_t>(all.size());
}

}  // namespace

extern "C" {

ssize_t __real_write(int fd, const void* bytes, size_t length);
ssize_t __real_writev(int fd, const iovec* iov, int count);

int __wrap_sendmmsg(int fd, mmsghdr* headers, unsigned count, int) {
  world.calls++;
  CHECK(count > 0 && count <= kMessages);
  if (world.interruptions > 0 && world.d->next() % 8 == 0) {
    world.interruptions--;
    return world.d->next() & 1 ? 0 : refuse(EINTR);
  }
  unsigned most = world.d->next() % 4 == 0 ? 1 + world.d->next() % count : count;
  for (unsigned i = 0; i < most; i++) {
    const int error = take(fd - kTxFd, headers[i].msg_hdr);
    if (error == 0) continue;
    return i > 0 ? static_cast<int>(i) : refuse(error);
  }
  return static_cast<int>(most);
}

ssize_t __wrap_sendmsg(int fd, const msghdr* message, int) {
  world.calls++;
  if (world.interruptions > 0 && world.d->next() % 8 == 0) {
    world.interruptions--;
    return refuse(EINTR);
  }
  const int error = take(fd - kTxFd, *message);
  return error == 0 ? 1 : refuse(error);
}

ssize_t __wrap_write(int fd, const void* bytes, size_t length) {
  if (fd != kTapFd) return __real_write(fd, bytes, length);
  const iovec one{const_cast<void*>(bytes), length};
  return takeTap(&one, 1);
}

ssize_t __wrap_writev(int fd, const iovec* iov, int count) {
  if (fd != kTapFd) return __real_writev(fd, iov, count);
  return takeTap(iov, static_cast<size_t>(count));
}
}

Bytes fuzzSeed(Random& random) {
  Bytes input = random.bytes(30 + random.below(300));
  // Most kernels take most.
  if (!random.onceIn(3)) {
    for (size_t i = 4; i < 12; i++) input[i] = static_cast<uint8_t>(random.onceIn(3) ? input[i] : 0);
  }
  return input;
}

static Io& io() {
  static const std::unique_ptr<Io> one{new Io()};
  return *one;
}

// One batch: records as decided, sent, and what became of them.
static void batch(Decisions& d, Random& random, Bytes& arena, std::vector<int32_t>& sends) {
  Io& o = io();
  for (auto& all : world.expected) all.clear();
  for (auto& ways : world.last) {
    for (auto& place : ways) place = {-1, 0};
  }
  world.done.clear();
  world.hostile = false;
  uint32_t at = kHeadroom;
  size_t datagrams = 0;
  static iovec slices[kMaxFrames][kSlices];
  o.rx.chainCount = 0;
  const int count = 1 + d.next() % 16;
  std::vector<int> destination;
  std::vector<size_t> units;
  for (int i = 0; i < count && d.left > 0; i++) {
    const uint8_t kind = d.next(), where = d.next();
    Packet p;
    p.udp = kind & 1;
    p.v6 = (kind & 6) == 6;
    p.sourcePort = static_cast<uint16_t>(random.next());
    p.sequence = static_cast<uint32_t>(random.next());
    p.id = static_cast<uint16_t>(i);
    p.ethernet[5] = static_cast<uint8_t>(i);
    const bool super = kind & 8, unfinished = super || (kind & 16);
    const size_t size = super ? 60 + d.next() % 200u : 0;
    size_t payload = super ? size * (2 + d.next() % ((kind & 0xe7) == 0xa0 ? 120u : 8u)) - (d.next() & 1 ? size / 2 : 0)
                     : kind & 128 ? d.next() * 4u + 8
                                  : 64;
    p.payload = random.bytes(payload);
    p.sum = unfinished ? Sum::unfinished : Sum::finished;
    const Bytes frame = build(p);
    if (at + 8 + frame.size() + kHeadroom > kArena) break;
    const bool toTap = (where & 7) == 7;
    const int to = toTap ? kPeers : where % kPeers;
    uint8_t* const bytes = arena.data() + at;
    const uint8_t prefix[8] = {8, 0, 0, 0, 0, 0, static_cast<uint8_t>(i), 0};
    std::memcpy(bytes, prefix, 8);
    std::memcpy(bytes + 8, frame.data(), frame.size());

    int32_t* const record = sends.data() + i * kSendWords;
    std::memset(record, 0xa5, sizeof(int32_t) * kSendWords);
    const uint32_t skip = toTap ? 8 : 0;
    record[S_AT] = static_cast<int32_t>(at + skip);
    record[S_LENGTH] = static_cast<int32_t>(frame.size() + 8 - skip);
    record[S_PORT] = toTap ? kTapPort : kFirstPeer + to;
    record[S_FLAGS] = (super ? (p.udp  ? GSO_UDP_L4
                                : p.v6 ? GSO_TCPV6
                                       : GSO_TCPV4)
                             : 0) |
                      (unfinished ? FLAG_NEEDS_CSUM : 0);
    record[S_GSO_SIZE] = static_cast<int32_t>(size);
    record[S_TOS] = where & 64 ? 4 : 0;
    record[S_ENTROPY] = where >> 3 & 7;
    record[S_CSUM_START] = static_cast<int32_t>(p.l4At());
    record[S_CSUM_OFFSET] = static_cast<int32_t>(p.l4At() + (p.udp ? 6 : 16));
    record[S_CHAIN] = 0;
    if (super && (kind & 64) && o.rx.chainCount < kMaxFrames) {
      // Head and slices, as coalescing leaves them.
      const size_t head = p.header() + 1 + d.next() % (frame.size() - p.header() - 1);
      iovec* const parts = slices[o.rx.chainCount];
      const size_t wanted = 1 + d.next() % kSlices, each = (frame.size() - head + wanted - 1) / wanted;
      uint32_t made = 0;
      for (size_t from = head; from < frame.size(); from += each) {
        parts[made++] = {bytes + 8 + from, frame.size() - from < each ? frame.size() - from : each};
      }
      o.rx.chains[++o.rx.chainCount] = {parts, made, static_cast<uint32_t>(frame.size() - head)};
      record[S_CHAIN] = static_cast<int32_t>(o.rx.chainCount);
    }

    // What must arrive: segments, or where a TAP takes it, the whole.
    std::vector<Bytes> packets;
    const bool whole =
        toTap && (!super || (world.tap != TAP_NO_GSO && o.tx.tapGsoRefused[p.udp] < kTapSegmentRefusals));
    if (super && !whole) packets = cut(p, size, false);
    else if (!toTap && unfinished) {
      p.sum = Sum::finished;
      packets = {build(p)};
    } else packets = {frame};
    units.push_back(super ? cut(p, size, false).size() : 1);
    record[S_UNITS] = static_cast<int32_t>(units.back());
    for (size_t s = 0; s < packets.size(); s++) {
      Bytes packet = packets[s];
      if (!toTap) packet.insert(packet.begin(), prefix, prefix + 8);
      CHECK(world.expected[to].emplace(packet, Place{i, static_cast<int>(s)}).second);
    }
    datagrams += packets.size();
    world.done.push_back(0);
    destination.push_back(to);
    at = (at + 8 + static_cast<uint32_t>(frame.size()) + kHeadroom + 63) & ~63u;
    if ((kind & 32) && d.next() % 16 == 0) {
      // Numbers that came from elsewhere after all.
      record[d.next() % 11] = static_cast<int32_t>(random.next());
      if (record[S_PORT] != kTapPort && (record[S_PORT] < kFirstPeer || record[S_PORT] >= kFirstPeer + kPeers))
        record[S_PORT] = 0;
      world.hostile = true;
    }
  }

  world.calls = 0;
  const int made = static_cast<int>(destination.size());
  const Bytes before(arena.begin(), arena.begin() + at);
  transmit(o, made);
  CHECK(std::memcmp(arena.data(), before.data(), before.size()) == 0);
  CHECK(world.hostile || world.calls <= 2 * datagrams + static_cast<size_t>(made) + 64);
  int failed = 0;
  for (int i = 0; i < made; i++) {
    const int32_t* record = sends.data() + i * kSendWords;
    const int32_t done = record[S_DONE], error = record[S_ERROR];
    failed += error != 0;
    CHECK(error <= 0);
    if (world.hostile) continue;
    const size_t k = static_cast<size_t>(i);
    const int to = destination[k];
    CHECK(done >= 0 && static_cast<size_t>(done) <= units[k]);
    CHECK((error == 0) == (static_cast<size_t>(done) == units[k]));
    // A TAP that takes a super-frame has taken all of it in one write.
    if (to == kPeers && world.done[k] == 1) CHECK(done == 1 || static_cast<size_t>(done) == units[k]);
    else CHECK(world.done[k] == done);
    const bool mild = to == kPeers ? world.tap <= TAP_NO_GSO : world.conduct[to] <= FEW_SEGMENTS;
    if (mild) CHECK(error == 0);
  }
  CHECK(failed == o.status[STATUS_FAILED]);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Decisions d{data, size};
  Random random{d.next()};
  static Bytes arena(kArena);
  static std::vector<int32_t> sends(kMaxSends * kSendWords), status(kStatusWords);
  Io& o = io();
  o.arena = arena.data();
  o.arenaBytes = kArena;
  o.sends = sends.data();
  o.status = status.data();
  o.family = AF_INET;
  o.tx.socketCount = 1 + d.next() % 4;
  for (int i = 0; i < o.tx.socketCount; i++) o.tx.sockets[i] = kTxFd + i;
  static const uint8_t caps[] = {64, 128, 2, 44, 1};
  o.tx.segmentCap = caps[d.next() % sizeof caps];
  world.cap = o.tx.segmentCap;
  o.features = d.next() % 8 == 0 ? 0u : uint32_t{FEATURE_UDP_GSO};
  o.tx.tapGsoRefused[0] = o.tx.tapGsoRefused[1] = 0;
  o.nowMs = 1000;
  world.d = &d;
  world.interruptions = 20;
  for (int i = 0; i < kPeers; i++) {
    Port& peer = o.ports.at[kFirstPeer + i];
    peer = Port{};
    peer.kind = PortKind::peer;
    peer.fd = -1;
    peer.segmentCap = o.tx.segmentCap;
    auto& v4 = reinterpret_cast<sockaddr_in&>(peer.address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(4789);
    v4.sin_addr.s_addr = htonl(0xc0000200u + static_cast<uint32_t>(kFirstPeer + i));
    peer.addressLength = sizeof(sockaddr_in);
    world.conduct[i] = static_cast<Conduct>(d.next() % kConducts);
    const uint32_t most = d.next();
    world.most[i] = world.conduct[i] == FEW_SEGMENTS ? 1 + most % 40
                    : world.conduct[i] == NARROW     ? 100 + most
                                                     : most % 50;
  }
  Port& tap = o.ports.at[kTapPort];
  tap = Port{};
  tap.kind = PortKind::tap;
  tap.vnetBytes = 10;
  tap.fd = kTapFd;
  world.tap = static_cast<TapConduct>(d.next() % kTapConducts);
  for (int i = 0; i < kBatches && d.left > 0; i++) {
    batch(d, random, arena, sends);
    o.nowMs += d.next() & 1 ? 1 : 600001;
  }
  return 0;
}
