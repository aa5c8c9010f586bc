/* The workloads of `iolab bench` that need no server of others.
 *
 *     workload serve KIND CONTROL MS    the process under the tool
 *     workload drive KIND PORT MS       its client, which no tool follows
 *
 * KIND: eagain, roundtrip, bulk, epoll.
 *
 * `serve` connects to the port CONTROL of 127.0.0.1 and writes "PID PORT". For eagain it then waits for one byte, calls recvfrom
 * on a socket without data for MS milliseconds, and writes "OPERATIONS NS TYPICAL CALLS". For the other kinds it serves PORT
 * until its clients have closed their connections, and writes "CALLS". It ends when the runner closes the control connection.
 * The server has the first CPU that it may use, the client the last one. Left alone, the scheduler puts both on one CPU for some
 * time (kernel/sched/fair.c, wake_affine), then on two: a round trip of 6 us becomes one of 50, whatever the tool does.
 *
 * CALLS counts recvfrom, sendto and epoll_wait. The control connection uses read and write, so that no such call is its own.
 *
 * `drive` prints "OPERATIONS NS TYPICAL". TYPICAL is the median duration of an operation (ns).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 64, BULK = 1 << 20, BUFFER = 1 << 16, CONNECTIONS = 1000, ACTIVE = 16, CHUNK = 16, MOST_SAMPLES = 1 << 17 };

static uint32_t samples[MOST_SAMPLES];
static long sampled;
static long calls;
static char buffer[BUFFER];

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(void) { /* clock_gettime is no system call here: it runs in the vDSO (vdso(7)) */
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sample(uint64_t ns) {
  if (sampled < MOST_SAMPLES) samples[sampled++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int by_value(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

/* The median sample in ns, divided among `each` operations. */
static double typical(int each) {
  if (!sampled) return 0;
  qsort(samples, (size_t)sampled, sizeof *samples, by_value);
  return (double)samples[sampled / 2] / each;
}

static void take_cpu(int last) {
  cpu_set_t allowed, own;
  int chosen = -1;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) return; /* more than 1,024 CPUs */
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &allowed) && (chosen < 0 || last)) chosen = cpu;
  CPU_ZERO(&own);
  CPU_SET(chosen, &own);
  sched_setaffinity(0, sizeof own, &own);
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int connected(int port) {
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static int listening(int *port) {
  struct sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, CONNECTIONS)) fail("listen");
  getsockname(fd, (struct sockaddr *)&address, &size);
  *port = ntohs(address.sin_port);
  return fd;
}

static int accepted(int listener) {
  int fd = accept(listener, NULL, NULL), on = 1;
  if (fd < 0) fail("accept");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void say(int control, const char *words) {
  if (write(control, words, strlen(words)) < 0) fail("write to the runner");
}

static long counted_recv(int fd, size_t size) {
  calls++;
  return recv(fd, buffer, size, 0);
}

static void counted_send(int fd, size_t size) {
  calls++;
  if (send(fd, buffer, size, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) fail("send");
}

static void serve_eagain(int control, long ms) {
  int pair[2];
  char words[120], go;
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair)) fail("socketpair");
  if (read(control, &go, 1) != 1) exit(1);
  uint64_t begin = now(), end = begin + (uint64_t)ms * 1000000, before = begin, after = begin;
  while (after < end) {
    for (int i = 0; i < CHUNK; i++) counted_recv(pair[0], SMALL);
    after = now();
    sample(after - before);
    before = after;
  }
  snprintf(words, sizeof words, "%ld %llu %.1f %ld\n", calls, (unsigned long long)(after - begin), typical(CHUNK), calls);
  say(control, words);
}

static void serve_echo(int listener) {
  int fd = accepted(listener);
  long n;
  while ((n = counted_recv(fd, SMALL)) > 0) counted_send(fd, (size_t)n);
}

static void serve_bulk(int listener) {
  int fd = accepted(listener);
  long n, taken = 0;
  while ((n = counted_recv(fd, BUFFER)) > 0) {
    taken += n;
    if (taken < BULK) continue;
    taken -= BULK;
    counted_send(fd, SMALL);
  }
}

static void serve_epoll(int listener) {
  struct epoll_event events[ACTIVE], wanted = {.events = EPOLLIN, .data.fd = listener};
  int epoll = epoll_create1(0), open = 0;
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted)) fail("epoll");
  do {
    calls++;
    int ready = epoll_wait(epoll, events, ACTIVE, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        wanted.data.fd = accepted(listener);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, wanted.data.fd, &wanted)) fail("epoll_ctl");
        open++;
        continue;
      }
      long n = counted_recv(fd, SMALL);
      if (n > 0) {
        counted_send(fd, (size_t)n);
      } else {
        close(fd);
        open--;
      }
    }
  } while (open);
}

static void serve(const char *kind, int port, long ms) {
  int control = connected(port), own = 0, listener = listening(&own);
  char words[120], rest;
  if (strcmp(kind, "eagain")) take_cpu(0);
  snprintf(words, sizeof words, "%d %d\n", getpid(), own);
  say(control, words);
  if (!strcmp(kind, "eagain")) {
    serve_eagain(control, ms);
  } else {
    if (!strcmp(kind, "roundtrip")) serve_echo(listener);
    if (!strcmp(kind, "bulk")) serve_bulk(listener);
    if (!strcmp(kind, "epoll")) serve_epoll(listener);
    snprintf(words, sizeof words, "%ld\n", calls);
    say(control, words);
  }
  while (read(control, &rest, 1) > 0) {
  }
}

static void send_all(int fd, size_t size) {
  while (size) {
    long n = send(fd, buffer, size < BUFFER ? size : BUFFER, MSG_NOSIGNAL);
    if (n <= 0) fail("send");
    size -= (size_t)n;
  }
}

static void receive_all(int fd, size_t size) {
  while (size) {
    long n = recv(fd, buffer, size < BUFFER ? size : BUFFER, 0);
    if (n <= 0) fail("recv");
    size -= (size_t)n;
  }
}

static void drive(const char *kind, int port, long ms) {
  int crowd = !strcmp(kind, "epoll"), count = crowd ? CONNECTIONS : 1, active = crowd ? ACTIVE : 1, next = 0;
  size_t size = strcmp(kind, "bulk") ? SMALL : BULK;
  int fds[CONNECTIONS];
  long operations = 0;
  take_cpu(1);
  for (int i = 0; i < count; i++) fds[i] = connected(port);
  for (int i = 0; i < count; i++) { /* each connection is accepted before the time begins */
    send_all(fds[i], size);
    receive_all(fds[i], SMALL);
  }
  uint64_t begin = now(), end = begin + (uint64_t)ms * 1000000, before = begin, after = begin;
  while (after < end) {
    for (int i = 0; i < active; i++) send_all(fds[(next + i) % count], size);
    for (int i = 0; i < active; i++) receive_all(fds[(next + i) % count], SMALL);
    next = (next + active) % count;
    operations += active;
    after = now();
    sample(after - before);
    before = after;
  }
  printf("%ld %llu %.1f\n", operations, (unsigned long long)(after - begin), typical(active));
}

int main(int argc, char **argv) {
  struct rlimit files;
  if (argc != 5) return 2;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max; /* 1,000 connections and a few files more */
  setrlimit(RLIMIT_NOFILE, &files);
  if (!strcmp(argv[1], "serve")) serve(argv[2], atoi(argv[3]), atol(argv[4]));
  if (!strcmp(argv[1], "drive")) drive(argv[2], atoi(argv[3]), atol(argv[4]));
  return 0;
}
