/* datagrams COOKIE: rounds of datagrams over UDP, sent before they are read; prints when each was sent, in order of reading.
 *
 * Rounds of 1, 5 and 21 to one socket, and 5 more that one recvmmsg takes (not printed); then 3 that nobody reads to a socket that is closed, and 2 to a new socket, which may
 * stand where the closed one stood in memory. A look at the first datagram (MSG_PEEK) takes nothing. */
#include "marker.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static int receiver(struct sockaddr_in *at) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  socklen_t length = sizeof(*at);
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (bind(fd, (struct sockaddr *)at, length) || getsockname(fd, (struct sockaddr *)at, &length)) exit(1);
  return fd;
}

static void round_of(int sender, int fd, struct sockaddr_in *at, int count, int read_too) {
  char data[64] = "";
  long long sent[64];
  for (int i = 0; i < count; i++) {
    sent[i] = now_ns(CLOCK_MONOTONIC);
    if (sendto(sender, data, sizeof(data), 0, (struct sockaddr *)at, sizeof(*at)) != sizeof(data)) exit(1);
  }
  if (!read_too) return;
  if (recv(fd, data, sizeof(data), MSG_PEEK) != sizeof(data)) exit(1);
  for (int i = 0; i < count; i++) {
    if (recv(fd, data, sizeof(data), 0) != sizeof(data)) exit(1);
    printf("%lld\n", sent[i]);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in at;
  int sender = socket(AF_INET, SOCK_DGRAM, 0), fd = receiver(&at);
  follow_me(argv[1]);
  round_of(sender, fd, &at, 1, 1);
  round_of(sender, fd, &at, 5, 1);
  round_of(sender, fd, &at, 21, 1);
  char data[5][64];
  struct iovec parts[5];
  struct mmsghdr batch[5] = {};
  for (int i = 0; i < 5; i++) {
    parts[i] = (struct iovec){data[i], sizeof(data[i])};
    batch[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  round_of(sender, fd, &at, 5, 0);
  if (recvmmsg(fd, batch, 5, 0, NULL) != 5) return 1;
  close(fd);
  for (int i = 0; i < 50; i++) {
    fd = receiver(&at);
    round_of(sender, fd, &at, 3, 0);
    close(fd);
    fd = receiver(&at);
    round_of(sender, fd, &at, 2, 1);
    close(fd);
  }
  return 0;
}
