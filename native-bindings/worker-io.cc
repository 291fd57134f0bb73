// A worker's io as a JavaScript object of functions.
//
// Each function carries its Io as data, so that the call per batch costs no unwrapping. All Io structs of a thread
// hang on its instance data (a C++ static would be one variable for all workers) and are freed when the thread's
// environment ends, or by destroy(); after that every call is -EBADF, or does nothing.
#include <cerrno>
#include <vector>

#include "calls.h"
#include "exchange.h"

namespace vtepd {

namespace {

struct Entry {
  Io* io;
  std::vector<napi_ref> views;
};

}  // namespace

/** Instance data of a thread. */
struct Instance {
  std::vector<Entry*> entries;
};

namespace {

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

template <bool reads>
napi_value attachTapCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int port = args.integer(0), fd = args.integer(1);
  if (args.bad()) return nullptr;
  Io* io = ioOf(args);
  return number(env, io == nullptr ? -EBADF : attachTap(*io, port, fd, reads));
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
  return number(env, io == nullptr || port <= 0 || port >= kMaxPorts ? -EBADF : io->ports.at[port].error);
}

napi_value setInnerMtuCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int mtu = args.integer(0);
  Io* io = ioOf(args);
  if (!args.bad() && io != nullptr && mtu > 0) io->rx.innerMtu = static_cast<uint32_t>(mtu);
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

}  // namespace

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
  request.segmentCap = args.integer(10);
  request.tapRefuses = static_cast<uint32_t>(args.integer(11));
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
  const Name calls[] = {{"exchange", exchangeCall},
                        {"attachTap", attachTapCall<true>},
                        {"attachTapToWrite", attachTapCall<false>},
                        {"attachPeer", attachPeerCall},
                        {"detach", detachCall},
                        {"gather", gatherCall},
                        {"portError", portErrorCall},
                        {"setInnerMtu", setInnerMtuCall},
                        {"features", featuresCall},
                        {"destroy", destroyCall}};
  define(env, object, calls, sizeof calls / sizeof *calls, entry);
  return object;
}

Instance* newInstance() { return new Instance(); }

void endInstance(napi_env, void* data, void*) {
  auto* instance = static_cast<Instance*>(data);
  for (Entry* entry : instance->entries) {
    release(*entry);
    delete entry;
  }
  delete instance;
}

}  // namespace vtepd
