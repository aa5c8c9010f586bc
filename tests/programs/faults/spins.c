/* 1,000 or 20,000 rounds without a sleep and without a result: at the end of a pipe, at a hang-up that nobody handles, with a time-out of 0,
 * with EAGAIN, at the limit of descriptors. "right": the end is read once, and the descriptor leaves the set. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 1000, MORE = 20000 };

static void full(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  struct epoll_event event = {.events = EPOLLIN};
  struct rlimit limit = {8, 8};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), e = epoll_create1(0);
  bind(listener, (void *)&a, size);
  listen(listener, 16);
  getsockname(listener, (void *)&a, &size);
  connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, size);
  while (dup(0) >= 0 && dup(0) < 7) {
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  epoll_ctl(e, EPOLL_CTL_ADD, listener, &event);
  for (int i = 0; i < ROUNDS; i++)
    if (epoll_wait(e, &event, 1, 100) == 1)
      accept4(listener, 0, 0, 0);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  int ends[2];
  char data[16];
  if (!strcmp(way, "emfile")) {
    full();
    return 0;
  }
  pipe(ends);
  struct pollfd wanted = {.fd = ends[0], .events = POLLIN};
  if (!strcmp(way, "zero") || !strcmp(way, "eagain"))
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  else
    close(ends[1]);
  for (int i = 0; i < (!strcmp(way, "eof") ? ROUNDS : MORE); i++) {
    if (!strcmp(way, "eagain")) {
      read(ends[0], data, sizeof data);
      continue;
    }
    if (poll(&wanted, 1, strcmp(way, "zero") ? 1000 : 0) < 1 || !strcmp(way, "hup"))
      continue;
    if (!read(ends[0], data, sizeof data) && !strcmp(way, "right"))
      break;
  }
  return 0;
}
