// An echo server with a pool of four processes, forked before the first client. All of them accept
// from one listener (UNP 30.6).
//
//     cc -Wall -Wextra -pthread -o process_pool_server process_pool_server.c && ./process_pool_server 8080
//
// Each process that sleeps in accept is an exclusive waiter on the listener: a new connection wakes
// one of them (net/ipv4/inet_connection_sock.c: inet_csk_wait_for_connect). A fifth client waits in
// the accept queue.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 4 };

static pid_t workers[WORKERS];
static int started; // how many workers were forked

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

// Sends all of the data. A blocking send sleeps until it has taken all of the data, unless a signal
// or an error ends it early.
static bool send_all(int connection, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            return false; // the client has reset the connection
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

// A worker: serves one connection after the other, each until it ends.
static void work(int listener)
{
    for (;;) {
        char data[65536];
        ssize_t size;
        // GAP 2: Sleep until a client connects, and take its connection.
        // CHECKS: protocol
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // HINT: All workers have the same listener, as fork copies the descriptors. Each may take
        //       connections from its queue.
        // HINT: accept(2) takes the first connection out of the queue, and sleeps while the queue
        //       is empty (UNP 4.6).
        // HINT: int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        // STUB: int connection = -1;
        // STUB: (void)listener;
        // END
        if (connection < 0) { // too many open files, or no memory
            perror("accept");
            sleep(1); // clients stay in the accept queue meanwhile
            continue;
        }
        while ((size = recv(connection, data, sizeof data, 0)) > 0)
            if (!send_all(connection, data, (size_t)size))
                break;
        close(connection);
    }
}

// Forks a worker. `signals` is the worker's signal mask. Returns false if fork fails.
static bool start(int listener, const sigset_t *signals)
{
    pid_t worker = fork();
    if (worker == 0) {
        // GAP 3: Let SIGTERM end the worker: set its signal mask to `signals`. fork copies the mask
        //        of the parent, which blocks SIGTERM.
        // CHECKS: ends_on_sigterm
        sigprocmask(SIG_SETMASK, signals, NULL);
        // HINT: A blocked signal stays pending, and does not end the process.
        // HINT: Read sigprocmask(2), SIG_SETMASK: it replaces the whole mask.
        // HINT: sigprocmask(SIG_SETMASK, signals, NULL);
        // STUB: (void)signals;
        // END
        work(listener);
    }
    if (worker > 0)
        workers[started++] = worker;
    return worker > 0;
}

// Ends all workers, and waits until they have ended.
static void end_workers(void)
{
    // GAP 4: Send SIGTERM to each worker, and wait for all of them.
    // CHECKS: ends_on_sigterm
    for (int i = 0; i < started; i++)
        if (workers[i] > 0)
            kill(workers[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
    // HINT: The end of a process does not end its children. They would keep the listener, and the
    //       port with it.
    // HINT: Read kill(2) and wait(2); UNP 30.6 has a handler that does this. A number of 0 in kill
    //       means the whole process group, so skip these places.
    // HINT: kill(workers[i], SIGTERM) for i from 0 to started - 1; then wait(NULL) until it fails:
    //       no child is left.
    // END
}

// Sleeps until SIGTERM comes, or a worker ends. Returns the status of the server: a pool that
// shrinks is an error.
static int supervise(const sigset_t *signals)
{
    pid_t ended = 0;
    int number;
    do { // SIGCHLD comes for a child that was stopped, too
        number = sigwaitinfo(signals, NULL);
        ended = number == SIGCHLD ? waitpid(-1, NULL, WNOHANG) : 0;
    } while (number != SIGTERM && ended <= 0);
    for (int i = 0; i < started; i++)
        if (workers[i] == ended)
            workers[i] = 0; // the kernel may give its number to another process
    return number == SIGTERM ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments)
{
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before); // each stays pending until sigwaitinfo takes it
    int listener = listen_on(count > 1 ? arguments[1] : getenv("PORT"));
    // GAP 1: Start all workers of the pool. The stub starts one worker: all other clients wait for
    //        the first client.
    // CHECKS: ceiling, silent_client
    bool whole = true;
    for (int i = 0; i < WORKERS && whole; i++)
        whole = start(listener, &before);
    // HINT: A pool of four processes serves four clients at the same time.
    // HINT: Read UNP 30.6. `start` forks one worker; `whole` says whether all workers were forked.
    // HINT: for (int i = 0; i < WORKERS && whole; i++) whole = start(listener, &before);
    // STUB: bool whole = start(listener, &before);
    // END
    int status = whole ? supervise(&signals) : EXIT_FAILURE;
    end_workers();
    return status;
}
