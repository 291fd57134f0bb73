// Names and argument checks; nothing else lives here.
//
// Set-up calls return [value, ...] or [negative errno, "step"]; native.ts makes an error of the latter. Only wrong
// argument types throw, since those are our own mistakes. A worker's io is in worker-io.cc.
#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>

#include "calls.h"
#include "echo.h"
#include "gso.h"
#include "handover.h"
#include "probe.h"
#include "records.h"
#include "tap.h"
#include "thread.h"
#include "udp.h"

namespace vtepd {

namespace {

napi_value failed(napi_env env, const Failure& failure) {
  return list(env, {number(env, -failure.error), text(env, failure.step)});
}

void append(napi_env env, napi_value to, const int* values, int count) {
  uint32_t length = 0;
  napi_get_array_length(env, to, &length);
  for (int i = 0; i < count; i++) napi_set_element(env, to, length++, number(env, values[i]));
}

// ---- set-up ----------------------------------------------------------------------------------------------------

napi_value openTapCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string device = args.text(0), netns = args.text(1);
  TapRequest request{device.c_str(), netns.c_str(), args.integer(2), args.integer(3)};
  if (args.bad()) return nullptr;
  OpenedTap tap;
  Failure failure;
  if (!openTap(request, tap, failure)) return failed(env, failure);
  napi_value result = list(env, {number(env, tap.ifindex)});
  append(env, result, tap.fds, tap.count);
  return result;
}

napi_value setTapCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  TapSettings settings{args.integer(1), args.integer(2), args.integer(3), args.integer(4), args.integer(5)};
  if (args.bad()) return nullptr;
  Failure failure;
  return setTap(fd, settings, failure) ? list(env, {number(env, 0)}) : failed(env, failure);
}

napi_value setTapOffloadCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0), flags = args.integer(1);
  return args.bad() ? nullptr : number(env, setTapOffload(fd, static_cast<unsigned>(flags)));
}

napi_value tapInfoCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  if (args.bad()) return nullptr;
  TapInfo tap;
  int rc = tapInfo(fd, tap);
  if (rc < 0) return list(env, {number(env, rc)});
  return list(
      env, {number(env, tap.flags), number(env, tap.vnetHdrBytes), text(env, tap.device), number(env, tap.up ? 1 : 0)});
}

napi_value openUnderlayCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string address = args.text(0);
  size_t likeCount;
  const int32_t* like = args.view<int32_t>(9, likeCount);
  UnderlayRequest request{address.c_str(),
                          args.integer(1),
                          args.integer(2),
                          args.integer(3),
                          args.integer(4),
                          args.integer(5),
                          args.boolean(6),
                          args.boolean(7),
                          args.boolean(8),
                          like,
                          static_cast<int>(likeCount)};
  if (args.bad()) return nullptr;
  Underlay underlay;
  Failure failure;
  if (!openUnderlay(request, underlay, failure)) return failed(env, failure);
  napi_value result =
      list(env, {number(env, underlay.fd), number(env, underlay.receiveBuffer), number(env, underlay.sendBuffer)});
  append(env, result, underlay.txFds, underlay.txCount);
  return result;
}

napi_value deviceMtuForCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string address = args.text(0);
  if (args.bad()) return nullptr;
  DeviceMtu found;
  int rc = deviceMtuFor(address.c_str(), found);
  if (rc < 0) return list(env, {number(env, rc)});
  return list(env,
              {number(env, found.ifindex), number(env, found.mtu), text(env, found.device), number(env, found.isUp),
               number(env, found.hasCarrier), number(env, found.gro), number(env, found.tso)});
}

napi_value pathMtuCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string local = args.text(0), remote = args.text(1);
  return args.bad() ? nullptr : number(env, pathMtu(local.c_str(), remote.c_str()));
}

napi_value socketDropsCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  return args.bad() ? nullptr : number(env, socketDrops(fd));
}

napi_value openEchoCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string address = args.text(0);
  if (args.bad()) return nullptr;
  EchoSocket socket;
  Failure failure;
  if (!openEcho(address.c_str(), socket, failure)) return failed(env, failure);
  return list(env, {number(env, socket.fd), number(env, socket.identifier)});
}

napi_value sendEchoCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  std::string target = args.text(1);
  size_t length;
  const uint8_t* bytes = args.view<uint8_t>(2, length);
  return args.bad() ? nullptr : number(env, sendEcho(fd, target.c_str(), bytes, length));
}

/** [sequence, mtu, source, ...] of each. */
napi_value receiveEchoesCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  if (args.bad()) return nullptr;
  EchoAnswer answers[kMostAnswers];
  int count = receiveEchoes(fd, answers);
  napi_value result;
  napi_create_array(env, &result);
  for (int i = 0; i < count; i++) {
    const EchoAnswer& each = answers[i];
    uint32_t at = static_cast<uint32_t>(i) * 3;
    napi_set_element(env, result, at, number(env, each.sequence));
    napi_set_element(env, result, at + 1, number(env, each.mtu));
    napi_set_element(env, result, at + 2, text(env, each.source));
  }
  return result;
}

napi_value probeSegmentsCall(napi_env env, napi_callback_info) {
  SegmentProbe probe;
  Failure failure;
  if (!probeSegments(probe, failure)) return failed(env, failure);
  return list(env, {number(env, probe.cap), number(env, probe.error)});
}

napi_value probeTapCall(napi_env env, napi_callback_info) {
  TapProbe probe;
  Failure failure;
  if (!probeTap(probe, failure)) return failed(env, failure);
  return list(env,
              {number(env, probe.isolated), number(env, probe.tcp4), number(env, probe.tcp6), number(env, probe.udp)});
}

napi_value openDoorbellCall(napi_env env, napi_callback_info) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return number(env, fd >= 0 ? fd : -errno);
}

napi_value ringCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  if (args.bad()) return nullptr;
  uint64_t one = 1;
  // EAGAIN: the counter is full, so the bell has been ringing for long.
  bool good = write(fd, &one, sizeof one) == sizeof one || errno == EAGAIN;
  return number(env, good ? 0 : -errno);
}

napi_value closeFdCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  if (args.bad()) return nullptr;
  setForeign(fd, false);  // before the number is free for another file
  return number(env, close(fd) == 0 ? 0 : -errno);
}

napi_value sendFdCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int socket = args.integer(0), fd = args.integer(1);
  std::string message = args.text(2);
  return args.bad() ? nullptr : number(env, sendHandover(socket, fd, message.data(), message.size()));
}

napi_value receiveFdCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int socket = args.integer(0);
  if (args.bad()) return nullptr;
  Handover message;
  int rc = receiveHandover(socket, message);
  if (rc < 0) return list(env, {number(env, rc), text(env, "receive a file descriptor")});
  napi_value said;
  napi_create_string_utf8(env, message.text, message.length, &said);
  return list(env, {number(env, message.pid), number(env, message.uid), number(env, message.gid),
                    number(env, message.fd), said});
}

napi_value peerOfCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int socket = args.integer(0);
  if (args.bad()) return nullptr;
  ucred peer{};
  int rc = peerOf(socket, peer);
  if (rc < 0) return list(env, {number(env, rc), text(env, "ask who is at the other end")});
  return list(env, {number(env, peer.pid), number(env, peer.uid), number(env, peer.gid)});
}

/** [tid, errno of the priority, errno of the processors] */
napi_value scheduleThreadCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  ThreadRequest request{args.integer(0), args.integer(1), nullptr, 0};
  request.cpus = args.view<int32_t>(2, request.cpuCount);
  if (args.bad()) return nullptr;
  ThreadOutcome outcome;
  scheduleThread(request, outcome);
  return list(env, {number(env, outcome.tid), number(env, outcome.priorityError), number(env, outcome.cpusError)});
}

napi_value threadWaitsCall(napi_env env, napi_callback_info) { return number(env, threadWaits()); }

/** End the process without waiting for a thread: one that is stuck would never be joined. */
napi_value exitNowCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int code = args.integer(0);
  if (args.bad()) return nullptr;
  _exit(code);
}

/** From how many free bytes at the end of an arena of malloc on they go back to the kernel. */
napi_value trimFromCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int bytes = args.integer(0);
  if (args.bad()) return nullptr;
#ifdef M_TRIM_THRESHOLD  // not every C library has it
  mallopt(M_TRIM_THRESHOLD, bytes);
#endif
  return nullptr;
}

/** How far into this memory the next page starts. */
napi_value pageSkewCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  size_t length;
  auto address = reinterpret_cast<uintptr_t>(args.view<uint8_t>(0, length));
  return args.bad() ? nullptr : number(env, static_cast<int64_t>(-address & 4095));
}

napi_value contract(napi_env env) {
  const struct {
    const char* name;
    int value;
  } words[] = {{"MAX_IO_PORTS", kMaxPorts},
               {"MAX_FRAMES", kMaxFrames},
               {"MAX_SENDS", kMaxSends},
               {"HEADROOM", kHeadroom},
               {"VXLAN_BYTES", kVxlanBytes},
               {"MAX_FRAME_BYTES", kMaxFrameBytes},
               {"FRAME_WORDS", kFrameWords},
               {"F_AT", F_AT},
               {"F_LENGTH", F_LENGTH},
               {"F_SOURCE", F_SOURCE},
               {"F_FLAGS", F_FLAGS},
               {"F_GSO_SIZE", F_GSO_SIZE},
               {"F_UNITS", F_UNITS},
               {"F_OUTER_SOURCE", F_OUTER_SOURCE},
               {"F_OUTER_TOS", F_OUTER_TOS},
               {"F_CSUM_START", F_CSUM_START},
               {"F_CSUM_OFFSET", F_CSUM_OFFSET},
               {"F_HEAD", F_HEAD},
               {"F_CHAIN", F_CHAIN},
               {"F_OUTER_REST", F_OUTER_REST},
               {"F_OUTER_PORT", F_OUTER_PORT},
               {"OUTER_IPV6", OUTER_IPV6},
               {"SEND_WORDS", kSendWords},
               {"S_AT", S_AT},
               {"S_LENGTH", S_LENGTH},
               {"S_PORT", S_PORT},
               {"S_FLAGS", S_FLAGS},
               {"S_GSO_SIZE", S_GSO_SIZE},
               {"S_TOS", S_TOS},
               {"S_ENTROPY", S_ENTROPY},
               {"S_CSUM_START", S_CSUM_START},
               {"S_CSUM_OFFSET", S_CSUM_OFFSET},
               {"S_CHAIN", S_CHAIN},
               {"S_UNITS", S_UNITS},
               {"S_DONE", S_DONE},
               {"S_ERROR", S_ERROR},
               {"S_OWN", S_OWN},
               {"GSO_MASK", GSO_MASK},
               {"GSO_NONE", GSO_NONE},
               {"GSO_TCPV4", GSO_TCPV4},
               {"GSO_TCPV6", GSO_TCPV6},
               {"GSO_UDP_L4", GSO_UDP_L4},
               {"FLAG_NEEDS_CSUM", FLAG_NEEDS_CSUM},
               {"FLAG_GSO_ECN", FLAG_GSO_ECN},
               {"FLAG_TRUNCATED", FLAG_TRUNCATED},
               {"FLAG_GSO_BAD", FLAG_GSO_BAD},
               {"FLAG_CSUM_BAD", FLAG_CSUM_BAD},
               {"STATUS_WORDS", kStatusWords},
               {"STATUS_NOW_MS", STATUS_NOW_MS},
               {"STATUS_FAILED", STATUS_FAILED},
               {"STATUS_ARENA_BYTES", STATUS_ARENA_BYTES},
               {"STATUS_WOKEN", STATUS_WOKEN},
               {"STATUS_NOW_NS", STATUS_NOW_NS},
               {"STATUS_PAUSED", STATUS_PAUSED}};
  napi_value object;
  napi_create_object(env, &object);
  for (const auto& word : words) napi_set_named_property(env, object, word.name, number(env, word.value));
  return object;
}

napi_value start(napi_env env, napi_value exports) {
  napi_set_instance_data(env, newInstance(), endInstance, nullptr);
  napi_set_named_property(env, exports, "contract", contract(env));
  const Name calls[] = {{"openTap", openTapCall},
                        {"setTap", setTapCall},
                        {"setTapOffload", setTapOffloadCall},
                        {"tapInfo", tapInfoCall},
                        {"openUnderlay", openUnderlayCall},
                        {"deviceMtuFor", deviceMtuForCall},
                        {"pathMtu", pathMtuCall},
                        {"socketDrops", socketDropsCall},
                        {"openDoorbell", openDoorbellCall},
                        {"ring", ringCall},
                        {"closeFd", closeFdCall},
                        {"sendFd", sendFdCall},
                        {"receiveFd", receiveFdCall},
                        {"peerOf", peerOfCall},
                        {"watchReadable", watchReadableCall},
                        {"openEcho", openEchoCall},
                        {"sendEcho", sendEchoCall},
                        {"receiveEchoes", receiveEchoesCall},
                        {"openHopUdp", openHopUdpCall},
                        {"sendHopUdp", sendHopUdpCall},
                        {"receiveHopUdp", receiveHopUdpCall},
                        {"notify", notifyCall},
                        {"probeSegments", probeSegmentsCall},
                        {"probeTap", probeTapCall},
                        {"scheduleThread", scheduleThreadCall},
                        {"threadWaits", threadWaitsCall},
                        {"trimFrom", trimFromCall},
                        {"pageSkew", pageSkewCall},
                        {"createIo", createIoCall},
                        {"exitNow", exitNowCall}};
  define(env, exports, calls, sizeof calls / sizeof *calls, nullptr);
  return exports;
}

}  // namespace

}  // namespace vtepd

NAPI_MODULE_INIT() { return vtepd::start(env, exports); }
