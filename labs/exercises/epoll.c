// An echo server with level-triggered epoll: one thread waits for all connections at once (man 7 epoll; UNP 6.2).
//
//   cc -Wall -Wextra -pthread -o epoll_server epoll_server.c && ./epoll_server 8080
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1024, SIZE = 65536 }; // connections, and bytes of a buffer

struct connection {
  size_t begin, end; // of the data that is not sent yet
  char data[SIZE];
};

static struct connection *connections[MOST]; // by descriptor

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128)) {
    perror("listen");
    exit(1);
  }
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("listening on port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

// Sends what is left of the data, or else reads once and sends that. Returns 0 if the connection has ended.
static int serve(int epoll, int fd, unsigned events) {
  struct connection *c = connections[fd];
  if (c->begin == c->end) {
    ssize_t got = read(fd, c->data, SIZE);
    if (got < 0 && errno == EAGAIN)
      return 1;
    // GAP 4: Return 0 if the connection has ended or is broken: the caller closes it then.
    // CHECKS: half_close, reset, never-spins
    if (got <= 0)
      return 0;
    // HINT: Look at the three kinds of results of read: data, 0 and -1.
    // HINT: read returns 0 when the client has sent its FIN (UNP 5.13), and -1 with ECONNRESET after a reset (RST). epoll
    //       reports such a connection as readable until it is closed.
    // HINT: if (got <= 0) return 0;
    // STUB: if (got < 0)
    // STUB:   got = 0;
    // END
    c->begin = 0;
    c->end = got;
  }
  ssize_t sent = send(fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN)
    return 0;
  // GAP 5: Keep what `send` did not take (`begin` moves on), and let epoll report room in the send buffer instead of new
  // data. When all is sent, let epoll report new data again.
  // CHECKS: huge_message, slow_reader
  c->begin += sent > 0 ? sent : 0;
  struct epoll_event event = {.events = c->begin < c->end ? EPOLLOUT : EPOLLIN, .data.fd = fd};
  if (event.events != (events & (EPOLLIN | EPOLLOUT)))
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
  // HINT: The stub forgets what send did not take. send may take a part only, or nothing (EAGAIN).
  // HINT: EPOLLOUT reports room in the send buffer. A socket nearly always has room, so register EPOLLOUT only while data is
  //       unsent. epoll_ctl(2) has EPOLL_CTL_MOD for the change.
  // HINT: Add `sent` to c->begin if it is positive. Wanted is EPOLLOUT if c->begin < c->end, else EPOLLIN.
  // HINT: Call epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) with a struct epoll_event, if `events` differ from what is wanted.
  // STUB: c->begin = c->end;
  // STUB: (void)epoll, (void)events;
  // END
  return 1;
}

int main(int count, char **arguments) {
  const char *port = count > 1 ? arguments[1] : getenv("PORT");
  int listener = listen_on(port ? atoi(port) : 0), epoll = epoll_create1(0);
  // GAP 1: Let the epoll instance report new connections: add the listener to it, once, before the loop.
  // CHECKS: protocol
  struct epoll_event readable = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &readable);
  // HINT: epoll reports only descriptors that were added. A listener with a new connection counts as readable.
  // HINT: Read epoll_ctl(2), EPOLL_CTL_ADD. The loop below finds the descriptor in event.data.fd.
  // HINT: struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  //       epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  // END
  for (;;) {
    struct epoll_event ready[64];
    // GAP 2: Sleep until a descriptor is ready, however long that takes. The stub returns at once and polls in a loop.
    // CHECKS: no_polling, asleep_in_epoll_wait, never-spins, needs-no-short-time-out
    int number = epoll_wait(epoll, ready, 64, -1);
    // HINT: The time-out decides how long epoll_wait sleeps. 0 means: return at once.
    // HINT: Read the argument "timeout" in epoll_wait(2): which value waits without an end?
    // HINT: epoll_wait(epoll, ready, 64, -1)
    // STUB: int number = epoll_wait(epoll, ready, 64, 0);
    // END
    for (int i = 0; i < number; i++) {
      int fd = ready[i].data.fd;
      if (fd == listener) {
        // GAP 3: Accept the connection, make it non-blocking, give it a zeroed struct in `connections`, and add it to epoll.
        // CHECKS: protocol, slow_reader
        int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (connection >= MOST)
          close(connection);
        else if (connection >= 0) {
          struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};
          connections[connection] = calloc(1, sizeof(struct connection));
          epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
        }
        // HINT: The new connection needs its own registration: that of the listener does not cover it.
        // HINT: A connection does not inherit O_NONBLOCK from the listener. accept4(2) has a flag for it. In a blocking
        //       connection, send would sleep, and no other client would be served meanwhile.
        // HINT: int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK); accept4 may fail: go on then.
        // HINT: connections[connection] = calloc(1, sizeof(struct connection)); then epoll_ctl with EPOLL_CTL_ADD, EPOLLIN
        //       and .data.fd = connection. Close a connection whose number is not below MOST.
        // END
      } else if (!serve(epoll, fd, ready[i].events)) {
        close(fd); // the kernel takes a closed descriptor out of epoll (man 7 epoll)
        free(connections[fd]);
      }
    }
  }
}
