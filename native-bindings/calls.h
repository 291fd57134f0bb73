// What every call from JavaScript needs: typed arguments, and values to return.
#pragma once
#include <node_api.h>

#include <initializer_list>
#include <string>

namespace vtepd {

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
    char bytes[8192];  // longer text is cut; every user of it refuses less
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

inline napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

inline napi_value text(napi_env env, const char* value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

inline napi_value list(napi_env env, std::initializer_list<napi_value> values) {
  napi_value result;
  napi_create_array_with_length(env, values.size(), &result);
  uint32_t at = 0;
  for (napi_value value : values) napi_set_element(env, result, at++, value);
  return result;
}

struct Name {
  const char* name;
  napi_callback call;
};

inline void define(napi_env env, napi_value object, const Name* names, size_t count, void* data) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, names[i].name, NAPI_AUTO_LENGTH, names[i].call, data, &function);
    napi_set_named_property(env, object, names[i].name, function);
  }
}

/** Instance data of the thread: all its worker ios. */
struct Instance;
Instance* newInstance();
void endInstance(napi_env env, void* data, void* hint);

// readiness.cc
napi_value watchReadableCall(napi_env env, napi_callback_info info);

// hop-udp.cc
napi_value openHopUdpCall(napi_env env, napi_callback_info info);
napi_value sendHopUdpCall(napi_env env, napi_callback_info info);
napi_value receiveHopUdpCall(napi_env env, napi_callback_info info);

// notify.cc
napi_value notifyCall(napi_env env, napi_callback_info info);

// worker-io.cc
napi_value createIoCall(napi_env env, napi_callback_info info);

}  // namespace vtepd
