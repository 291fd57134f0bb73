#include "tap.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace vtepd {

namespace {

constexpr int kVnetHdrBytes = 10;

// The device must be where the operator said: a persistent device of this name may have been moved, and an old kernel
// (< 5.2) has no way to say so; there the ifindex by name is the check.
bool checkNamespace(int fd, Failure& failure) {
  int ns = ioctl(fd, TUNGETDEVNETNS);
  if (ns < 0) return errno == EINVAL || errno == ENOTTY ? true : failure.at("ask the namespace of the device");
  bool here = isPresentNamespace(ns);
  close(ns);
  return here || failure.at("check that the device is in the namespace", EXDEV);
}

bool setPersistence(int fd, int persist, Failure& failure) {
  return persist < 0 || ioctl(fd, TUNSETPERSIST, persist > 0 ? 1UL : 0UL) == 0 || failure.at("set persistence");
}

constexpr const char* kAttachStep = "create or attach the TAP device";

bool openQueue(const TapRequest& request, bool multiQueue, int& fd, Failure& failure) {
  ifreq want{};
  strncpy(want.ifr_name, request.device, IFNAMSIZ - 1);
  want.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiQueue ? IFF_MULTI_QUEUE : 0));
  fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return failure.at("open /dev/net/tun");
  if (ioctl(fd, TUNSETIFF, &want) != 0) return failure.at(kAttachStep);
  if (strncmp(want.ifr_name, request.device, IFNAMSIZ) != 0) return failure.at("name the TAP device", EINVAL);
  int bytes = kVnetHdrBytes;
  if (ioctl(fd, TUNSETVNETHDRSZ, &bytes) != 0) return failure.at("set the virtio header size");
  // A device opened before us may still promise its former reader's offloads.
  if (ioctl(fd, TUNSETOFFLOAD, 0UL) != 0) return failure.at("reset offloads");
  return setPersistence(fd, request.persist, failure);
}

int ifindexOf(const char* device, Failure& failure) {
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) {
    failure.at("open a control socket");
    return -1;
  }
  ifreq ask{};
  strncpy(ask.ifr_name, device, IFNAMSIZ - 1);
  int rc = ioctl(control, SIOCGIFINDEX, &ask);
  if (rc != 0) failure.at("find the interface index");
  close(control);
  return rc == 0 ? ask.ifr_ifindex : -1;
}

/**
 * Does somebody read the device? The kernel refuses a second reader of a single queue (EBUSY), but to a multi-queue device
 * it would attach our queues beside the other process's, and each would get some of the frames. A TAP has its carrier while
 * a queue is attached.
 */
bool isInUse(const char* device) {
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return false;
  ifreq ask{};
  strncpy(ask.ifr_name, device, IFNAMSIZ - 1);
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  ask.ifr_data = reinterpret_cast<char*>(&driver);
  bool there = ioctl(control, SIOCETHTOOL, &ask) == 0 && strcmp(driver.driver, "tun") == 0;
  ethtool_value link{ETHTOOL_GLINK, 0};
  ask.ifr_data = reinterpret_cast<char*>(&link);
  there = there && ioctl(control, SIOCETHTOOL, &ask) == 0;
  close(control);
  return there && link.data != 0;
}

void closeQueues(OpenedTap& tap) {
  while (tap.count > 0) {
    if (tap.fds[--tap.count] >= 0) close(tap.fds[tap.count]);
  }
}

bool openQueues(const TapRequest& request, bool multiQueue, int count, OpenedTap& tap, Failure& failure) {
  bool good = !multiQueue || !isInUse(request.device) || failure.at(kAttachStep, EBUSY);
  while (good && tap.count < count) {
    int& fd = tap.fds[tap.count++] = -1;
    good = openQueue(request, multiQueue, fd, failure) && checkNamespace(fd, failure);
  }
  if (!good) closeQueues(tap);
  return good;
}

/**
 * A device's transmit queue length, by rtnetlink(7). The ioctl for it, SIOCSIFTXQLEN, wants CAP_NET_ADMIN over the whole
 * machine; a message wants it over the namespace alone, which root of a user namespace has.
 */
bool setQueueLength(int ifindex, int frames) {
  struct {
    nlmsghdr header;
    ifinfomsg link;
    rtattr attribute;
    uint32_t value;
  } ask{};
  ask.header = {sizeof ask, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
  ask.link.ifi_index = ifindex;
  ask.attribute = {RTA_LENGTH(sizeof ask.value), IFLA_TXQLEN};
  ask.value = static_cast<uint32_t>(frames);
  // The answer quotes the question behind its error number.
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char quote[256];
  } answer{};
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink < 0) return false;
  int error = 0;
  if (send(netlink, &ask, sizeof ask, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) < 0) error = errno;
  else if (answer.header.nlmsg_type != NLMSG_ERROR) error = EPROTO;
  else error = -answer.error.error;
  close(netlink);
  errno = error;
  return error == 0;
}

}  // namespace

bool openTap(const TapRequest& request, OpenedTap& tap, Failure& failure) {
  if (strlen(request.device) == 0 || strlen(request.device) >= IFNAMSIZ) {
    return failure.at("check the device name", EINVAL);
  }
  if (request.queues > kMaxQueues) return failure.at("count the queues", EINVAL);
  NetworkNamespace inside;
  if (!inside.enter(request.netnsPath, failure)) return false;
  bool multiQueue = request.queues > 0;
  bool good = openQueues(request, multiQueue, multiQueue ? request.queues : 1, tap, failure);
  if (!good && failure.error == EINVAL && failure.step == kAttachStep) {
    Failure other;
    good = openQueues(request, !multiQueue, 1, tap, other);
    // EINVAL again: it is not the queue mode, and the first answer is the better one.
    if (!good && other.error != EINVAL) failure = other;
  }
  if (good) {
    tap.ifindex = ifindexOf(request.device, failure);
    good = tap.ifindex > 0;
  }
  if (!good) closeQueues(tap);
  return good;
}

bool setTap(int fd, const TapSettings& settings, Failure& failure) {
  TapInfo info;
  int rc = tapInfo(fd, info);
  if (rc < 0) return failure.at("ask the TAP device", -rc);
  if (settings.carrier >= 0) {
    int carrier = settings.carrier;
    if (ioctl(fd, TUNSETCARRIER, &carrier) != 0) return failure.at("set the carrier");
  }
  if (!setPersistence(fd, settings.persist, failure)) return false;
  if (settings.mtu < 0 && settings.txQueueLength < 0 && settings.up < 0) return true;
  NetworkNamespace inside;
  int ns = ioctl(fd, TUNGETDEVNETNS);
  if (ns < 0) {
    if (errno != EINVAL && errno != ENOTTY) return failure.at("ask the namespace of the device");
  } else {
    bool entered = inside.enterFd(ns, failure);
    close(ns);
    if (!entered) return false;
  }
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return failure.at("open a control socket");
  bool good = true;
  ifreq set{};
  memcpy(set.ifr_name, info.device, sizeof set.ifr_name);
  if (good && settings.mtu >= 0) {
    set.ifr_mtu = settings.mtu;
    good = ioctl(control, SIOCSIFMTU, &set) == 0 || failure.at("set the MTU");
  }
  if (good && settings.txQueueLength >= 0) {
    int ifindex = ifindexOf(info.device, failure);
    good =
        ifindex > 0 && (setQueueLength(ifindex, settings.txQueueLength) || failure.at("set the transmit queue length"));
  }
  if (good && settings.up >= 0) {
    good = ioctl(control, SIOCGIFFLAGS, &set) == 0 || failure.at("read the interface flags");
    if (good) {
      set.ifr_flags = static_cast<short>(settings.up ? set.ifr_flags | IFF_UP : set.ifr_flags & ~IFF_UP);
      good = ioctl(control, SIOCSIFFLAGS, &set) == 0 ||
             failure.at(settings.up ? "set the device up" : "set the device down");
    }
  }
  close(control);
  return good;
}

int setTapOffload(int fd, unsigned flags) {
  return ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(flags)) == 0 ? 0 : -errno;
}

int tapInfo(int fd, TapInfo& info) {
  ifreq ask{};
  if (ioctl(fd, TUNGETIFF, &ask) != 0) return -errno;
  memcpy(info.device, ask.ifr_name, sizeof info.device);
  info.device[sizeof info.device - 1] = '\0';
  info.flags = static_cast<unsigned short>(ask.ifr_flags);
  info.vnetHdrBytes = 0;
  if ((info.flags & IFF_VNET_HDR) && ioctl(fd, TUNGETVNETHDRSZ, &info.vnetHdrBytes) != 0) return -errno;
  pollfd ask_up{fd, POLLOUT, 0};
  info.up = poll(&ask_up, 1, 0) == 1 && (ask_up.revents & POLLOUT) != 0;
  return 0;
}

}  // namespace vtepd
