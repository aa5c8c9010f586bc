// An echo server with edge-triggered epoll: the kernel reports each arrival once (epoll(7),
// "Level-triggered and edge-triggered").
//
//     cc -Wall -Wextra -pthread -o epoll_edge_server epoll_edge_server.c && ./epoll_edge_server 8080
//
// The kernel does not report unread data again. So the server accepts until EAGAIN, and reads and
// sends until EAGAIN. A connection is registered once, for both directions; no second epoll_ctl is
// needed.
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
// EMFILE, and no edge reports the waiting client again. So the server closes connections beyond
// MOST at once.
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
// Returns the bytes that were sent or read, 0 at the end of the connection, and -1 after an error:
// EAGAIN if the call would have to wait, else the connection is broken.
static ssize_t step(struct connection *c)
{
    if (c->begin < c->end) {
        ssize_t sent = send(c->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
        c->begin += sent > 0 ? (size_t)sent : 0;
        return sent;
    }
    ssize_t size = recv(c->fd, c->data, sizeof c->data, 0);
    c->begin = 0;
    c->end = size > 0 ? (size_t)size : 0;
    return size;
}

// Returns false if the connection has ended. A client that sends and reads without a pause keeps
// the thread here; the lab edge_starvation shows what this does to other clients, and a remedy.
static bool serve(struct connection *c)
{
    // GAP 1: Make steps until one returns EAGAIN: then all data was read, or the send buffer is
    //        full. The stub makes two steps: it reads once and sends once.
    // CHECKS: huge_message, slow_reader
    ssize_t moved;
    while ((moved = step(c)) > 0)
        ;
    // HINT: epoll_wait will not report the data that you leave in the socket. When the client waits
    //       for its reply and sends nothing more, both wait for ever.
    // HINT: epoll(7) says when the server may wait again: after read or write has returned EAGAIN.
    // HINT: A step that moves data returns more than 0. Repeat step(c) while it does, and keep its
    //       last result in `moved`.
    // STUB: ssize_t moved = step(c);
    // STUB: if (moved > 0)
    // STUB:     moved = step(c);
    // STUB: if (moved > 0)
    // STUB:     return true;
    // END
    return moved < 0 && errno == EAGAIN;
}

static bool accept_client(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    struct connection *c = fd < MOST ? calloc(1, sizeof *c) : NULL;
    // GAP 2: Ask for edges of both directions: data that arrives, and room in the send buffer. The
    //        stub asks for data only.
    // CHECKS: slow_reader
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    // HINT: After EAGAIN from send, the server must learn when the send buffer has room again.
    // HINT: With EPOLLET, EPOLLOUT costs nothing while there is room: the kernel reports the change
    //       from "full" to "room" once (epoll(7)). With level-triggered epoll, epoll_wait would
    //       never sleep.
    // HINT: .events = EPOLLIN | EPOLLOUT | EPOLLET
    // STUB: struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    // END
    if (c != NULL)
        c->fd = fd;
    if (c == NULL || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        free(c);
        close(fd);
    }
    return true;
}

static void serve_all(int listener)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL}; // NULL: the listener
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) { // a result of -1 (EINTR, after SIGCONT) reports nothing
            struct connection *c = events[i].data.ptr;
            if (c == NULL) {
                // GAP 3: Accept all clients that wait: one report may stand for several clients.
                //        The stub accepts one of them.
                // CHECKS: many_clients
                while (accept_client(epoll, listener))
                    ;
                // HINT: Two clients connect at nearly the same time. epoll_wait reports the
                //       listener once; how many connections are in the accept queue?
                // HINT: The rule is the same as for data: accept until accept4 returns -1 with
                //       EAGAIN (accept(2); UNP 16.6).
                // HINT: accept_client returns false when no connection was accepted: call it while
                //       it returns true.
                // STUB: accept_client(epoll, listener);
                // END
            } else if (!serve(c)) {
                // GAP 4: Close the connection that has ended, and free its memory.
                // CHECKS: half_close, takes_all
                close(c->fd);
                free(c);
                // HINT: Edge-triggered epoll reports the end of a connection once. Later nothing
                //       reminds the server of it.
                // HINT: The kernel sends the server's FIN when the descriptor is closed. close also
                //       takes the descriptor out of the epoll instance (epoll(7), questions and
                //       answers).
                // HINT: close(c->fd); free(c);
                // END
            }
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
