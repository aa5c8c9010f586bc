// An echo server with POSIX AIO: aio_read returns at once, and a signal reports when the data is in
// the buffer (UNP 6.2).
//
//     cc -Wall -Wextra -pthread -o posix_aio_server posix_aio_server.c && ./posix_aio_server 8080
//
// On Linux, threads of the C library do the work: each makes one ordinary blocking read or write at
// a time (glibc, aio_misc.c; aio(7)). The server's own thread sleeps in sigwaitinfo. AIO has no
// request for accept, so the listener is signal-driven.
#define _GNU_SOURCE // accept4, aio_init
#include <aio.h>
#include <arpa/inet.h>
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
#define DONE (SIGRTMIN + 1)

struct connection {
    struct aiocb request; // one at a time: the next begins when this one has ended
    bool writes;
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

// Starts the next request of a connection: to write what is unsent, or else to read. Returns false
// if that fails.
static bool request(struct connection *c)
{
    c->writes = c->begin < c->end;
    c->request.aio_buf = c->data + (c->writes ? c->begin : 0);
    c->request.aio_nbytes = c->writes ? c->end - c->begin : sizeof c->data;
    return (c->writes ? aio_write(&c->request) : aio_read(&c->request)) == 0;
}

// The request has ended. Returns false if the connection has ended, too.
static bool go_on(struct connection *c)
{
    ssize_t moved = aio_return(&c->request); // what read or write returned in the other thread
    if (moved <= 0)
        return false;
    // GAP 3: Note what the request has done: after a read, the data is unsent; after a write,
    //        `begin` moves on. The stub notes nothing, so the server reads again and sends nothing.
    // CHECKS: protocol
    if (c->writes)
        c->begin += (size_t)moved;
    else
        c->begin = 0, c->end = (size_t)moved;
    // HINT: `request` writes data[begin] to data[end - 1], if there is any. Otherwise it reads into
    //       the beginning of the buffer.
    // HINT: Like write(2), a request to write may have moved a part of the data (aio_write(3),
    //       aio_return(3)).
    // HINT: After a write c->begin += moved. After a read c->begin = 0 and c->end = moved.
    // END
    return request(c);
}

static void finish(struct connection *c)
{
    // GAP 4: Close the connection, and free its memory.
    // CHECKS: half_close
    close(c->request.aio_fildes);
    free(c);
    // HINT: No request of the connection is under way now, so no other thread uses its descriptor
    //       and its buffer.
    // HINT: The descriptor is in the request: aio_fildes (aio(7)).
    // HINT: close(c->request.aio_fildes); free(c);
    // STUB: (void)c;
    // END
}

static void accept_clients(int listener)
{
    for (;;) {
        // GAP 2: Accept the next waiting client, if there is one. The connection must be blocking:
        //        the C library's thread must sleep in its read. The stub makes the connection
        //        non-blocking.
        // CHECKS: protocol, helpers
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // HINT: The listener is non-blocking, its connections need not be: each descriptor has its
        //       own O_NONBLOCK.
        // HINT: What does read(2) return for a non-blocking socket without data? aio_return returns
        //       the same.
        // HINT: int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // STUB: int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        // END
        if (fd < 0)
            return;
        struct connection *c = fd < MOST ? calloc(1, sizeof *c) : NULL;
        if (c == NULL) {
            close(fd);
            continue;
        }
        c->request.aio_fildes = fd;
        // GAP 1: Let the end of each request queue the signal DONE, with the connection as its
        //        value.
        // CHECKS: protocol
        c->request.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
        c->request.aio_sigevent.sigev_signo = DONE;
        c->request.aio_sigevent.sigev_value.sival_ptr = c;
        // HINT: The helper thread has read the data, but nothing tells the server's own thread.
        // HINT: Read sigevent(7): SIGEV_SIGNAL, sigev_signo, sigev_value. The request has a member
        //       aio_sigevent (aio(7)).
        // HINT: sigwaitinfo returns the value in info.si_value: set sigev_value.sival_ptr to the
        //       connection.
        // STUB: c->request.aio_sigevent.sigev_notify = SIGEV_NONE;
        // END
        if (!request(c))
            finish(c);
    }
}

static void serve_all(int listener)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, DONE);
    sigaddset(&signals, SIGIO);
    sigprocmask(SIG_BLOCK, &signals, NULL); // also in the threads that the C library will create
    // SIGIO is not queued: one SIGIO may stand for several clients. The queue of real-time signals
    // has at most one DONE for each connection, and stays below its limit (RLIMIT_SIGPENDING). When
    // the queue is full, the C library loses the signal.
    if (fcntl(listener, F_SETOWN, getpid()) < 0 ||
        fcntl(listener, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
        die("fcntl");
    accept_clients(listener);
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&signals, &info);
        if (number == SIGIO)
            accept_clients(listener);
        else if (number == DONE && !go_on(info.si_value.sival_ptr))
            finish(info.si_value.sival_ptr);
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    // By default the C library has 20 threads for requests: 20 silent clients would keep all others
    // waiting.
    struct aioinit threads = {.aio_threads = MOST, .aio_num = MOST, .aio_idle_time = 1};
    sigaction(SIGTERM, &terminate, NULL);
    signal(SIGPIPE, SIG_IGN); // a write to a connection that was reset then returns EPIPE
    aio_init(&threads);
    serve_all(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
