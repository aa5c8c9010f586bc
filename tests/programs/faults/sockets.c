/* Sockets of every kind, and what may become of their data.
 *
 * addresses: uses one socket of each kind, and closes all without unread data.
 * unread: closes a connection, and leaves a datagram socket at its exit, with data that it never read; read: reads first.
 * edge: reads 4 of 16 bytes from an edge-triggered set, waits for the rest in vain, and exits; drained: reads until EAGAIN.
 * queued: never accepts its second client; accepted: accepts both. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void check(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
}

static int listener(int family, int type, int port) {
  int fd = socket(family, type, 0), one = 1;
  check(fd, "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  check(family == AF_INET ? bind(fd, (void *)&v4, sizeof(v4)) : bind(fd, (void *)&v6, sizeof(v6)), "bind");
  if (type == SOCK_STREAM)
    check(listen(fd, 8), "listen");
  return fd;
}

/* A client of the socket `to`, connected. */
static int client(int to) {
  struct sockaddr_storage address;
  socklen_t length = sizeof(address);
  int type, fd;
  getsockname(to, (void *)&address, &length);
  socklen_t size = sizeof(type);
  getsockopt(to, SOL_SOCKET, SO_TYPE, &type, &size);
  fd = socket(address.ss_family, type, 0);
  check(connect(fd, (void *)&address, length), "connect");
  return fd;
}

static void exchange(int from, int to) {
  char text[64];
  check(send(from, "hello", 5, 0), "send");
  check(recv(to, text, sizeof(text), 0), "recv");
}

static void unix_socket(struct sockaddr_un *address, int type, const char *path) {
  int fd = socket(AF_UNIX, type, 0);
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path + (*path == '@'), path + (*path == '@'));
  socklen_t length = *path == '@' ? 2 + strlen(path) : sizeof(*address);
  check(bind(fd, (void *)address, length), "bind");
  if (type == SOCK_STREAM)
    check(listen(fd, 8), "listen");
  int to = socket(AF_UNIX, type, 0);
  check(connect(to, (void *)address, length), "connect");
  int from = type == SOCK_STREAM ? accept(fd, 0, 0) : fd;
  check(from, "accept");
  exchange(to, from);
  close(to);
  if (from != fd)
    close(from);
  close(fd);
}

static void addresses(void) {
  int families[] = {AF_INET, AF_INET6};
  for (int i = 0; i < 2; i++) {
    int server = listener(families[i], SOCK_STREAM, 18000 + i), to = client(server), from = accept(server, 0, 0);
    check(from, "accept");
    exchange(to, from);
    int copy = dup(from);
    close(from);
    check(write(copy, "bye", 3), "write");
    recv(to, families, 0, MSG_DONTWAIT);
    char text[3];
    check(read(to, text, 3), "read");
    close(copy);
    close(to);
    close(server);
    server = listener(families[i], SOCK_DGRAM, 18000 + i);
    to = client(server);
    exchange(to, server);
    close(to);
    close(server);
  }
  struct sockaddr_un address;
  char folder[] = "/tmp/iolab-XXXXXX", path[64];
  check(mkdtemp(folder) ? 0 : -1, "mkdtemp");
  snprintf(path, sizeof(path), "%s/s", folder);
  unix_socket(&address, SOCK_STREAM, path);
  unlink(path);
  rmdir(folder);
  unix_socket(&address, SOCK_DGRAM, "@iolab-sockets");
  int pair[2], epoll = epoll_create1(0), event = eventfd(1, 0), file = open("/dev/null", O_WRONLY);
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
  exchange(pair[0], pair[1]);
  struct epoll_event ready = {.events = EPOLLIN};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &ready), "epoll_ctl");
  check(epoll_wait(epoll, &ready, 1, 1000), "epoll_wait");
  check(write(file, "x", 1), "write");
}

/* Two clients send; the program takes another 60 ms before it closes the sockets. */
static void unread(int reads) {
  int server = listener(AF_INET, SOCK_STREAM, 18010), to = client(server), from = accept(server, 0, 0);
  int datagrams = listener(AF_INET, SOCK_DGRAM, 18010), sender = client(datagrams);
  char text[64];
  check(send(to, "sixteen bytes...", 16, 0), "send");
  check(send(sender, "one", 3, 0), "send");
  check(send(sender, "three", 5, 0), "send");
  while (reads && recv(from, text, sizeof(text), MSG_DONTWAIT) > 0);
  while (reads && recv(datagrams, text, sizeof(text), MSG_DONTWAIT) > 0);
  usleep(60000);
  close(from);
  recv(to, text, sizeof(text), 0);
  _exit(0);
}

static void edge(int drains) {
  int server = listener(AF_INET, SOCK_STREAM, 18020), to = client(server), from = accept4(server, 0, 0, SOCK_NONBLOCK);
  struct epoll_event ready = {.events = EPOLLIN | EPOLLET};
  int epoll = epoll_create1(0);
  char text[4];
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, from, &ready), "epoll_ctl");
  check(send(to, "sixteen bytes...", 16, 0), "send");
  for (int i = 0; i < 2; i++)
    if (epoll_wait(epoll, &ready, 1, 60) == 1)
      while (recv(from, text, sizeof(text), 0) > 0 && drains);
  _exit(0);
}

static void queued(int accepts) {
  int server = listener(AF_INET, SOCK_STREAM, 18030), first = client(server), second = client(server);
  int one = accept(server, 0, 0), two = accepts ? accept(server, 0, 0) : -1;
  exchange(first, one);
  if (accepts)
    exchange(second, two);
  usleep(60000);
  _exit(0);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  if (!strcmp(way, "addresses"))
    addresses();
  else if (!strcmp(way, "unread") || !strcmp(way, "read"))
    unread(!strcmp(way, "read"));
  else if (!strcmp(way, "edge") || !strcmp(way, "drained"))
    edge(!strcmp(way, "drained"));
  else if (!strcmp(way, "queued") || !strcmp(way, "accepted"))
    queued(!strcmp(way, "accepted"));
  else
    return 2;
  return 0;
}
