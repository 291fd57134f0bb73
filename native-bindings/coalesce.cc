// Joining received packets into super-frames. The rules are told in coalesce.h; their numbers are cited here.
//
// Every frame becomes a new output or a piece of an older one. A small open-addressing table finds the newest output of
// the frame's flow; only that one may grow, so outputs in order of creation never let a flow overtake itself. Slots are
// stamped with the batch's epoch, so nothing needs clearing. Pieces of a run form a list while frames are added (runs of
// several flows interleave) and become adjacent iovecs at the end.
//
// Checksums are verified as late as possible: a first frame only when a second one would join it.
#include "coalesce.h"

#include <cstring>

#include "checksum.h"

namespace vtepd {

namespace {

constexpr uint32_t NO_RUN = 0xffffffff;

enum : uint32_t {
  FRAGMENT_DF = 0x4000,
  PSH = 0x08,
  ACK = 0x10,
  ECE = 0x40,

  MIX1 = 0x9e3779b1,
  MIX2 = 0x85ebca77,
};

template <typename Word>
inline Word load(const uint8_t* at) {
  Word word;
  memcpy(&word, at, sizeof word);
  return word;
}

inline uint32_t get16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }
inline uint32_t get32(const uint8_t* at) { return get16(at) << 16 | get16(at + 2); }
inline void put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline bool equalWords(const uint8_t* a, const uint8_t* b, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 4) {
    if (load<uint32_t>(a + i) != load<uint32_t>(b + i)) return false;
  }
  return true;
}

// 14 to GSO_MAX_L3_AT (22) bytes of Ethernet header, in words that overlap and leave no gap.
inline bool equalL2(const uint8_t* a, const uint8_t* b, uint32_t bytes) {
  return load<uint64_t>(a) == load<uint64_t>(b) && load<uint64_t>(a + 6) == load<uint64_t>(b + 6) &&
         load<uint64_t>(a + bytes - 8) == load<uint64_t>(b + bytes - 8);
}

// The frame in hand.
struct Frame {
  uint8_t* at;
  uint32_t length;
  uint64_t key;
  Layers layers;

  const uint8_t* ip() const { return at + layers.l3At; }
  const uint8_t* l4() const { return at + layers.l4At; }
  uint32_t payload() const { return layers.end - layers.payloadAt; }
  uint32_t l4Bytes() const { return layers.end - layers.l4At; }
};

// Rule 5: a flow is addresses, protocol and ports, whatever lies around them.
inline bool sameFlow(const uint8_t* a, const Layers& la, const uint8_t* b, const Layers& lb) {
  if (la.version != lb.version || la.protocol != lb.protocol) return false;
  if (load<uint32_t>(a + la.l4At) != load<uint32_t>(b + lb.l4At)) return false;
  if (la.version == 4) return load<uint64_t>(a + la.l3At + 12) == load<uint64_t>(b + lb.l3At + 12);
  return equalWords(a + la.l3At + 8, b + lb.l3At + 8, 32);
}

inline uint32_t flowHash(const Frame& f) {
  const uint8_t* addresses = f.ip() + (f.layers.version == 4 ? 12 : 8);
  uint64_t hash = load<uint64_t>(addresses);
  if (f.layers.version == 6)
    hash ^= load<uint64_t>(addresses + 8) * 3 ^ load<uint64_t>(addresses + 16) * 5 ^ load<uint64_t>(addresses + 24) * 7;
  hash ^= hash >> 32;
  hash = hash * MIX1 ^ (uint64_t{load<uint32_t>(f.l4())} + f.layers.protocol) * MIX2;
  hash *= 0x9e3779b97f4a7c15u;
  return static_cast<uint32_t>(hash >> 32);
}

// The slot of the frame's flow, or a free one for it, or nullptr: the neighbourhood is full.
inline CoalesceSlot* findSlot(Coalescer* c, const Frame& f) {
  const uint32_t hash = flowHash(f);
  const uint16_t tag = static_cast<uint16_t>(hash);
  for (uint32_t i = 0; i < COALESCE_PROBES; i++) {
    CoalesceSlot* slot = &c->table[((hash >> 16) + i) % COALESCE_TABLE];
    if (slot->epoch != c->epoch) {
      slot->tag = tag;
      return slot;
    }
    if (slot->tag == tag && sameFlow(c->outputs[slot->run].head, c->runs[slot->run].layers, f.at, f.layers))
      return slot;
  }
  return nullptr;
}

// Rules 1, 3, 4 as far as the frame alone can tell: might it be part of a run?
inline bool mayMerge(const Coalescer* c, const Frame& f) {
  if (f.layers.l3At > GSO_MAX_L3_AT || f.layers.flags & (LAYERS_OPTIONS | LAYERS_EXTENSIONS)) return false;
  if (f.layers.version == 4 && (get16(f.ip() + 6) & ~FRAGMENT_DF)) return false;
  if (f.payload() == 0) return false;
  const uint8_t* l4 = f.l4();
  if (f.layers.protocol == LAYERS_TCP) {
    return (c->what & COALESCE_TCP) && (l4[13] & ACK) && !(l4[13] & ~(ACK | PSH | ECE));
  }
  return (c->what & COALESCE_UDP) && load<uint16_t>(l4 + 6) != 0 && get16(l4 + 4) == f.l4Bytes();
}

inline bool isPureAck(const Frame& f) {
  return f.layers.protocol == LAYERS_TCP && f.payload() == 0 && f.l4()[13] == ACK;
}

// Rules 1, 3, 4, 7: does the frame continue this run of its flow?
inline bool continues(const Coalescer* c, const CoalesceRun& run, const CoalesceOutput& output, const Frame& f) {
  const Layers &a = run.layers, &b = f.layers;
  if (!run.open || run.seal != c->seal || run.key != f.key) return false;
  if (a.l3At != b.l3At || a.l4At != b.l4At || a.payloadAt != b.payloadAt) return false;
  const uint32_t payload = f.payload();
  if (payload > run.firstPayload) return false;
  if (a.payloadAt - a.l3At + run.payload + payload > COALESCE_MAX_BYTES) return false;

  const uint8_t* head = output.head;
  if (!equalL2(head, f.at, a.l3At)) return false;
  const uint8_t* ip = head + a.l3At;
  if (a.version == 4) {
    // Version, IHL, ToS; fragment field, TTL, protocol. Addresses are the flow's.
    if (load<uint16_t>(ip) != load<uint16_t>(f.ip()) || load<uint32_t>(ip + 6) != load<uint32_t>(f.ip() + 6))
      return false;
    if (!(get16(ip + 6) & FRAGMENT_DF) && get16(f.ip() + 4) != ((get16(ip + 4) + run.count) & 0xffff)) return false;
  } else if (load<uint32_t>(ip) != load<uint32_t>(f.ip()) || load<uint16_t>(ip + 6) != load<uint16_t>(f.ip() + 6)) {
    return false;
  }
  if (b.protocol == LAYERS_UDP) return run.count < COALESCE_MAX_UDP_SEGMENTS;

  const uint8_t *l4 = head + a.l4At, *own = f.l4();
  if (run.count >= COALESCE_MAX_TCP_SEGMENTS || get32(own + 4) != run.nextSequence) return false;
  if ((run.tcpFlags ^ own[13]) & ~PSH) return false;
  // Acknowledgement, data offset; window; urgent pointer; options.
  if (load<uint32_t>(l4 + 8) != load<uint32_t>(own + 8) || l4[12] != own[12]) return false;
  if (load<uint16_t>(l4 + 14) != load<uint16_t>(own + 14) || load<uint16_t>(l4 + 18) != load<uint16_t>(own + 18))
    return false;
  return equalWords(l4 + 20, own + 20, a.payloadAt - a.l4At - 20u);
}

// R3, as checksumIsUnfinished, with the pseudo-header summed already.
inline bool isUnfinished(const Frame& f, uint64_t pseudo) {
  if (f.layers.flags & LAYERS_ROUTING) return false;
  return load<uint16_t>(f.l4() + (f.layers.protocol == LAYERS_TCP ? 16 : 6)) == checksumFold(pseudo);
}

// Rule 1: is the IPv4 header's own checksum right? A rewritten head would declare it so.
inline bool headerIsGood(const uint8_t* frame, const Layers& layers) {
  return layers.version == 6 || checksumFold(checksumAdd(frame + layers.l3At, layers.l3End - layers.l3At, 0)) == 0xffff;
}

// Rule 6: what is known about the transport checksum after looking. `pseudo` is the sum of the pseudo-header.
inline uint32_t verify(const uint8_t* frame, const Layers& layers, uint64_t pseudo, uint32_t known) {
  if (known != COALESCE_CSUM_UNKNOWN) return known;
  const uint64_t sum = checksumAdd(frame + layers.l4At, layers.end - layers.l4At, pseudo);
  return checksumFold(sum) == 0xffff ? COALESCE_CSUM_VALID : COALESCE_CSUM_BAD;
}

// Both for the first frame of a run, once.
inline bool headIsGood(CoalesceRun& run, CoalesceOutput& output) {
  if (run.headGood) return true;
  const Layers& layers = run.layers;
  output.csum = verify(output.head, layers, layersPseudo(output.head, &layers, layers.end - layers.l4At), output.csum);
  run.headGood = output.csum != COALESCE_CSUM_BAD && headerIsGood(output.head, run.layers);
  return run.headGood;
}

// A new output, verbatim so far.
inline uint32_t addOutput(Coalescer* c, const Frame& f, uint32_t index, uint32_t csum) {
  const uint32_t i = c->outputCount++;
  CoalesceOutput& output = c->outputs[i];
  output = {};
  output.head = f.at;
  output.headLength = output.length = f.length;
  output.frame = index;
  output.csum = csum;
  output.gso.units = 1;
  if (csum == COALESCE_CSUM_UNFINISHED) {
    output.gso.needsCsum = 1;
    output.gso.csumStart = f.layers.l4At;
    output.gso.csumOffset = f.layers.protocol == LAYERS_TCP ? 16 : 6;
  }
  CoalesceRun& run = c->runs[i];
  run.key = f.key;
  run.layers = f.layers;
  run.seal = c->seal;
  run.count = 1;
  run.open = 0;
  run.headGood = 0;
  return i;
}

inline void openRun(CoalesceRun& run, const Frame& f) {
  const bool tcp = f.layers.protocol == LAYERS_TCP;
  run.firstPayload = run.payload = f.payload();
  run.nextSequence = tcp ? get32(f.l4() + 4) + run.payload : 0;
  run.tcpFlags = tcp ? f.l4()[13] : 0;
  run.lastPiece = 0;
  run.open = !(run.tcpFlags & PSH);
}

inline void append(Coalescer* c, CoalesceRun& run, CoalesceOutput& output, const Frame& f) {
  const uint32_t piece = ++c->pieceCount;
  const uint32_t payload = f.payload();
  c->pieces[piece] = {f.at + f.layers.payloadAt, payload, 0};
  // Until the end, firstSlice holds the number of the first piece.
  if (run.count == 1) output.firstSlice = piece;
  else c->pieces[run.lastPiece].next = piece;
  run.lastPiece = piece;
  run.count++;
  run.payload += payload;
  run.nextSequence += payload;
  if (f.layers.protocol == LAYERS_TCP) run.tcpFlags = static_cast<uint8_t>(run.tcpFlags | (f.l4()[13] & PSH));
  if (payload < run.firstPayload || (run.tcpFlags & PSH)) run.open = 0;
}

// Rule 7: the head of a run of several.
inline void finishRun(Coalescer* c, const CoalesceRun& run, CoalesceOutput& output) {
  const Layers& layers = run.layers;
  uint8_t* const ip = output.head + layers.l3At;
  uint8_t* const l4 = output.head + layers.l4At;
  const uint32_t bytes = layers.payloadAt + run.payload;
  const uint32_t l4Bytes = bytes - layers.l4At;
  const uint16_t pseudo = checksumFold(layersPseudo(output.head, &layers, l4Bytes));
  const bool tcp = layers.protocol == LAYERS_TCP;
  if (layers.version == 4) {
    put16(ip + 2, bytes - layers.l3At);
    put16(ip + 10, 0);
    const uint16_t sum = static_cast<uint16_t>(~checksumFold(checksumAdd(ip, layers.l3End - layers.l3At, 0)));
    memcpy(ip + 10, &sum, sizeof sum);
  } else {
    put16(ip + 4, bytes - layers.l3End);
  }
  if (tcp) l4[13] = run.tcpFlags;
  else put16(l4 + 4, l4Bytes);
  memcpy(l4 + (tcp ? 16 : 6), &pseudo, sizeof pseudo);

  uint32_t piece = output.firstSlice;
  output.firstSlice = c->sliceCount;
  for (; piece != 0; piece = c->pieces[piece].next) {
    c->slices[c->sliceCount++] = {const_cast<uint8_t*>(c->pieces[piece].at), c->pieces[piece].length};
  }
  output.sliceCount = c->sliceCount - output.firstSlice;
  output.headLength = layers.end;
  output.length = bytes;
  output.csum = COALESCE_CSUM_UNFINISHED;
  output.gso = {};
  output.gso.type = tcp ? (layers.version == 4 ? GSO_TCPV4 : GSO_TCPV6) : GSO_UDP_L4;
  output.gso.needsCsum = 1;
  output.gso.size = static_cast<uint16_t>(run.firstPayload);
  output.gso.csumStart = layers.l4At;
  output.gso.csumOffset = tcp ? 16 : 6;
  output.gso.units = run.count;
  output.gso.header = layers.payloadAt;
}

}  // namespace

void coalesceInit(Coalescer* c) {
  memset(c->table, 0, sizeof c->table);
  c->epoch = 0;
  coalesceBegin(c, 0);
}

void coalesceBegin(Coalescer* c, uint32_t what) {
  if (++c->epoch == 0) {
    memset(c->table, 0, sizeof c->table);
    c->epoch = 1;
  }
  c->what = what;
  c->seal = 0;
  c->frameCount = c->pieceCount = c->sliceCount = c->outputCount = 0;
  c->lastRun = NO_RUN;
}

int coalesceAdd(Coalescer* c, uint8_t* frame, uint32_t length, uint64_t key, const Gso* gso) {
  if (c->frameCount == COALESCE_MAX_FRAMES) return 0;
  const uint32_t index = c->frameCount++;
  Frame f = {frame, length, key, {}};
  if (!layersParse(frame, length, length, &f.layers)) {
    // Rule 5: it may belong to any flow.
    c->seal++;
    addOutput(c, f, index, COALESCE_CSUM_UNKNOWN);
    if (gso != nullptr) c->outputs[c->outputCount - 1].gso = *gso;
    return 1;
  }

  // The newest output of the flow; most often the one touched last.
  CoalesceSlot* slot;
  uint32_t newest = c->lastRun;
  if (newest != NO_RUN && sameFlow(c->outputs[newest].head, c->runs[newest].layers, f.at, f.layers)) {
    slot = &c->table[c->runs[newest].slot];
  } else {
    slot = findSlot(c, f);
    newest = slot != nullptr && slot->epoch == c->epoch ? slot->run : NO_RUN;
  }

  const bool super = gso != nullptr && gso->type != GSO_NONE;
  const uint64_t pseudo = layersPseudo(f.at, &f.layers, f.l4Bytes());
  uint32_t csum = isUnfinished(f, pseudo) ? COALESCE_CSUM_UNFINISHED : COALESCE_CSUM_UNKNOWN;
  const bool mergeable = !super && slot != nullptr && mayMerge(c, f);
  if (mergeable && newest != NO_RUN && continues(c, c->runs[newest], c->outputs[newest], f)) {
    CoalesceRun& run = c->runs[newest];
    CoalesceOutput& output = c->outputs[newest];
    csum = verify(f.at, f.layers, pseudo, csum);
    if (csum != COALESCE_CSUM_BAD && headerIsGood(f.at, f.layers) && headIsGood(run, output)) {
      append(c, run, output, f);
      c->lastRun = newest;
      return 1;
    }
  }

  const uint32_t made = addOutput(c, f, index, csum);
  if (super) c->outputs[made].gso = *gso;
  if (slot == nullptr || (!super && isPureAck(f))) return 1;
  CoalesceRun& run = c->runs[made];
  if (mergeable && csum != COALESCE_CSUM_BAD) openRun(run, f);
  slot->epoch = c->epoch;
  slot->run = static_cast<uint16_t>(made);
  run.slot = static_cast<uint16_t>(slot - c->table);
  c->lastRun = made;
  return 1;
}

uint32_t coalesceEnd(Coalescer* c) {
  for (uint32_t i = 0; i < c->outputCount; i++) {
    if (c->runs[i].count > 1) finishRun(c, c->runs[i], c->outputs[i]);
  }
  return c->outputCount;
}

}  // namespace vtepd
