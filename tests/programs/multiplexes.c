/* multiplexes N M COOKIE: asks N silent sockets M times by each of poll, select and epoll, with and without sleeping; then one
 * of them speaks. What the kernel must have done for it can be counted in advance: see test_polling.py. */
#include "marker.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  int count = atoi(argv[1]), times = atoi(argv[2]), pair[2], other = -1;
  struct pollfd fds[count];
  fd_set set;
  struct epoll_event event = {.events = EPOLLIN}, found;
  for (int i = 0; i < count; i++) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    fds[i] = (struct pollfd){.fd = pair[0], .events = POLLIN};
    other = pair[1];
  }
  int epoll = epoll_create1(0);
  follow_me(argv[3]);
  for (int sleeps = 0; sleeps < 2; sleeps++)
    for (int i = 0; i < times; i++) {
      struct timespec pause = {0, sleeps * 20000000};  /* not over before a slow machine is asleep */
      if (ppoll(fds, count, &pause, NULL)) return 1;
      FD_ZERO(&set);
      for (int j = 0; j < count; j++) FD_SET(fds[j].fd, &set);
      if (pselect(fds[count - 1].fd + 1, &set, NULL, NULL, &pause, NULL)) return 1;
    }
  for (int i = 0; i < count; i++)
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i].fd, &event)) return 1;
  for (int i = 0; i < times; i++)
    if (epoll_pwait(epoll, &found, 1, 1, NULL)) return 1;
  for (int i = 0; i < times; i++)
    if (write(other, "x", 1) != 1) return 1;
  if (epoll_pwait(epoll, &found, 1, 1, NULL) != 1) return 1;
  for (int i = 0; i < count; i++)
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, fds[i].fd, NULL)) return 1;
  _exit(0);
}
