// An echo server with level-triggered epoll: one thread waits for all connections at once
// (epoll(7); UNP 6.2).
//
//     cc -Wall -Wextra -pthread -o epoll_server epoll_server.c && ./epoll_server 8080
//
// The server registers each descriptor once. epoll_wait returns the ready ones: a listener with a
// new connection, a connection with data, or, if the server has registered EPOLLOUT, a connection
// with room in its send buffer. No other call may sleep.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// A process may have 1,024 descriptors by default (RLIMIT_NOFILE). At that limit accept fails with
// EMFILE, the client stays in the accept queue, and the listener stays ready: the loop would spin.
// So the server closes connections beyond MOST at once.
enum { MOST = 1000, EVENTS = 64 };

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

// A handler may call _exit (signal-safety(7)). The kernel then ends all threads of the process and
// closes its descriptors.
static void on_sigterm(int signo)
{
    (void)signo;
    _exit(EXIT_SUCCESS);
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

// A listener on 127.0.0.1. Without SO_REUSEADDR, connections in TIME_WAIT would keep a new server
// from the port for 60 s.
static int listen_on(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    here.sin_port = htons((uint16_t)(port ? strtoul(port, NULL, 10) : 0));
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(listener, (struct sockaddr *)&here, size) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &size) < 0)
        die("listen");
    printf("listening on port %d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

// Sends the unsent data. Without unsent data, reads once and sends what it read. Never sleeps.
// Returns false if the connection has ended.
static bool serve(struct connection *c)
{
    if (c->begin == c->end) {
        ssize_t size = recv(c->fd, c->data, sizeof c->data, 0);
        if (size <= 0)
            return size < 0 && errno == EAGAIN; // 0: the client has ended the connection (FIN)
        c->begin = 0;
        c->end = (size_t)size;
    }
    ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN; // else the client has reset the connection
    c->begin += (size_t)sent;
    return true;
}

static void accept_client(int epoll, int listener)
{
    // GAP 3: Accept the connection so that no call on it can sleep. The stub accepts it, but leaves
    //        it blocking.
    // CHECKS: slow_reader, asleep_in_epoll_wait
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    // HINT: In a blocking connection, send sleeps while the send buffer is full. No other client is
    //       served meanwhile.
    // HINT: A connection does not inherit O_NONBLOCK from its listener (accept(2), "Notes").
    //       accept4 has a flag for it.
    // HINT: int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    // STUB: int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    // END
    struct connection *c = fd >= 0 && fd < MOST ? calloc(1, sizeof *c) : NULL;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c != NULL)
        c->fd = fd;
    // GAP 2: Register the connection, so that epoll reports its data. `event` has the connection in
    //        data.ptr, and epoll_wait returns it. Close the connection if there is no memory for it
    //        or if epoll_ctl fails.
    // CHECKS: protocol
    if (c == NULL || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        free(c);
        if (fd >= 0)
            close(fd);
    }
    // HINT: epoll reports only descriptors that were registered. The registration of the listener
    //       does not cover its connections.
    // HINT: Read epoll_ctl(2), EPOLL_CTL_ADD. One call for each connection is enough:
    //       level-triggered epoll reports a descriptor as long as it is ready.
    // HINT: epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)
    // STUB: (void)epoll, (void)event;
    // END
}

// Serves a connection that epoll has reported.
static void go_on(int epoll, struct connection *c)
{
    bool before = c->begin < c->end; // was data unsent?
    if (!serve(c)) {
        // GAP 4: Close the connection that has ended, and free its memory.
        // CHECKS: half_close, no_polling
        close(c->fd);
        free(c);
        // HINT: A connection that has ended stays readable: each recv returns 0 at once. So
        //       epoll_wait never sleeps again.
        // HINT: close also takes the descriptor out of the epoll instance, as no other descriptor
        //       refers to the socket (epoll(7), questions and answers).
        // HINT: close(c->fd); free(c);
        // END
        return;
    }
    bool now = c->begin < c->end;
    if (now == before)
        return;
    // GAP 5: Change the registration: while data is unsent, epoll must report room in the send
    //        buffer, and new data when all is sent. The stub asks for no event while data is
    //        unsent.
    // CHECKS: slow_reader
    struct epoll_event event = {.events = now ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    // HINT: If the send buffer is full, send takes a part, or nothing (EAGAIN). Which event reports
    //       that the send buffer has room again?
    // HINT: EPOLLOUT reports room (epoll_ctl(2)). A send buffer nearly always has room, so
    //       epoll_wait would not sleep if EPOLLOUT were always registered.
    // HINT: struct epoll_event event = {.events = now ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    // STUB: struct epoll_event event = {.events = now ? 0 : EPOLLIN, .data.ptr = c};
    // END
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void serve_all(int listener)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}; // NULL: the listener
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS];
        // GAP 1: Sleep until a descriptor is ready, however long that takes. The stub returns at
        //        once.
        // CHECKS: no_polling
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        // HINT: The last argument is the time-out. With 0, the loop polls without a pause and takes
        //       a whole core.
        // HINT: Read epoll_wait(2): which time-out means that the call waits without a limit?
        // HINT: int ready = epoll_wait(epoll, events, EVENTS, -1);
        // STUB: int ready = epoll_wait(epoll, events, EVENTS, 0);
        // END
        for (int i = 0; i < ready; i++) { // a result of -1 (EINTR, after SIGCONT) reports nothing
            if (events[i].data.ptr == NULL)
                accept_client(epoll, listener);
            else
                go_on(epoll, events[i].data.ptr);
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
