// A network namespace for the length of a scope.
//
// setns(2) with CLONE_NEWNET moves only the calling thread. Whatever happens inside, the thread must come home: a
// daemon that keeps running in a guest's namespace would open its next socket there. Coming home cannot fail for a
// reason the caller could handle, so failing it ends the process.
#pragma once
#include <sys/types.h>

namespace vtepd {

/** What went wrong in a set-up call: which step, and the errno. */
struct Failure {
  const char* step = "";
  int error = 0;
  /** Note errno for `step`; false, so that a caller can `return failure.at("step")`. */
  bool at(const char* name);
  bool at(const char* name, int number);
};

class NetworkNamespace {
 public:
  NetworkNamespace() = default;
  NetworkNamespace(const NetworkNamespace&) = delete;
  ~NetworkNamespace();
  /** Enter the namespace behind this path, e.g. /run/netns/NAME or /proc/PID/ns/net; the empty path stays at home. */
  bool enter(const char* path, Failure& failure);
  /** Enter a new, empty namespace, which ends with the scope. False (and still at home) without the right to make one. */
  bool enterNew();
  /** Enter the namespace behind an open ns fd (borrowed). */
  bool enterFd(int fd, Failure& failure);

 private:
  int home_ = -1;
};

/** True when the fd is the calling thread's present network namespace. */
bool isPresentNamespace(int nsFd);

}  // namespace vtepd
