// Names and argument checks; nothing else lives here.
//
// Set-up calls return [value, ...] or [negative errno, "step"]; native.ts makes an error of the latter. Only wrong
// argument types throw, since those are our own mistakes. A worker's io is an object of functions that carry their Io
// as data, so that the call per batch costs no unwrapping. All Io structs of a thread hang on its instance data (a C++
// static would be one variable for all workers) and are freed when the thread's environment ends.
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include <node_api.h>

#include "exchange.h"
#include "tap.h"
#include "udp.h"

namespace vtepd {

namespace {

struct Entry {
  Io* io;
  std::vector<napi_ref> views;
};

struct Instance {
  std::vector<Entry*> entries;
};

/** The arguments of one call, typed. A missing or wrong one becomes 0 or "" and a pending TypeError. */
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }
  int integer(int index) {
    int32_t value = 0;
    check(napi_get_value_int32(env_, values_[index], &value), index);
    return value;
  }
  bool boolean(int index) {
    bool value = false;
    check(napi_get_value_bool(env_, values_[index], &value), index);
    return value;
  }
  std::string text(int index) {
    char bytes[4096];
    size_t length = 0;
    check(napi_get_value_string_utf8(env_, values_[index], bytes, sizeof bytes, &length), index);
    return std::string(bytes, length);
  }
  template <typename T>
  T* view(int index, size_t& length) {
    napi_typedarray_type type;
    void* bytes = nullptr;
    length = 0;
    check(napi_get_typedarray_info(env_, values_[index], &type, &length, &bytes, nullptr, nullptr), index);
    return static_cast<T*>(bytes);
  }
  napi_value raw(int index) { return values_[index]; }
  void* data() { return data_; }
  bool bad() const { return bad_; }

 private:
  bool check(napi_status status, int index) {
    if (status == napi_ok) return true;
    if (!bad_) napi_throw_type_error(env_, nullptr, ("argument " + std::to_string(index)).c_str());
    bad_ = true;
    return false;
  }
  static constexpr size_t kMost = 12;
  napi_env env_;
  napi_value values_[kMost]{};
  void* data_ = nullptr;
  bool bad_ = false;
};

napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value text(napi_env env, const char* value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value list(napi_env env, std::initializer_list<napi_value> values) {
  napi_value result;
  napi_create_array_with_length(env, values.size(), &result);
  uint32_t at = 0;
  for (napi_value value : values) napi_set_element(env, result, at++, value);
  return result;
}

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
  TapRequest request{device.c_str(), netns.c_str(), args.boolean(2), args.integer(3)};
  if (args.bad()) return nullptr;
  int fds[kMaxQueues], ifindex = 0;
  Failure failure;
  if (!openTap(request, fds, ifindex, failure)) return failed(env, failure);
  napi_value result = list(env, {number(env, ifindex)});
  append(env, result, fds, request.queues > 0 ? request.queues : 1);
  return result;
}

napi_value setTapCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  TapSettings settings{args.integer(1), args.integer(2), args.integer(3), args.integer(4)};
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
  return list(env, {number(env, tap.flags), number(env, tap.vnetHdrBytes), text(env, tap.device)});
}

napi_value openUnderlayCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string address = args.text(0);
  UnderlayRequest request{address.c_str(), args.integer(1), args.integer(2), args.integer(3),
                          args.integer(4), args.integer(5), args.boolean(6), args.boolean(7)};
  if (args.bad()) return nullptr;
  Underlay underlay;
  Failure failure;
  if (!openUnderlay(request, underlay, failure)) return failed(env, failure);
  napi_value result = list(env, {number(env, underlay.fd), number(env, underlay.receiveBuffer), number(env, underlay.sendBuffer)});
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
  return list(env, {number(env, found.ifindex), number(env, found.mtu), text(env, found.device)});
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
  return args.bad() ? nullptr : number(env, close(fd) == 0 ? 0 : -errno);
}

/** How far into this memory the next page starts. */
napi_value pageSkewCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  size_t length;
  auto address = reinterpret_cast<uintptr_t>(args.view<uint8_t>(0, length));
  return args.bad() ? nullptr : number(env, static_cast<int64_t>(-address & 4095));
}

// ---- a worker's io ---------------------------------------------------------------------------------------------

/** The Io a function belongs to; null after destroy(), when every call is -EBADF. */
Io* ioOf(Arguments& args) { return static_cast<Entry*>(args.data())->io; }

napi_value exchangeCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int count = args.integer(0), timeout = args.integer(1);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  napi_value result;
  napi_create_int32(env, io == nullptr ? 0 : exchange(*io, count, timeout), &result);
  return result;
}

napi_value attachTapCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int port = args.integer(0), fd = args.integer(1);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  return number(env, io == nullptr ? -EBADF : attachTap(*io, port, fd));
}

napi_value attachPeerCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int port = args.integer(0), at = args.integer(1), length = args.integer(2), udpPort = args.integer(3);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  return number(env, io == nullptr ? -EBADF : attachPeer(*io, port, at, length, udpPort));
}

napi_value detachCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int port = args.integer(0);
  Io* io = ioOf(args);
  if (!args.bad() && io != nullptr) detach(*io, port);
  return nullptr;
}

napi_value gatherCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int chain = args.integer(0), at = args.integer(1);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  return number(env, io == nullptr ? 0 : gather(*io, chain, at));
}

napi_value portErrorCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int port = args.integer(0);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  return number(env, io == nullptr || port <= 0 || port >= kMaxPorts ? -EBADF : io->ports[port].error);
}

napi_value setInnerMtuCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int mtu = args.integer(0);
  Io* io = ioOf(args);
  if (!args.bad() && io != nullptr && mtu > 0) io->innerMtu = static_cast<uint32_t>(mtu);
  return nullptr;
}

/** Features in use, then the fallback counters. */
napi_value featuresCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const Io* io = ioOf(args);
  if (io == nullptr) return list(env, {number(env, -EBADF)});
  napi_value result = list(env, {number(env, io->features)});
  for (uint32_t i = 0; i < kFallbacks; i++) napi_set_element(env, result, i + 1, number(env, io->fallbacks[i]));
  return result;
}

void release(Entry& entry) {
  if (entry.io != nullptr) destroyIo(entry.io);
  entry.io = nullptr;
}

napi_value destroyCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  auto* entry = static_cast<Entry*>(args.data());
  release(*entry);
  for (napi_ref view : entry->views) napi_delete_reference(env, view);
  entry->views.clear();
  return nullptr;
}

struct Name {
  const char* name;
  napi_callback call;
};

void define(napi_env env, napi_value object, const Name* names, size_t count, void* data) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, names[i].name, NAPI_AUTO_LENGTH, names[i].call, data, &function);
    napi_set_named_property(env, object, names[i].name, function);
  }
}

napi_value createIoCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  size_t arena, frames, sends, status, tx;
  IoRequest request{};
  request.arena = args.view<uint8_t>(0, arena);
  int scratchAt = args.integer(1);
  request.frames = args.view<int32_t>(2, frames);
  request.sends = args.view<int32_t>(3, sends);
  request.status = args.view<int32_t>(4, status);
  request.udp = args.integer(5);
  request.tx = args.view<int32_t>(6, tx);
  request.doorbell = args.integer(7);
  int innerMtu = args.integer(8);
  request.features = static_cast<uint32_t>(args.integer(9));
  if (args.bad()) return nullptr;
  bool fits = frames >= kMaxFrames * kFrameWords && sends >= kMaxSends * kSendWords && status >= kStatusWords &&
              arena <= 1u << 30 && scratchAt > 0 && innerMtu > 0;
  if (!fits) return number(env, -EINVAL);
  request.arenaBytes = static_cast<uint32_t>(arena);
  request.scratchAt = static_cast<uint32_t>(scratchAt);
  request.txCount = static_cast<int>(tx);
  request.innerMtu = static_cast<uint32_t>(innerMtu);
  int error;
  Io* io = createIo(request, error);
  if (io == nullptr) return number(env, error);
  auto* entry = new Entry{io, {}};
  for (int view : {0, 2, 3, 4}) {
    napi_ref held;
    napi_create_reference(env, args.raw(view), 1, &held);
    entry->views.push_back(held);
  }
  void* instance = nullptr;
  napi_get_instance_data(env, &instance);
  static_cast<Instance*>(instance)->entries.push_back(entry);
  napi_value object;
  napi_create_object(env, &object);
  const Name calls[] = {{"exchange", exchangeCall}, {"attachTap", attachTapCall}, {"attachPeer", attachPeerCall},
                        {"detach", detachCall},     {"gather", gatherCall},       {"portError", portErrorCall},
                        {"setInnerMtu", setInnerMtuCall}, {"features", featuresCall}, {"destroy", destroyCall}};
  define(env, object, calls, sizeof calls / sizeof *calls, entry);
  return object;
}

void endInstance(napi_env, void* data, void*) {
  auto* instance = static_cast<Instance*>(data);
  for (Entry* entry : instance->entries) {
    release(*entry);
    delete entry;
  }
  delete instance;
}

napi_value contract(napi_env env) {
  const struct { const char* name; int value; } words[] = {
      {"MAX_IO_PORTS", kMaxPorts}, {"MAX_FRAMES", kMaxFrames}, {"MAX_SENDS", kMaxSends}, {"HEADROOM", kHeadroom},
      {"VXLAN_BYTES", kVxlanBytes}, {"MAX_FRAME_BYTES", kMaxFrameBytes}, {"FRAME_WORDS", kFrameWords}, {"F_AT", F_AT},
      {"F_LENGTH", F_LENGTH}, {"F_SOURCE", F_SOURCE}, {"F_FLAGS", F_FLAGS}, {"F_GSO_SIZE", F_GSO_SIZE},
      {"F_UNITS", F_UNITS}, {"F_OUTER_SOURCE", F_OUTER_SOURCE}, {"F_OUTER_TOS", F_OUTER_TOS},
      {"F_CSUM_START", F_CSUM_START}, {"F_CSUM_OFFSET", F_CSUM_OFFSET}, {"F_HEAD", F_HEAD}, {"F_CHAIN", F_CHAIN},
      {"SEND_WORDS", kSendWords}, {"S_AT", S_AT}, {"S_LENGTH", S_LENGTH}, {"S_PORT", S_PORT}, {"S_FLAGS", S_FLAGS},
      {"S_GSO_SIZE", S_GSO_SIZE}, {"S_TOS", S_TOS}, {"S_ENTROPY", S_ENTROPY}, {"S_CSUM_START", S_CSUM_START},
      {"S_CSUM_OFFSET", S_CSUM_OFFSET}, {"S_CHAIN", S_CHAIN}, {"S_UNITS", S_UNITS}, {"S_DONE", S_DONE},
      {"S_ERROR", S_ERROR}, {"S_OWN", S_OWN}, {"GSO_MASK", GSO_MASK}, {"GSO_NONE", GSO_NONE}, {"GSO_TCPV4", GSO_TCPV4},
      {"GSO_TCPV6", GSO_TCPV6}, {"GSO_UDP_L4", GSO_UDP_L4}, {"FLAG_NEEDS_CSUM", FLAG_NEEDS_CSUM},
      {"FLAG_GSO_ECN", FLAG_GSO_ECN}, {"FLAG_TRUNCATED", FLAG_TRUNCATED}, {"FLAG_GSO_BAD", FLAG_GSO_BAD},
      {"FLAG_CSUM_BAD", FLAG_CSUM_BAD}, {"STATUS_WORDS", kStatusWords}, {"STATUS_NOW_MS", STATUS_NOW_MS},
      {"STATUS_FAILED", STATUS_FAILED}, {"STATUS_ARENA_BYTES", STATUS_ARENA_BYTES}, {"STATUS_WOKEN", STATUS_WOKEN}};
  napi_value object;
  napi_create_object(env, &object);
  for (const auto& word : words) napi_set_named_property(env, object, word.name, number(env, word.value));
  return object;
}

napi_value start(napi_env env, napi_value exports) {
  napi_set_instance_data(env, new Instance(), endInstance, nullptr);
  napi_set_named_property(env, exports, "contract", contract(env));
  const Name calls[] = {{"openTap", openTapCall}, {"setTap", setTapCall}, {"setTapOffload", setTapOffloadCall},
                        {"tapInfo", tapInfoCall}, {"openUnderlay", openUnderlayCall}, {"deviceMtuFor", deviceMtuForCall},
                        {"pathMtu", pathMtuCall}, {"socketDrops", socketDropsCall}, {"openDoorbell", openDoorbellCall},
                        {"ring", ringCall}, {"closeFd", closeFdCall}, {"pageSkew", pageSkewCall}, {"createIo", createIoCall}};
  define(env, exports, calls, sizeof calls / sizeof *calls, nullptr);
  return exports;
}

}  // namespace

}  // namespace vtepd

NAPI_MODULE_INIT() { return vtepd::start(env, exports); }
