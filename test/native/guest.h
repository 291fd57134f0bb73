// What a guest says of a packet, and whether it is believed (gso.h).
#pragma once

#include "../../native-bindings/gso.h"
#include "oracle.h"

/** @returns what gsoFromVnet does. */
inline int believe(const Bytes& frame, vtepd::VnetHeader vnet, vtepd::Gso* gso = nullptr) {
  vtepd::Gso mine;
  return vtepd::gsoFromVnet(&vnet, frame.data(), static_cast<uint32_t>(frame.size()), gso != nullptr ? gso : &mine);
}

/** The honest header of a packet whose checksum is unfinished; `type` GSO_NONE and `size` 0: of a lone one. */
inline vtepd::VnetHeader vnetOf(const Packet& p, uint8_t type, uint16_t size) {
  return {
      vtepd::VNET_NEEDS_CSUM, type, 0, size, static_cast<uint16_t>(p.l4At()), static_cast<uint16_t>(p.udp ? 6 : 16)};
}
