// Z6: a kernel that hands over datagrams as it likes: joined ones with their size, tenants' super-frames with theirs, strangers',
// truncated ones, ancillary data in any order; and what becomes of them, which is sent on through a tunnel at once, chains and all.
//
// The calls are receive-kernel.h's. The generator knows what each datagram is, which the code under test cannot. Oracles: the packets that leave are those that came, each once, in the order
// of their flow, checksums right; nothing of a tenant's payload leaves as a packet of its own; a datagram of two VNIs leaves
// not at all; whatever does not leave is a frame that says why, and stands for as many packets as it was.
#include <cstring>
#include <map>
#include <memory>

#include "receive-kernel.h"

using namespace vtepd;

namespace {

constexpr int kPeer = 10;
constexpr uint32_t kInnerMtu = 1450;
// The least that a worker may have (exchange.cc), so that a batch of copies meets its end; and what lies behind it, which is
// not for receiving.
constexpr uint32_t kDense = 2 * (kMaxFrameBytes + 2 * kHeadroom), kGuard = 128 * 1024;
constexpr uint8_t kGuardByte = 0xa5;
constexpr uint32_t kPeerAddress = 0xc0000202u, kStranger = 0xc0000209u;
// VNIs from here on are written where only a fooled receiver would look.
constexpr uint32_t kForbidden = 0x800000;

struct Decisions {
  const uint8_t* at;
  size_t left;
  uint8_t next() { return left == 0 ? 0 : (left--, *at++); }
};

// What is the same of a packet, joined and cut again or not.
Bytes comparable(const Bytes& packet) {
  Bytes inner(packet.begin() + 8, packet.end());
  const std::optional<Seen> seen = inspect(inner);
  if (!seen) return packet;
  inner.resize(seen->end);
  const size_t checksum = seen->l4At + (seen->udp ? 6 : 16);
  inner[checksum] = inner[checksum + 1] = 0;
  if (!seen->v6) {
    inner[seen->l3At + 10] = inner[seen->l3At + 11] = 0;
    if (seen->fragment & 0x4000) inner[seen->l3At + 4] = inner[seen->l3At + 5] = 0;
  }
  inner.insert(inner.begin(), packet.begin(), packet.begin() + 8);
  return inner;
}

}  // namespace

// ports.cc, as far as receiving needs it.
namespace vtepd {
int portOfSender(const Io&, const sockaddr_in6& name) {
  return reinterpret_cast<const sockaddr_in&>(name).sin_addr.s_addr == htonl(kPeerAddress) ? kPeer : 0;
}
void suspendTap(Io&, int, int) {}
}  // namespace vtepd

Bytes fuzzSeed(Random& random) {
  // Long runs of joined datagrams of few flows; now and then anything.
  Bytes input = random.bytes(60 + random.below(300));
  const bool quiet = !random.onceIn(4);
  for (size_t i = 8; quiet && i < input.size(); i++) {
    if (!random.onceIn(5)) input[i] = static_cast<uint8_t>(random.onceIn(3) ? input[i] & 0x0f : 0);
  }
  return input;
}

static Io& io() {
  static const std::unique_ptr<Io> one{new Io()};
  return *one;
}

static Bytes headerOf(uint32_t vni) {
  return {8, 0, 0, 0, static_cast<uint8_t>(vni >> 16), static_cast<uint8_t>(vni >> 8), static_cast<uint8_t>(vni), 0};
}

static void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Decisions d{data, size};
  Random random{d.next()};
  static Bytes arena(kSlots * kSlotStride + kDense + kGuard, kGuardByte);
  static std::vector<int32_t> frames(kMaxFrames * kFrameWords), sends(kMaxSends * kSendWords), status(kStatusWords);
  Io& o = io();
  static bool prepared = false;
  if (!prepared) {
    prepared = true;
    coalesceInit(&o.rx.coalescer);
    o.arena = arena.data();
    o.arenaBytes = static_cast<uint32_t>(arena.size());
    o.rx.scratchAt = o.arenaBytes - kGuard;
    o.frames = frames.data();
    o.sends = sends.data();
    o.status = status.data();
    o.rx.slots = kSlots;
    o.rx.bumpAt = kSlots * kSlotStride;
    o.family = AF_INET;
    o.udp = kUdpFd;
    o.tx.socketCount = 1;
    o.tx.sockets[0] = kTxFd;
    o.tx.segmentCap = 128;
    o.rx.innerMtu = kInnerMtu;
    for (uint32_t slot = 0; slot < kSlots; slot++) {
      o.rx.iovecs[slot] = {o.arena + slot * kSlotStride + kSlotDatagramAt, static_cast<size_t>(kSlotBytes)};
      msghdr& header = o.rx.headers[slot].msg_hdr;
      header.msg_name = &o.rx.names[slot];
      header.msg_iov = &o.rx.iovecs[slot];
      header.msg_iovlen = 1;
      header.msg_control = o.rx.control[slot];
    }
    Port& peer = o.ports.at[kPeer];
    peer.kind = PortKind::peer;
    peer.fd = -1;
    peer.segmentCap = 128;
    peer.addressLength = sizeof(sockaddr_in);
  }
  for (uint32_t slot = 0; slot < kSlots; slot++) {
    o.rx.headers[slot].msg_hdr.msg_namelen = sizeof(sockaddr_in6);
    o.rx.headers[slot].msg_hdr.msg_controllen = kRxControlBytes;
  }
  o.features =
      FEATURE_UDP_GRO | FEATURE_UDP_GSO | FEATURE_TAP_USO | (d.next() % 2 == 0 ? 0u : uint32_t{FEATURE_COALESCE});
  o.rx.nextSlot = o.rx.filledSlots = o.rx.slotOffset = 0;
  o.rx.groPaused = o.rx.groLeftOver = false;
  o.nowMs += 1000;
  world.waiting.clear();
  world.left.clear();
  world.gro = true;
  world.more = d.next() % 4 == 0;

  // The datagrams, and what must leave of them.
  std::map<Bytes, int> expected;
  uint64_t units = 0, bad = 0, strangers = 0;
  bool doubted = false;
  std::vector<Packet> flows(3);
  for (size_t i = 0; i < flows.size(); i++) {
    const uint8_t kind = d.next();
    flows[i].udp = kind & 1;
    flows[i].v6 = kind & 2;
    if (kind & 4) flows[i].tags = tagsOf(random, kind & 16 ? 2 : 1);
    flows[i].sourcePort = static_cast<uint16_t>(1000 + i);
    flows[i].id = 0;
    flows[i].fragment = kind & 8 ? 0 : 0x4000;
  }
  const auto expect = [&](uint32_t vni, const Bytes& frame) {
    Bytes packet = headerOf(vni);
    append(packet, frame);
    expected[comparable(packet)]++;
  };
  // Twice: after a doubt the second lot may be what the socket held, which has lost its sizes.
  uint64_t seenUnits = 0, seenBad = 0, seenStrangers = 0;
  for (int lot = 0; lot < 2; lot++) {
    const bool leftOver = doubted && world.more;
    const size_t count = 1 + d.next() % kSlots;
    for (size_t n = 0; n < count && d.left > 0; n++) {
      const uint8_t kind = d.next(), which = d.next();
      const uint32_t vni = 1 + (which >> 6);
      Packet& flow = flows[which % flows.size()];
      Datagram out = {{}, kPeerAddress, -1, 0, static_cast<uint8_t>(d.next() & 3), (kind & 0x80) != 0};
      switch (kind % 8) {
        case 0:
        case 1:
        case 2:
        case 3: {  // joined: one flow or several of equal length; all of one VNI, or not
          const bool mixed = kind % 8 == 3 && (d.next() & 3) == 0;
          const size_t pieces = 2 + d.next() % 40u, length = 110 + d.next() % 200u * (kind & 32 ? 1 : 6);
          const uint8_t liar = d.next();
          size_t other = mixed ? 1 + d.next() % (pieces - 1) : pieces;
          out.gro = static_cast<int>(8 + length);
          std::vector<Bytes> made;
          for (size_t i = 0; i < pieces; i++) {
            Packet& p = kind & 8 ? flows[(which + i) % flows.size()] : flow;
            const size_t header = p.header();
            Packet q = p;
            const bool shorter = i + 1 == pieces && (kind & 16);
            q.payload = random.bytes(length - header - (shorter ? 1 + d.next() % 20u : 0));
            Bytes frame = build(q);
            p.sequence += static_cast<uint32_t>(q.payload.size());
            p.id++;
            if (i == 0 && liar % 4 == 1) {
              // A first frame that claims the bytes of those behind it.
              Packet claim = q;
              claim.sum = Sum::unfinished;
              claim.payload.resize(q.payload.size() + (pieces - 1) * (8 + length) - (kind & 16 ? 1 : 0));
              const Bytes whole = build(claim);
              std::memcpy(frame.data(), whole.data(), q.header());
            }
            append(out.bytes, headerOf(i == other ? kForbidden + static_cast<uint32_t>(n) : vni));
            append(out.bytes, frame);
            made.push_back(frame);
          }
          if (mixed || leftOver) {
            bad += pieces;
            if (mixed && !leftOver) doubted = true;
          } else {
            for (const Bytes& frame : made) expect(vni, frame);
          }
          units += pieces;
          break;
        }
        case 4: {  // a tenant's super-frame: honest, or with packets in it, whatever length it says
          Packet p = flow;
          p.udp = true;
          p.sum = Sum::unfinished;
          const size_t segment = 100 + d.next() % 300u, pieces = 2 + d.next() % 30u;
          p.payload = random.bytes(segment * pieces - d.next() % 50u);
          Bytes frame = build(p);
          out.gro = static_cast<int>(segment);
          const bool hostile = d.next() & 1;
          if (hostile) {
            const Bytes lie = headerOf(kForbidden + static_cast<uint32_t>(n));
            for (size_t at = segment - 8; at + 8 <= frame.size(); at += segment) {
              if (at >= p.header()) std::memcpy(&frame[at], lie.data(), 8);
            }
            const size_t claimed = d.next() & 1 ? segment - 8 - p.l3At() : d.next() * 8u;
            if (d.next() & 1) {
              const size_t field = p.l3At() + (p.v6 ? 4 : 2);
              frame[field] = static_cast<uint8_t>(claimed >> 8);
              frame[field + 1] = static_cast<uint8_t>(claimed);
            }
          }
          out.bytes = headerOf(vni);
          append(out.bytes, frame);
          const size_t joined = (out.bytes.size() + segment - 1) / segment;
          if (leftOver || hostile) {
            bad += joined;
            units += joined;
            if (!leftOver) doubted = true;
          } else {
            for (const Bytes& each : cut(p, segment, false)) expect(vni, each);
            units += (p.payload.size() + segment - 1) / segment;
          }
          break;
        }
        case 5: {  // a TCP super-frame, which comes without a size
          Packet p = flow;
          p.udp = false;
          p.sum = d.next() & 1 ? Sum::unfinished : Sum::finished;
          p.payload = random.bytes(kInnerMtu + 1 + d.next() * 100u);
          out.bytes = headerOf(vni);
          append(out.bytes, build(p));
          const size_t segment = kInnerMtu - (p.header() - 14);
          if (leftOver) {
            bad++;
            units++;
          } else {
            for (const Bytes& each : cut(p, segment, false)) expect(vni, each);
            units += (p.payload.size() + segment - 1) / segment;
          }
          break;
        }
        case 6: {  // not one we know: anything
          out.from = kStranger;
          out.bytes = random.bytes(d.next() * 40u);
          out.gro = d.next() & 1 ? d.next() * 16 : -1;
          const bool several = out.gro >= 22 && static_cast<size_t>(out.gro) < out.bytes.size();
          const size_t own =
              several ? (out.bytes.size() + static_cast<size_t>(out.gro) - 1) / static_cast<size_t>(out.gro) : 1;
          units += own;
          strangers += own;
          break;
        }
        default: {  // cut short by the kernel: datagram or what it says of it
          out.bytes = headerOf(kForbidden);
          append(out.bytes, build(flow));
          append(out.bytes, random.bytes(d.next() * 8u));
          out.flags = d.next() & 1 ? MSG_TRUNC : MSG_CTRUNC;
          if (d.next() & 1) out.gro = d.next();
          bad++;
          units++;
          break;
        }
      }
      world.waiting.push_back(out);
    }
    for (int rounds = 0; rounds < 4000; rounds++) {
      o.rx.frameCount = 0;
      o.rx.chainCount = 0;
      o.rx.bump = o.rx.bumpAt;
      o.rx.datagramBytes = 0;
      // Whole batches, as a worker asks for them, where the input says nothing else.
      const uint8_t limit = d.next();
      receiveDatagrams(o, limit == 0 ? kMaxFrames : 1 + limit % kMaxFrames);
      CHECK(o.rx.bump <= o.rx.scratchAt);
      int made = 0;
      for (int i = 0; i < o.rx.frameCount; i++) {
        const int32_t* frame = o.frames + i * kFrameWords;
        seenUnits += static_cast<uint64_t>(frame[F_UNITS]);
        CHECK(frame[F_UNITS] >= 1 && frame[F_AT] >= kHeadroom && frame[F_HEAD] <= frame[F_LENGTH]);
        CHECK(static_cast<uint32_t>(frame[F_AT] + frame[F_HEAD]) <= o.rx.scratchAt);
        if (frame[F_FLAGS] & (FLAG_TRUNCATED | FLAG_GSO_BAD)) {
          seenBad += static_cast<uint64_t>(frame[F_UNITS]);
          continue;
        }
        if (frame[F_SOURCE] == 0) {
          CHECK(static_cast<uint32_t>(frame[F_OUTER_SOURCE]) == kStranger && frame[F_FLAGS] == 0 &&
                frame[F_CHAIN] == 0);
          seenStrangers += static_cast<uint64_t>(frame[F_UNITS]);
          continue;
        }
        CHECK(frame[F_SOURCE] == kPeer && !(frame[F_FLAGS] & FLAG_CSUM_BAD));
        CHECK(o.arena[frame[F_AT] + 4] < 0x80);  // no forbidden VNI
        int32_t* record = o.sends + made++ * kSendWords;
        record[S_AT] = frame[F_AT];
        record[S_LENGTH] = frame[F_LENGTH];
        record[S_PORT] = kPeer;
        record[S_FLAGS] = frame[F_FLAGS];
        record[S_GSO_SIZE] = frame[F_GSO_SIZE];
        record[S_TOS] = 0;
        record[S_ENTROPY] = 0;
        record[S_CSUM_START] = frame[F_CSUM_START];
        record[S_CSUM_OFFSET] = frame[F_CSUM_OFFSET];
        record[S_CHAIN] = frame[F_CHAIN];
        record[S_UNITS] = frame[F_UNITS];
      }
      transmit(o, made);
      CHECK(o.status[STATUS_FAILED] == 0);
      for (int i = 0; i < made; i++) CHECK(o.sends[i * kSendWords + S_DONE] == o.sends[i * kSendWords + S_UNITS]);
      if (o.rx.nextSlot == o.rx.filledSlots) break;
      CHECK(rounds < 3999);
    }
  }
  static const Bytes guard(kGuard, kGuardByte);
  CHECK(std::memcmp(o.arena + o.rx.scratchAt, guard.data(), kGuard) == 0);
  CHECK(seenUnits == units && seenStrangers == strangers && seenBad == bad);
  CHECK(world.gro == !doubted && o.rx.groPaused == doubted);
  for (const Bytes& packet : world.left) {
    CHECK(packet.size() >= 22);
    const auto found = expected.find(comparable(packet));
    CHECK(found != expected.end() && found->second > 0);
    found->second--;
    const std::optional<Seen> seen = inspect(Bytes(packet.begin() + 8, packet.end()));
    if (seen) CHECK(seen->l4SumGood && (seen->v6 || seen->ipSumGood));
  }
  for (const auto& [packet, missing] : expected) CHECK(missing == 0);
  return 0;
}
