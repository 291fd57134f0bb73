// TAP devices: open, tune, ask.
//
// Always IFF_TAP | IFF_NO_PI | IFF_VNET_HDR: every frame is preceded by a 10-byte virtio_net_hdr that carries checksum
// and segmentation metadata. Which offloads the kernel may use toward us is decided later (setTapOffload).
#pragma once
#include <cstdint>

#include "netns.h"

namespace vtepd {

constexpr int kMaxQueues = 16;

struct TapRequest {
  const char* device;
  const char* netnsPath;  // empty: the present namespace
  int persist;            // 1: the device outlives this process; 0: not; -1: as it is, and a new one does not
  int queues;             // 0: single queue device; else IFF_MULTI_QUEUE with so many fds
};

struct OpenedTap {
  int fds[kMaxQueues];
  int count = 0;
  int ifindex = 0;
};

/**
 * Open the device's queues in its namespace, non-blocking; on failure closes what it opened. A persistent device that is
 * there already keeps the queue mode it was made with (TUNSETIFF refuses the other one with EINVAL): it is opened in that,
 * with one fd, and the caller sees it by the count. Recreating it would take its addresses and routes away.
 */
bool openTap(const TapRequest& request, OpenedTap& tap, Failure& failure);

/** -1 leaves a property as it is. */
struct TapSettings {
  int mtu = -1, txQueueLength = -1, up = -1, carrier = -1, persist = -1;
};
/** Set properties of the device behind the fd, in whatever namespace it is now. */
bool setTap(int fd, const TapSettings& settings, Failure& failure);

/** TUNSETOFFLOAD: TUN_F_* the reader can take. 0 or a negative errno. */
int setTapOffload(int fd, unsigned flags);

struct TapInfo {
  char device[16];
  int flags;         // IFF_* as TUNGETIFF reports them
  int vnetHdrBytes;  // 0 without IFF_VNET_HDR
  bool up;           // IFF_UP, in whatever namespace the device is
};
/** TUNGETIFF, and poll(2): a TAP can be written to while it is up (Linux 5.2; always "up" before). 0 or a negative errno (-EBADFD: the device was deleted). */
int tapInfo(int fd, TapInfo& info);

}  // namespace vtepd
