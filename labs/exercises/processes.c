// An echo server with a process for each connection (UNP 4.8 and 5.10).
//
//     cc -Wall -Wextra -pthread -o processes_server processes_server.c && ./processes_server 8080
//
// Each child blocks in recv and send for its own client only, so no client waits for another. Each
// child costs a fork, which copies the page tables of the parent, and context switches.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

// Several children may end before the handler runs: the kernel then sends one SIGCHLD, as this
// signal is not queued.
static void on_sigchld(int signo)
{
    int saved = errno; // the handler may run between a call and the code that checks its errno
    (void)signo;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
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

// Echoes one connection until it ends.
static void talk(int connection)
{
    char data[65536];
    ssize_t size;
    // GAP 2: Read what comes and send it back, until the client has ended the connection or reset
    //        it. The stub reads only once.
    // CHECKS: protocol, partial_messages
    while ((size = recv(connection, data, sizeof data, 0)) > 0)
        if (!send_all(connection, data, (size_t)size))
            break;
    // HINT: TCP is a stream: one recv may return a part of a message, or several messages. Only a
    //       result of 0 is the end.
    // HINT: recv returns 0 after the client's FIN, and -1 after an error such as ECONNRESET
    //       (recv(2); UNP 5.3, str_echo).
    // HINT: Repeat recv and send_all while the result of recv is greater than 0. Leave the loop if
    //       send_all returns false.
    // STUB: if ((size = recv(connection, data, sizeof data, 0)) > 0)
    // STUB:     send_all(connection, data, (size_t)size);
    // END
}

// A child: serves its connection, and ends. SIGTERM ends the parent; the kernel then sends SIGTERM
// to the child as well. If the parent has ended before prctl, another process is the child's parent
// by now.
static void live(int listener, int connection, pid_t parent)
{
    close(listener);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
        talk(connection);
    _exit(EXIT_SUCCESS); // not exit: the buffers of stdio belong to the parent
}

static void serve(int listener)
{
    pid_t parent = getpid();
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) { // too many open files, or no memory
            perror("accept");
            sleep(1); // clients stay in the accept queue meanwhile
            continue;
        }
        // GAP 1: Create a child that runs `live` for this connection. The stub serves the client in
        //        this process; the next client has to wait.
        // CHECKS: isolated, created_for_it, silent_client
        pid_t child = fork();
        if (child == 0)
            live(listener, connection, parent);
        if (child < 0)
            perror("fork");
        // HINT: A child has copies of all descriptors, so it can go on with the connection that its
        //       parent accepted.
        // HINT: Read fork(2). It returns 0 in the child, and the child's number in the parent (UNP
        //       4.7).
        // HINT: The child must never come back to this loop: `live` does not return.
        // HINT: pid_t child = fork(); if (child == 0) live(listener, connection, parent);
        // STUB: (void)live, (void)parent;
        // STUB: talk(connection);
        // END

        // GAP 3: Close the parent's copy of the connection. The child goes on with its own copy.
        // CHECKS: half_close
        close(connection);
        // HINT: A descriptor is a reference to a socket. The kernel ends the connection when the
        //       last reference is gone.
        // HINT: Read close(2), and UNP 4.8: figures 4.14 to 4.17 count the references before and
        //       after fork.
        // HINT: close(connection);
        // END
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm}, child = {.sa_handler = on_sigchld};
    sigaction(SIGTERM, &terminate, NULL);
    // GAP 4: Let the kernel call `on_sigchld` when a child has ended. Interrupted calls must
    //        restart: accept must not fail.
    // CHECKS: reaped
    child.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &child, NULL);
    // HINT: The kernel keeps the number and the status of a child that has ended, until its parent
    //       waits for it: a zombie.
    // HINT: Read sigaction(2), SA_RESTART, and UNP 5.8 to 5.10. The line above has the call for
    //       SIGTERM.
    // HINT: child.sa_flags = SA_RESTART; sigaction(SIGCHLD, &child, NULL);
    // STUB: (void)child;
    // END
    serve(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
