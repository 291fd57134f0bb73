/*
 * GSO metadata: believed, made, and recognised. What is accepted and why is told in gso.h.
 */
#include "gso.h"

#include <string.h>

#include "checksum.h"

namespace {

enum : uint32_t {
  TCP_FLAGS_AT = 13,
  TCP_SYN_RST = 0x02 | 0x04,
  TCP_CWR = 0x80,
  TCP_CHECKSUM_AT = 16,
  UDP_CHECKSUM_AT = 6,
};

inline uint32_t checksum_at(uint8_t protocol) { return protocol == LAYERS_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT; }

inline uint16_t field(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Would cutting it make too many bytes of too few? */
inline bool amplifies(const Gso &gso, uint32_t length) {
  return uint64_t{gso.units} * gso.header + (length - gso.header) > uint64_t{GSO_AMPLIFICATION} * length;
}

/* NEEDS_CSUM without GSO: may this field be finished? */
int check_lone_checksum(const uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset) {
  Layers layers;
  layers_parse(frame, length, length, &layers);
  if (layers.version == 0) return GSO_BAD_FRAME;
  if (layers.l4_at != 0 && (layers.protocol == LAYERS_TCP || layers.protocol == LAYERS_UDP)) {
    if (start != layers.l4_at || offset != checksum_at(layers.protocol)) return GSO_BAD_CHECKSUM_AT;
  } else {
    const uint32_t first = layers.l4_at != 0 ? layers.l4_at : layers.l3_end;
    if (start < first || start + offset < first + 2u) return GSO_BAD_CHECKSUM_AT;
  }
  return start + offset + 2u <= layers.end ? GSO_OK : GSO_BAD_CHECKSUM_AT;
}

}  // namespace

extern "C" {

int gso_check(uint8_t type, int ecn, uint32_t size, const uint8_t *frame, uint32_t head, uint32_t length, Gso *gso,
              Layers *layers) {
  *gso = Gso{};
  gso->units = 1;
  if (type != GSO_TCPV4 && type != GSO_TCPV6 && type != GSO_UDP_L4) return GSO_BAD_TYPE;
  const int whole = layers_parse(frame, head, length, layers);
  if (layers->flags & (LAYERS_FRAGMENT | LAYERS_ROUTING)) return GSO_BAD_FRAGMENT;
  if (!whole || layers->end != length) return GSO_BAD_FRAME;
  if (type == GSO_UDP_L4 ? layers->protocol != LAYERS_UDP
                         : layers->protocol != LAYERS_TCP || layers->version != (type == GSO_TCPV4 ? 4 : 6)) {
    return GSO_BAD_TYPE;
  }
  const uint32_t header = layers->payload_at;
  const uint32_t payload = length - header;
  if (size == 0 || size > 0xffff || payload == 0 || header > GSO_MAX_HEADER) return GSO_BAD_SIZE;
  if (layers->protocol == LAYERS_TCP && (frame[layers->l4_at + TCP_FLAGS_AT] & TCP_SYN_RST)) return GSO_BAD_FLAGS;
  const uint32_t units = (payload + size - 1) / size;
  if (layers->protocol == LAYERS_UDP && units > GSO_MAX_UDP_SEGMENTS) return GSO_BAD_COUNT;
  gso->type = type;
  gso->ecn = ecn != 0;
  gso->needs_csum = 1;
  gso->size = static_cast<uint16_t>(size);
  gso->csum_start = layers->l4_at;
  gso->csum_offset = static_cast<uint16_t>(checksum_at(layers->protocol));
  gso->units = static_cast<uint16_t>(units);
  gso->header = static_cast<uint16_t>(header);
  return GSO_OK;
}

int gso_from_vnet(const VnetHeader *vnet, const uint8_t *frame, uint32_t length, Gso *gso) {
  *gso = Gso{};
  gso->units = 1;
  const int needs_csum = vnet->flags & VNET_NEEDS_CSUM;
  if (vnet->gso_type == GSO_NONE) {
    if (!needs_csum) return GSO_OK;
    const int error = check_lone_checksum(frame, length, vnet->csum_start, vnet->csum_offset);
    if (error != GSO_OK) return error;
    gso->needs_csum = 1;
    gso->csum_start = vnet->csum_start;
    gso->csum_offset = vnet->csum_offset;
    return GSO_OK;
  }
  if (!needs_csum) return GSO_BAD_FLAGS;
  Gso believed;
  Layers layers;
  const uint8_t type = vnet->gso_type & static_cast<uint8_t>(~GSO_ECN_BIT);
  const int error = gso_check(type, vnet->gso_type & GSO_ECN_BIT, vnet->gso_size, frame, length, length, &believed, &layers);
  if (error != GSO_OK) return error;
  if (vnet->csum_start != believed.csum_start || vnet->csum_offset != believed.csum_offset) return GSO_BAD_CHECKSUM_AT;
  if (amplifies(believed, length)) return GSO_BAD_COUNT;
  *gso = believed;
  return GSO_OK;
}

void gso_to_vnet(const Gso *gso, VnetHeader *vnet) {
  *vnet = VnetHeader{};
  if (!gso->needs_csum) return;
  vnet->flags = VNET_NEEDS_CSUM;
  vnet->csum_start = gso->csum_start;
  vnet->csum_offset = gso->csum_offset;
  if (gso->type == GSO_NONE) return;
  vnet->gso_type = static_cast<uint8_t>(gso->type | (gso->ecn ? GSO_ECN_BIT : 0));
  vnet->gso_size = gso->size;
  vnet->hdr_len = gso->header;
}

int gso_from_datagram(uint8_t *frame, uint32_t length, uint32_t gro_size, uint32_t inner_mtu, Gso *gso) {
  *gso = Gso{};
  gso->units = 1;
  Layers layers;
  const int whole = layers_parse(frame, length, length, &layers);
  /* The datagram is 8 bytes longer than the frame: below that, gro_size makes a single piece. */
  const int several = gro_size > 0 && gro_size < length + 8;
  const int fills = layers.version != 0 && layers.end == length;
  const int refused = several && fills ? -1 : 0;
  if (!whole || !fills || (layers.flags & (LAYERS_OPTIONS | LAYERS_EXTENSIONS))) return refused;

  uint32_t size = gro_size;
  if (!several) {
    const uint32_t headers = layers.payload_at - layers.l3_at;
    if (layers.protocol != LAYERS_TCP || length - layers.l3_at <= inner_mtu || inner_mtu <= headers) return 0;
    size = inner_mtu - headers;
  }
  const uint8_t type = layers.protocol == LAYERS_UDP ? GSO_UDP_L4 : layers.version == 4 ? GSO_TCPV4 : GSO_TCPV6;
  /* The sender's GSO_ECN bit did not travel. CWR on a super-frame is RFC 3168's, for the first segment: AccECN senders
     cut before the wire. */
  const int ecn = layers.protocol == LAYERS_TCP && (frame[layers.l4_at + TCP_FLAGS_AT] & TCP_CWR);
  Gso believed;
  if (gso_check(type, ecn, size, frame, length, length, &believed, &layers) != GSO_OK) return refused;
  if (amplifies(believed, length)) return refused;

  uint8_t *checksum = frame + believed.csum_start + believed.csum_offset;
  const uint32_t l4_length = layers.end - layers.l4_at;
  const uint64_t pseudo = layers_pseudo(frame, &layers, l4_length);
  const uint16_t unfinished = checksum_fold(pseudo);
  if (field(checksum) != unfinished) {
    if (layers.protocol == LAYERS_UDP && field(checksum) == 0) return refused;
    if (checksum_fold(checksum_add(frame + layers.l4_at, l4_length, pseudo)) != 0xffff) return refused;
    memcpy(checksum, &unfinished, sizeof unfinished);
  }
  *gso = believed;
  return 1;
}

int checksum_is_unfinished(const uint8_t *frame, const Layers *layers) {
  if (layers->payload_at == 0 || (layers->flags & LAYERS_ROUTING)) return 0;
  const uint64_t pseudo = layers_pseudo(frame, layers, layers->end - layers->l4_at);
  return field(frame + layers->l4_at + checksum_at(layers->protocol)) == checksum_fold(pseudo);
}

int finish_checksum(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset) {
  Layers layers;
  layers_parse(frame, length, length, &layers);
  if (layers.version == 0 || start < layers.l3_end || start >= layers.end) return GSO_BAD_CHECKSUM_AT;
  const uint32_t room = layers.end - start;
  if (room < 2 || offset > room - 2) return GSO_BAD_CHECKSUM_AT;
  uint16_t sum = static_cast<uint16_t>(~checksum_fold(checksum_add(frame + start, room, 0)));
  if (sum == 0) sum = 0xffff;
  memcpy(frame + start + offset, &sum, sizeof sum);
  return GSO_OK;
}

}  // extern "C"
