// An echo server with signal-driven I/O: the kernel queues a signal when something happens at a
// socket (UNP 6.2 and 25).
//
//     cc -Wall -Wextra -pthread -o signal_driven_server signal_driven_server.c && ./signal_driven_server 8080
//
// SIGIO alone says only that something happened. A real-time signal is queued for each event, and
// carries the descriptor (fcntl(2), F_SETSIG). The kernel reports an event once, so the server
// accepts, reads and sends until EAGAIN. The thread sleeps in sigwaitinfo and in no other call.
#define _GNU_SOURCE // accept4, F_SETSIG
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// A process may have 1,024 descriptors by default (RLIMIT_NOFILE). At that limit accept fails with
// EMFILE, and no signal reports the waiting client again. So the server closes connections beyond
// MOST at once.
enum { MOST = 1000 };
#define READY (SIGRTMIN + 1)

struct connection {
    int fd;
    size_t begin, end; // data[begin] to data[end - 1] was read, and is not sent yet
    char data[16384];
};

static struct connection *connections[MOST]; // by descriptor

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
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.sin_port = htons((uint16_t)(port ? strtoul(port, NULL, 10) : 0));
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(listener, (struct sockaddr *)&here, size) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&here, &size) < 0)
        die("listen");
    printf("listening on port %d\n", ntohs(here.sin_port));
    fflush(stdout);
    return listener;
}

// From now on the kernel queues READY to this process when data, a connection, room in the send
// buffer or an error comes.
static void arm(int fd)
{
    // GAP 1: Name the process that owns the descriptor, choose the signal READY for it, and set
    //        O_ASYNC besides O_NONBLOCK.
    // CHECKS: armed, notified_by_signal, protocol
    if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, READY) < 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK) < 0)
        die("fcntl");
    // HINT: The kernel sends no signal for a descriptor without an owner, and none for a descriptor
    //       without O_ASYNC.
    // HINT: Read fcntl(2), "Managing signals", and UNP 25.2: F_SETOWN, F_SETSIG, and O_ASYNC by
    //       F_SETFL.
    // HINT: fcntl(fd, F_SETOWN, getpid()), then fcntl(fd, F_SETSIG, READY), and F_SETFL last: the
    //       signals begin with O_ASYNC.
    // HINT: fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK)
    // STUB: if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
    // STUB:     die("fcntl");
    // END
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

// A signal may be about a connection that has been closed: its descriptor may have no connection
// now, or a newer connection.
static void serve(int fd)
{
    struct connection *c = fd >= 0 && fd < MOST ? connections[fd] : NULL;
    if (c == NULL)
        return;
    // GAP 4: Make steps until one returns EAGAIN: then all data was read, or the send buffer is
    //        full. The stub makes two steps: it reads once and sends once.
    // CHECKS: huge_message, slow_reader
    ssize_t moved;
    while ((moved = step(c)) > 0)
        ;
    // HINT: No signal reports the data that you leave in the socket. When the client waits for its
    //       reply and sends nothing more, both wait for ever.
    // HINT: The rule is the same as for edge-triggered epoll (epoll(7)): read or write until
    //       EAGAIN. The server of UNP 25.3 reads datagrams in this way.
    // HINT: A step that moves data returns more than 0. Repeat step(c) while it does, and keep its
    //       last result in `moved`.
    // STUB: ssize_t moved = step(c);
    // STUB: if (moved > 0)
    // STUB:     moved = step(c);
    // STUB: if (moved > 0)
    // STUB:     return;
    // END
    if (moved == 0 || errno != EAGAIN) {
        close(fd);
        free(c);
        connections[fd] = NULL;
    }
}

static void accept_clients(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct connection *c = fd < MOST ? calloc(1, sizeof *c) : NULL;
        if (c == NULL) {
            close(fd);
            continue;
        }
        c->fd = fd;
        connections[fd] = c;
        arm(fd); // a connection inherits no O_ASYNC
        serve(fd); // no signal reports data that came before
    }
}

static void serve_all(int listener)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, READY);
    sigaddset(&signals, SIGIO);
    // GAP 2: Block the signals. A blocked signal stays in the queue until sigwaitinfo takes it.
    // CHECKS: protocol
    sigprocmask(SIG_BLOCK, &signals, NULL);
    // HINT: What does a real-time signal do to a process that has no handler for it (signal(7))?
    // HINT: sigwaitinfo(2) waits for signals of a set. They must be blocked before, so that none is
    //       delivered between two calls.
    // HINT: sigprocmask(SIG_BLOCK, &signals, NULL);
    // END
    arm(listener);
    accept_clients(listener);
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&signals, &info);
        if (number == SIGIO) {
            // The queue was full (RLIMIT_SIGPENDING), and signals are lost: check all descriptors.
            accept_clients(listener);
            for (int fd = 0; fd < MOST; fd++)
                serve(fd);
        } else if (number == READY) {
            // GAP 3: Find out which descriptor the signal is about: accept all clients, or serve
            //        the connection. The stub treats every signal as a new client.
            // CHECKS: protocol
            if (info.si_fd == listener)
                accept_clients(listener);
            else
                serve(info.si_fd);
            // HINT: The kernel passes the cause of each signal along with it.
            // HINT: Read sigaction(2), siginfo_t: si_fd "is set for SIGIO", and for the signal of
            //       F_SETSIG (fcntl(2)).
            // HINT: info.si_fd is the descriptor. Compare it with `listener`.
            // STUB: accept_clients(listener);
            // END
        }
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
