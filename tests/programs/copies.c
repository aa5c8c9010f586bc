/* copies tcp|unix|udp SIZE COUNT COOKIE: COUNT reads of SIZE bytes that are there already; udp sends each as one datagram. */
#include "marker.h"
#include <arpa/inet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void inet_pair(int type, int *ends) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(at);
  int first = socket(AF_INET, type, 0);
  if (bind(first, (struct sockaddr *)&at, length) || getsockname(first, (struct sockaddr *)&at, &length)) exit(1);
  if (type == SOCK_STREAM && listen(first, 1)) exit(1);
  ends[0] = socket(AF_INET, type, 0);
  if (connect(ends[0], (struct sockaddr *)&at, length)) exit(1);
  ends[1] = type == SOCK_STREAM ? accept(first, NULL, NULL) : first;
}

int main(int argc, char **argv) {
  int ends[2], size = atoi(argv[2]), count = atoi(argv[3]), big = 4 << 20;
  char *data = malloc(size);
  memset(data, 1, size);
  if (!strcmp(argv[1], "unix")) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 1;
  } else {
    inet_pair(strcmp(argv[1], "udp") ? SOCK_STREAM : SOCK_DGRAM, ends);
  }
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
  setsockopt(ends[1], SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
  follow_me(argv[4]);
  for (int i = 0; i < count; i++) {
    for (int sent = 0, n; sent < size; sent += n)
      if ((n = send(ends[0], data + sent, size - sent, 0)) <= 0) return 1;
    for (int there = 0; strcmp(argv[1], "udp") && there < size;)
      if (ioctl(ends[1], FIONREAD, &there)) return 1;
    if (recv(ends[1], data, size, MSG_WAITALL) != size) return 1;
  }
  return 0;
}
