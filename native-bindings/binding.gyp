{
  "targets": [
    {
      "target_name": "vtepd",
      "sources": [
        "addon.cc", "worker-io.cc", "netns.cc", "tap.cc", "udp.cc", "echo.cc", "hop-udp.cc", "probe.cc", "handover.cc", "readiness.cc", "notify.cc",
        "thread.cc",
        "exchange.cc", "pace.cc", "ports.cc", "transmit.cc", "messages.cc", "batch.cc", "receive.cc",
        "checksum.cc", "layers.cc", "gso.cc", "segment.cc", "coalesce.cc"
      ],
      "cflags": ["-O2", "-Wall", "-Wextra", "-Wshadow", "-fno-exceptions", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++17", "-fno-rtti", "-Wconversion", "-Wold-style-cast"],
      "cflags!": ["-O3"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"]
    }
  ]
}
