// An echo server with a thread for each connection (UNP 26.4).
//
//     cc -Wall -Wextra -pthread -o threads_server threads_server.c && ./threads_server 8080
//
// Each thread blocks in recv and send for its own client only, so no client waits for another. Each
// thread costs a clone, a stack and context switches.
#define _GNU_SOURCE // accept4
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
        // GAP 4: End the service of this connection if the client has reset it. The stub ends the
        //        process, and with it the threads of all other clients.
        // CHECKS: reset
        if (sent < 0)
            return false;
        // HINT: An error on one connection concerns only its client.
        // HINT: After a reset, send fails with ECONNRESET or EPIPE (send(2)). The caller closes the
        //       connection then.
        // HINT: if (sent < 0) return false;
        // STUB: if (sent < 0)
        // STUB:     die("send");
        // END
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

// A thread: echoes its connection until the connection ends.
static void *talk(void *argument)
{
    int connection = (int)(intptr_t)argument;
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

    // GAP 3: Close the connection. All threads share the descriptors of the process, so the end of
    //        a thread closes no descriptor.
    // CHECKS: half_close
    close(connection);
    // HINT: The kernel sends a FIN when the last descriptor of the connection is closed.
    // HINT: Read close(2). UNP 26.4 says which thread must close the connection, and why.
    // HINT: close(connection);
    // END
    return NULL;
}

static void serve(int listener)
{
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) { // too many open files, or no memory
            perror("accept");
            sleep(1); // clients stay in the accept queue meanwhile
            continue;
        }
        // GAP 1: Create a thread that runs `talk` for this connection, and detach it: no thread
        //        will join it. If pthread_create fails, close the connection. The stub serves the
        //        client in this thread; the next client has to wait.
        // CHECKS: isolated, created_for_it, silent_client
        pthread_t thread;
        int error = pthread_create(&thread, NULL, talk, (void *)(intptr_t)connection);
        if (error == 0) {
            pthread_detach(thread);
        } else {
            fprintf(stderr, "pthread_create: %s\n", strerror(error));
            close(connection);
        }
        // HINT: Each thread needs its own copy of the descriptor's number: this loop changes
        //       `connection` for the next client.
        // HINT: Read pthread_create(3) and pthread_detach(3). pthread_create returns an error
        //       number, and does not set errno.
        // HINT: Pass the number itself as the argument: pthread_create(&thread, NULL, talk, (void
        //       *)(intptr_t)connection)
        // STUB: talk((void *)(intptr_t)connection);
        // END
    }
}

int main(int count, char **arguments)
{
    struct sigaction terminate = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &terminate, NULL);
    serve(listen_on(count > 1 ? arguments[1] : getenv("PORT")));
}
