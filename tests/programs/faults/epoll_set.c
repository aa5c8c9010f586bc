/* A server reads from epoll what one client sends: five times 4 bytes, 20 ms apart. "oneshot" does not arm EPOLLONESHOT again,
 * "forgotten" never adds the second connection to its set, "right" does both. */
#define _GNU_SOURCE
#include "connection.h"
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  struct sockaddr_in a;
  int listener = listening(&a), open = 2;
  if (!fork()) {
    int first = connected(&a), second = connected(&a);
    close(listener);
    for (int i = 0; i < 5; i++) {
      send(first, "ping", 4, 0);
      send(second, "ping", 4, 0);
      pause_ms(20);
    }
    pause_ms(150);
    _exit(0);
  }
  int e = epoll_create1(0);
  for (int i = 0; i < 2; i++) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = accept4(listener, 0, 0, SOCK_NONBLOCK)};
    if (i == 0 || strcmp(way, "forgotten"))
      epoll_ctl(e, EPOLL_CTL_ADD, event.data.fd, &event);
  }
  while (open) {
    struct epoll_event event;
    char data[64];
    if (epoll_wait(e, &event, 1, 200) < 1)
      break;
    if (read(event.data.fd, data, sizeof data) <= 0) {
      close(event.data.fd);
      open--;
    } else if (strcmp(way, "oneshot")) {
      event.events = EPOLLIN | EPOLLONESHOT;
      epoll_ctl(e, EPOLL_CTL_MOD, event.data.fd, &event);
    }
  }
  wait(0);
  return 0;
}
