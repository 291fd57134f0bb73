// What this kernel can do, asked once at the start on sockets and a device of our own.
//
// A release number says too little: distributions carry patches both ways (datapath T2, T15), and a container has its
// host's kernel. What is asked here is asked where nothing else sees it: two sockets on the loopback address, and a TAP in a
// network namespace that is made for it and gone with it.
#pragma once
#include "netns.h"

namespace vtepd {

struct SegmentProbe {
  int cap = 0;    // most datagrams of one UDP_SEGMENT send that arrive whole; 1: not even two do
  int error = 0;  // the negative errno that a larger number met, 0: none was met
};
/**
 * Send 128 datagrams in one UDP_SEGMENT send, else 64, and so on down to 2, with an equal and with a shorter last one, and
 * compare what arrives byte by byte. False where a plain datagram does not arrive either: nothing can be said then.
 */
bool probeSegments(SegmentProbe& probe, Failure& failure);

struct TapProbe {
  // 0: a super-frame may be written; or the negative errno it met, -EINVAL: the kernel refuses what it should know (T15)
  int tcp4 = 0, tcp6 = 0, udp = 0;
  bool isolated = false;  // asked in a namespace of its own, with the device up
};
/**
 * Write super-frames of two segments to a TAP of our own, which is deleted at once. Without the right to make a namespace
 * the device is made in the present one and never set up: the kernel then checks the header, and drops the frame with EIO.
 */
bool probeTap(TapProbe& probe, Failure& failure);

}  // namespace vtepd
