/* Two ends of a TCP connection over loopback. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void pause_ms(int ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&t, 0);
}

static inline int listening(struct sockaddr_in *a) {
  socklen_t size = sizeof *a;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(listener, (void *)a, size);
  listen(listener, 64);
  getsockname(listener, (void *)a, &size);
  return listener;
}

static inline int connected(struct sockaddr_in *a) {
  int s = socket(AF_INET, SOCK_STREAM, 0);
  connect(s, (void *)a, sizeof *a);
  return s;
}
