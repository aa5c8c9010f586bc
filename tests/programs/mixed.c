/* mixed COUNT COOKIE: COUNT calls of five kinds in turn, with a result, without one, and with an error; then how many of each.
 *
 * No two calls in a row are alike, so no call but recvfrom is folded into a burst. */
#include "marker.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
  long count = atol(argv[1]), made[5] = {0};
  char bytes[64] = "";
  int pair[2], null = open("/dev/null", O_RDWR);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || null < 0) return 1;
  follow_me(argv[2]);
  for (long i = 0; i < count; i++) {
    switch (i % 5) {
      case 0: made[0] += read(null, bytes, sizeof(bytes)) == 0; break;
      case 1: made[1] += write(null, bytes, 1 + i % 64) > 0; break;
      case 2: made[2] += recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT) < 0; break;
      case 3: made[3] += syscall(SYS_getppid) >= 0; break;
      case 4: made[4] += syscall(SYS_close, -1) < 0; break;
    }
  }
  int width = printf("{\"read\": %ld, \"write\": %ld, \"recvfrom\": %ld, \"getppid\": %ld, \"close\": %ld}", made[0], made[1], made[2],
                     made[3], made[4]);
  return fflush(stdout) || width < 0;
}
