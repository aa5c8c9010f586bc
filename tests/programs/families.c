/* families COOKIE: data over a socketpair, a unix connection, MPTCP, TCP, and TCP through splice; prints the bytes that arrived. */
#include "marker.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char data[4096];

static void listen_on(int l, struct sockaddr *a, socklen_t size) {
  if (bind(l, a, size) || listen(l, 5)) exit(1);
}

/* A connection of that family: [0] is accepted, [1] connects. */
static void connection(int domain, int protocol, int ends[2]) {
  struct sockaddr_storage a = {.ss_family = domain};
  socklen_t size = domain == AF_UNIX ? sizeof(sa_family_t) : sizeof(struct sockaddr_in);
  int l = socket(domain, SOCK_STREAM, protocol);
  if (l < 0) {
    ends[0] = -1;
    return;
  }
  if (domain == AF_INET) ((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen_on(l, (struct sockaddr *)&a, size);
  size = sizeof(a);
  getsockname(l, (struct sockaddr *)&a, &size);
  ends[1] = socket(domain, SOCK_STREAM, protocol);
  if (connect(ends[1], (struct sockaddr *)&a, size)) exit(1);
  ends[0] = accept(l, NULL, NULL);
  close(l);
}

static long take(int ends[2], int count, int size) {
  long got = 0;
  if (ends[0] < 0) return 0;
  for (int i = 0; i < count; i++) {
    if (write(ends[1], data, size) != size) exit(1);
    ssize_t n = read(ends[0], data, size);
    if (n > 0) got += n;
  }
  close(ends[0]);
  close(ends[1]);
  return got;
}

int main(int argc, char **argv) {
  int ends[2], out[2];
  follow_me(argv[argc - 1]);
  connection(AF_UNIX, 0, ends);
  long of_unix = take(ends, 7, 100);
  connection(AF_INET, 262, ends);
  long mptcp = take(ends, 5, 64);
  connection(AF_INET, 0, ends);
  long tcp = take(ends, 3, 50);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 1;
  long pair = 0;
  for (int i = 0; i < 4; i++) pair += send(ends[1], data, 25, 0), recv(ends[0], data, 25, 0);
  close(ends[0]);
  close(ends[1]);
  if (pipe(out)) return 1;
  pair += write(out[1], data, 10) * 0 + read(out[0], data, 10) * 0;  /* a pipe is no socket */
  connection(AF_INET, 0, ends);
  long spliced = 0;
  for (int i = 0; i < 2; i++) {
    if (write(ends[1], data, 1000) != 1000) return 1;
    spliced += splice(ends[0], NULL, out[1], NULL, 65536, 0);
    if (read(out[0], data, 1000) < 0) return 1;
  }
  printf("{\"unix socket\": %ld, \"MPTCP\": %ld, \"splice\": %ld, \"tcp\": %ld, \"pair\": %ld}\n", of_unix, mptcp, spliced, tcp, pair);
  return 0;
}
