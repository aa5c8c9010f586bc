/* An echo server as a student may write it in C: epoll, level-triggered, and a port of its own choice (8080).
 *
 * Each connection has a buffer for what write did not take. While it holds data, the connection is registered for EPOLLOUT. */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 4096, SIZE = 65536, PORT = 8080 };

struct connection {
  size_t unsent;
  char data[SIZE];
};

static struct connection *connections[MOST];

static void watch(int epoll, int operation, int fd, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll, operation, fd, &event);
}

static void accept_all(int epoll, int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= MOST) {
      close(fd);
      continue;
    }
    connections[fd] = calloc(1, sizeof(struct connection));
    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

/* Sends what is unsent, else reads once and sends that. 0: the connection has ended. */
static int serve(int epoll, int fd) {
  struct connection *c = connections[fd];
  int waited_for_room = c->unsent > 0;
  if (!c->unsent) {
    ssize_t got = read(fd, c->data, SIZE);
    if (got <= 0)
      return got < 0 && errno == EAGAIN;
    c->unsent = got;
  }
  ssize_t sent = write(fd, c->data, c->unsent);
  if (sent < 0 && errno != EAGAIN)
    return 0;
  if (sent > 0) {
    memmove(c->data, c->data + sent, c->unsent - sent);
    c->unsent -= sent;
  }
  if (waited_for_room != (c->unsent > 0))
    watch(epoll, EPOLL_CTL_MOD, fd, c->unsent ? EPOLLOUT : EPOLLIN);
  return 1;
}

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  signal(SIGPIPE, SIG_IGN);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 128))
    return 1;
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
  for (;;) {
    struct epoll_event events[64];
    int count = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        accept_all(epoll, listener);
      } else if (!serve(epoll, fd)) {
        close(fd);
        free(connections[fd]);
      }
    }
  }
}
