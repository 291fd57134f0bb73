// Being told that a file descriptor can be read, without reading it.
//
// Node reads every byte of a socket it watches, and with read(2), which throws away the file descriptors that come
// along (unix(7)). So the attach socket's connections are left unread by Node (`pauseOnConnect`) and watched here, by
// libuv's own epoll; the callback then takes the message with receiveFd. libuv allows one watcher per fd and loop:
// the owner of a watch must not let Node read or write the same socket meanwhile.
//
// A watch is closed by its `stop`, once; libuv frees the handle a loop turn later, which is why watch and function have
// an owner each.
#include <uv.h>

#include <cerrno>
#include <new>

#include "calls.h"

namespace vtepd {

namespace {

struct Watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
};

/** What the JavaScript function `stop` owns: null once it was called. */
struct Stop {
  Watch* watch;
};

void readable(uv_poll_t* poll, int, int) {
  auto* watch = static_cast<Watch*>(poll->data);
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value callback, global, result;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &global);
  // The callback may stop the watch: it is not touched afterwards.
  if (napi_make_callback(env, watch->context, global, callback, 0, nullptr, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

void release(Watch* watch) {
  napi_delete_reference(watch->env, watch->callback);
  napi_async_destroy(watch->env, watch->context);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll),
           [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
}

napi_value stop(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  auto* owner = static_cast<Stop*>(args.data());
  if (owner->watch != nullptr) release(owner->watch);
  owner->watch = nullptr;
  return nullptr;
}

}  // namespace

napi_value watchReadableCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  // Urgent: an error queue (echo.cc). Not for a stream, whose other end could send urgent bytes that are never read.
  int events = args.boolean(2) ? UV_READABLE | UV_PRIORITIZED : UV_READABLE;
  napi_valuetype type = napi_undefined;
  napi_typeof(env, args.raw(1), &type);
  if (args.bad()) return nullptr;
  if (type != napi_function) {
    napi_throw_type_error(env, nullptr, "argument 1");
    return nullptr;
  }
  uv_loop_t* loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -EINVAL);
  auto* watch = new (std::nothrow) Watch{};
  auto* owner = new (std::nothrow) Stop{watch};
  if (watch == nullptr || owner == nullptr) {
    delete watch;
    delete owner;
    return number(env, -ENOMEM);
  }
  watch->env = env;
  watch->poll.data = watch;
  int rc = uv_poll_init(loop, &watch->poll, fd);  // UV_EEXIST, UV_EBADF: negative errnos on Linux
  if (rc != 0) {
    delete watch;
    delete owner;
    return number(env, rc);
  }
  napi_create_reference(env, args.raw(1), 1, &watch->callback);
  napi_async_init(env, nullptr, text(env, "vtepd:readable"), &watch->context);
  rc = uv_poll_start(&watch->poll, events, readable);
  if (rc != 0) {
    release(watch);
    delete owner;
    return number(env, rc);
  }
  napi_value function;
  napi_create_function(env, "stop", NAPI_AUTO_LENGTH, stop, owner, &function);
  napi_add_finalizer(
      env, function, owner, [](napi_env, void* data, void*) { delete static_cast<Stop*>(data); }, nullptr, nullptr);
  return function;
}

}  // namespace vtepd
