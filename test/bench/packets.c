/*
 * Small packets for the benchmark: a generator at a set rate and a sink that counts, both with many packets a call.
 *
 *     packets sink ADDRESS PORT              reads "begin RUN" and "report" on stdin, answers one line of JSON each
 *     packets send ADDRESS PORT RUN PAYLOAD FLOWS RATE SECONDS      RATE 0: as fast as it can
 *     packets hosts DEVICE SITE COUNT GATEWAY FIRST RATE            COUNT hosts make themselves known once
 *     packets answer ADDRESS PORT            TCP: gives each byte back, to one client after the other
 *     packets ask ADDRESS PORT SECONDS       TCP: one byte, its answer, the next: how many in SECONDS (TCP_RR)
 *
 * `hosts` plays the machines of site 1 or 2 behind one device, 250 in each VLAN, since a gateway takes only so many
 * neighbours from one AC: each sends an ARP request for the gateway (so the gateway has a neighbour) and a frame of an
 * experimental EtherType to the other site's first host (so that the other VTEP learns its MAC too).
 *
 * Packets are numbered. A payload starts with the run (so that latecomers of the run before count for nothing) and the
 * packet's number, so that the sink can tell lost from doubled and reordered. Flows differ by destination port: one
 * sendmmsg then mixes all of them, packet by packet, which a socket per flow could not.
 *
 * A generator that is late does not catch up in one burst: a burst of more than BURST packets would measure the
 * buffers, not the rate.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/tcp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, BURST = 256, FLOWS = 64, SLOT = 2048, SEEN_BITS = 1 << 26 };

typedef struct {
  uint32_t run, number;
} Mark;

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "packets: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct sockaddr_in place(const char *address, int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, address, &at.sin_addr) != 1) die(address);
  return at;
}

static uint8_t bytes[BATCH][SLOT];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

/* ---- the sink -------------------------------------------------------------------------------------------------- */

typedef struct {
  uint32_t run, highest[FLOWS];
  uint64_t received, doubled, reordered, alien, first_ns, last_ns;
} Tally;

static Tally tally;
static uint8_t seen[SEEN_BITS / 8];

static void count(int flow, const uint8_t *payload, size_t length) {
  Mark mark;
  if (length < sizeof mark) {
    tally.alien++;
    return;
  }
  memcpy(&mark, payload, sizeof mark);
  if (mark.run != tally.run || mark.number >= SEEN_BITS) {
    tally.alien++;
    return;
  }
  uint8_t bit = (uint8_t)(1u << (mark.number & 7));
  if (seen[mark.number >> 3] & bit) {
    tally.doubled++;
    return;
  }
  seen[mark.number >> 3] |= bit;
  if (tally.received++ == 0) tally.first_ns = now();
  if (mark.number + 1 < tally.highest[flow]) tally.reordered++;
  else tally.highest[flow] = mark.number + 1;
}

static void drain(int socket, int flow) {
  for (int visits = 0; visits < 16; visits++) {
    int got = recvmmsg(socket, messages, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) return;
    for (int i = 0; i < got; i++) count(flow, bytes[i], messages[i].msg_len);
    tally.last_ns = now();
    if (got < BATCH) return;
  }
}

static void obey(char *line) {
  unsigned run;
  if (sscanf(line, "begin %u", &run) == 1) {
    memset(&tally, 0, sizeof tally);
    memset(seen, 0, sizeof seen);
    tally.run = run;
    printf("{\"run\":%u}\n", run);
  } else {
    double seconds = tally.received > 1 ? (double)(tally.last_ns - tally.first_ns) / 1e9 : 0;
    printf("{\"received\":%lu,\"doubled\":%lu,\"reordered\":%lu,\"alien\":%lu,\"seconds\":%.6f}\n", tally.received,
           tally.doubled, tally.reordered, tally.alien, seconds);
  }
  fflush(stdout);
}

static int sink(const char *address, int port) {
  int epoll = epoll_create1(0);
  for (int flow = 0; flow < FLOWS; flow++) {
    int socket_fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
    setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    struct sockaddr_in at = place(address, port + flow);
    if (bind(socket_fd, (struct sockaddr *)&at, sizeof at) != 0) die("bind");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)flow << 32 | (uint32_t)socket_fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket_fd, &event) != 0) die("epoll_ctl");
  }
  struct epoll_event words = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &words) != 0) die("epoll_ctl stdin");
  printf("{\"ready\":true}\n");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[FLOWS + 1];
    int ready = epoll_wait(epoll, events, FLOWS + 1, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u64 != UINT64_MAX) {
        drain((int)(uint32_t)events[i].data.u64, (int)(events[i].data.u64 >> 32));
        continue;
      }
      char line[128];
      ssize_t got = read(0, line, sizeof line - 1);
      if (got <= 0) return 0;
      line[got] = 0;
      obey(line);
    }
  }
}

/* ---- the generator --------------------------------------------------------------------------------------------- */

static int generate(char **words) {
  uint32_t run = (uint32_t)atol(words[2]);
  size_t payload = (size_t)atol(words[3]);
  uint32_t flows = (uint32_t)atol(words[4]);
  double rate = atof(words[5]), seconds = atof(words[6]);
  if (payload < sizeof(Mark) || payload > SLOT || flows < 1 || flows > FLOWS) {
    fprintf(stderr, "packets: payload %zu..%d, flows 1..%d\n", sizeof(Mark), SLOT, FLOWS);
    return 2;
  }
  int socket_fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
  setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  struct sockaddr_in to[FLOWS];
  for (uint32_t flow = 0; flow < flows; flow++) to[flow] = place(words[0], atoi(words[1]) + (int)flow);
  for (int i = 0; i < BATCH; i++) vectors[i].iov_len = payload;
  prctl(PR_SET_TIMERSLACK, 1);
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), at = start, sent = 0, credit_from = start, credited = 0;
  uint32_t number = 0;
  while ((at = now()) < end) {
    uint64_t due = BATCH;
    if (rate > 0) {
      uint64_t wanted = (uint64_t)((double)(at - credit_from) * rate / 1e9);
      if (wanted > credited + BURST) {
        /* Late: what was missed stays missed. */
        credit_from = at;
        credited = wanted = 0;
      }
      due = wanted > credited ? wanted - credited : 0;
      if (due < (rate > 64000 ? 16 : 1)) {
        /* Never spin: the machine under test has few CPUs, and the gateways need them. */
        struct timespec nap = {0, 20000};
        nanosleep(&nap, NULL);
        continue;
      }
      if (due > BATCH) due = BATCH;
    }
    for (uint32_t i = 0; i < due; i++) {
      Mark mark = {run, number + i};
      memcpy(bytes[i], &mark, sizeof mark);
      messages[i].msg_hdr.msg_name = &to[(number + i) % flows];
      messages[i].msg_hdr.msg_namelen = sizeof to[0];
    }
    int got = sendmmsg(socket_fd, messages, (unsigned)due, 0);
    if (got < 0) {
      if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR) continue;
      die("sendmmsg");
    }
    number += (uint32_t)got;
    sent += (uint64_t)got;
    credited += (uint64_t)got;
  }
  printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, (double)(now() - start) / 1e9);
  return 0;
}

/* ---- many hosts ------------------------------------------------------------------------------------------------ */

enum { SHORTEST = 64, HOSTS_PER_VLAN = 250, TYPE_ARP = 0x0806, TYPE_TAG = 0x8100, TYPE_EXPERIMENT = 0x88b5 };

static void put(uint8_t *to, const void *from, size_t length) { memcpy(to, from, length); }

static void put16(uint8_t *to, uint32_t value) {
  to[0] = (uint8_t)(value >> 8);
  to[1] = (uint8_t)value;
}

static int announce(char **words) {
  uint8_t site = (uint8_t)atoi(words[1]);
  uint32_t hosts = (uint32_t)atol(words[2]);
  in_addr_t gateway = inet_addr(words[3]);
  uint32_t first = ntohl(inet_addr(words[4]));
  double rate = atof(words[5]);
  int packet = socket(AF_PACKET, SOCK_RAW, 0);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(words[0])};
  if (packet < 0 || bind(packet, (struct sockaddr *)&at, sizeof at) != 0) die("packet socket");
  uint64_t start = now(), refused = 0;
  for (uint32_t i = 0; i < 2 * hosts; i++) {
    uint32_t host = i >> 1;
    uint8_t frame[SHORTEST] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t mac[6] = {0x02, site, 0, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};
    const uint8_t other[6] = {0x02, (uint8_t)(3 - site), 0, 0, 0, 0};
    put(frame + 6, mac, 6);
    put16(frame + 12, TYPE_TAG);
    put16(frame + 14, 1 + host / HOSTS_PER_VLAN);
    put16(frame + 16, i & 1 ? TYPE_EXPERIMENT : TYPE_ARP);
    if (i & 1) {
      memcpy(frame, other, 6);
    } else {
      static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
      uint32_t address = htonl(first + host);
      put(frame + 18, request, 8);
      put(frame + 26, mac, 6);
      put(frame + 32, &address, 4);
      put(frame + 42, &gateway, 4);
    }
    while ((double)(now() - start) * rate / 1e9 < i) {
      struct timespec nap = {0, 50000};
      nanosleep(&nap, NULL);
    }
    if (send(packet, frame, sizeof frame, 0) < 0) {
      if (errno != ENOBUFS) die("send");
      refused++;
    }
  }
  printf("{\"hosts\":%u,\"refused\":%lu}\n", hosts, refused);
  return 0;
}

/* ---- requests and responses ------------------------------------------------------------------------------------ */

static void at_once(int fd) {
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static int answer(const char *address, int port) {
  struct sockaddr_in at = place(address, port);
  int door = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(door, (struct sockaddr *)&at, sizeof at) != 0 || listen(door, 4) != 0) die("listen");
  for (;;) {
    int client = accept(door, NULL, NULL);
    if (client < 0) die("accept");
    at_once(client);
    char byte;
    while (read(client, &byte, 1) == 1 && write(client, &byte, 1) == 1) continue;
    close(client);
  }
}

static int ask(const char *address, int port, double seconds) {
  struct sockaddr_in to = place(address, port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  /* A lost segment costs 200 ms and not the run: only a peer that is gone ends it. */
  struct timeval patience = {5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  at_once(fd);
  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), done = 0, at;
  char byte = 0;
  while ((at = now()) < end) {
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) die("round trip");
    done++;
  }
  printf("{\"transactions\":%lu,\"seconds\":%.6f}\n", done, (double)(at - start) / 1e9);
  return 0;
}

int main(int argc, char **argv) {
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){bytes[i], SLOT};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (argc == 4 && strcmp(argv[1], "sink") == 0) return sink(argv[2], atoi(argv[3]));
  if (argc == 4 && strcmp(argv[1], "answer") == 0) return answer(argv[2], atoi(argv[3]));
  if (argc == 5 && strcmp(argv[1], "ask") == 0) return ask(argv[2], atoi(argv[3]), atof(argv[4]));
  if (argc == 9 && strcmp(argv[1], "send") == 0) return generate(argv + 2);
  if (argc == 8 && strcmp(argv[1], "hosts") == 0) return announce(argv + 2);
  fprintf(stderr, "usage: packets hosts DEVICE SITE COUNT GATEWAY FIRST RATE | packets sink ADDRESS PORT | packets send ADDRESS PORT RUN PAYLOAD FLOWS RATE SECONDS | packets answer ADDRESS PORT | packets ask ADDRESS PORT SECONDS\n");
  return 2;
}
