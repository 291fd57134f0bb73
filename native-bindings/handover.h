// Passing a TAP's file descriptor between processes (SCM_RIGHTS, unix(7)).
//
// The owner of a namespace opens the TAP there and hands it over with a line of text; the gateway then needs neither
// the namespace nor a capability. A message is one sendmsg: up to 4 KB of text and at most one fd. Everything beyond
// (more fds, a cut message) is refused, and whatever fds came with it are closed.
//
// A file that came from elsewhere is shared (dup(2)): its owner can clear O_NONBLOCK at any moment, and a read or write
// of ours would then wait for as long as the owner likes, with all other ports behind it. So such files are remembered,
// and each call on them says for itself that it must not wait (RWF_NOWAIT, preadv2(2)).
#pragma once
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <cstddef>

namespace vtepd {

constexpr size_t kMostText = 4096;

struct Handover {
  char text[kMostText];
  size_t length = 0;  // 0: the other side closed the connection
  int fd = -1;        // -1: the message brought none; else ours to close
  pid_t pid = 0;      // credentials of who connected (SO_PEERCRED)
  uid_t uid = 0;
  gid_t gid = 0;
};

/** 0, or a negative errno; -EAGAIN: the socket's buffer is full. fd -1 sends text alone. */
int sendHandover(int socket, int fd, const char* text, size_t length);

/** Who is at the other end of a connected socket: who connected, or who called listen(2). 0, or a negative errno. */
int peerOf(int socket, ucred& peer);

/** 0, or a negative errno; -EAGAIN: nothing there yet; -EPROTO: more than one fd. */
int receiveHandover(int socket, Handover& message);

/** Remember whether an fd came from elsewhere. Any thread; receiveHandover does it, closing an fd forgets it. */
void setForeign(int fd, bool foreign);
bool isForeign(int fd);

/** As read(2) and writev(2), but never waiting, whatever the flags of the file are. */
ssize_t readForeign(int fd, void* bytes, size_t length);
ssize_t writeForeign(int fd, const iovec* iov, int count);

}  // namespace vtepd
