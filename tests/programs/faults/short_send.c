/* A server sends 300,000 bytes at a time over a non-blocking connection whose client reads late. "wrong" takes a short send for a
 * whole one. "right" waits for room and sends the rest; "copied" keeps the rest in another buffer first. */
#include "connection.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SIZE = 300000, MESSAGES = 12 };

static void send_rest(int s, const char *data, long left) {
  while (left > 0) {
    struct pollfd wanted = {.fd = s, .events = POLLOUT};
    poll(&wanted, 1, -1);
    long sent = send(s, data, left, 0);
    if (sent > 0)
      data += sent, left -= sent;
  }
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "right";
  struct sockaddr_in a;
  int listener = listening(&a), small = 100000;
  setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  if (!fork()) {
    static char data[1 << 20];
    int s = connected(&a);
    close(listener);
    pause_ms(30);
    while (read(s, data, sizeof data) > 0)
      if (!strcmp(way, "wrong"))
        pause_ms(2);
    _exit(0);
  }
  int s = accept(listener, 0, 0);
  char *data = calloc(1, SIZE), *rest = calloc(1, SIZE);
  fcntl(s, F_SETFL, O_NONBLOCK);
  for (int i = 0; i < MESSAGES; i++) {
    long sent = send(s, data, SIZE, 0);
    if (!strcmp(way, "wrong"))
      pause_ms(3);
    else if (!strcmp(way, "copied"))
      memcpy(rest, data + (sent > 0 ? sent : 0), SIZE - (sent > 0 ? sent : 0)), send_rest(s, rest, SIZE - (sent > 0 ? sent : 0));
    else
      send_rest(s, data + (sent > 0 ? sent : 0), SIZE - (sent > 0 ? sent : 0));
  }
  close(s);
  wait(0);
  return 0;
}
