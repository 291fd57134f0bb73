// One datagram to the service manager (sd_notify(3)): Node has no datagram sockets of the Unix kind.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "calls.h"

namespace vtepd {

namespace {

/** `path`: NOTIFY_SOCKET; a leading '@' means an abstract name. 0, or a negative errno. */
int notify(const std::string& path, const std::string& message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  ssize_t sent =
      sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), length);
  int error = sent < 0 ? -errno : 0;
  close(fd);
  return error;
}

}  // namespace

napi_value notifyCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string path = args.text(0), message = args.text(1);
  return args.bad() ? nullptr : number(env, notify(path, message));
}

}  // namespace vtepd
