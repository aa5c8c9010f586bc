/* polls COUNT COOKIE: COUNT non-blocking reads, in turn of two sockets; ten of them, evenly spread, find a byte. */
#include "marker.h"
#include <fcntl.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  long count = atol(argv[1]);
  int pair[2][2];
  char c;
  for (int i = 0; i < 2; i++) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i])) return 1;
    fcntl(pair[i][0], F_SETFL, O_NONBLOCK);
  }
  follow_me(argv[2]);
  for (long i = 0; i < count; i++) {
    if (i % (count / 10) == count / 20 && write(pair[i % 2][1], "x", 1) != 1) return 1;
    recv(pair[i % 2][0], &c, 1, 0);
  }
  return 0;
}
