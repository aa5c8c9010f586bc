/* outcomes COOKIE: calls that end short, with a time-out, interrupted by a signal, restarted, with nothing, refused. Prints what
 * the program itself saw of them, as JSON. */
#include "asleep.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile int ticks;
static char big[1 << 20];

static void on_tick(int number) { (void)number; ticks++; }

static void tick_every(int ms) {
  struct itimerval t = {{0, ms * 1000}, {0, ms * 1000}};
  setitimer(ITIMER_REAL, &t, NULL);
}

static void handle(int flags) {
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = flags};
  sigaction(SIGALRM, &action, NULL);
  ticks = 0;
}

/* Five reads that a signal interrupts, then reads that the kernel restarts until a child writes. */
static int interrupted, restarted;
static void signals(void) {
  int p[2];
  char c;
  if (pipe(p)) exit(1);
  handle(0);
  tick_every(5);
  while (interrupted < 5)
    if (read(p[0], &c, 1) < 0 && errno == EINTR) interrupted++;
  tick_every(0);
  handle(SA_RESTART);
  pid_t parent = getpid(), child = fork();
  if (!child) {
    for (int i = 0; i < 7; i++) {
      until_asleep(parent, parent);
      kill(parent, SIGALRM);
    }
    until_asleep(parent, parent);
    _exit(write(p[1], "x", 1) != 1);
  }
  if (read(p[0], &c, 1) != 1) exit(1);
  restarted = ticks;
  signal(SIGALRM, SIG_IGN);
  waitpid(child, NULL, 0);
}

/* A child stops and goes on: the kernel restarts its read without any handler. */
static void stopped(void) {
  int p[2];
  char c;
  int status;
  if (pipe(p)) exit(1);
  pid_t child = fork();
  if (!child) _exit(read(p[0], &c, 1) != 1);
  until_asleep(child, child);
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  kill(child, SIGCONT);
  until_asleep(child, child);
  if (write(p[1], "x", 1) != 1) exit(1);
  waitpid(child, NULL, 0);
}

static int partly, wrote, refused_by_buffer;
static void short_writes(void) {
  int s[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, s)) exit(1);
  fcntl(s[0], F_SETFL, O_NONBLOCK);
  for (int i = 0; i < 4; i++) {
    ssize_t n = send(s[0], big, sizeof(big), 0);
    if (n < 0) refused_by_buffer++;
    else if (n < (ssize_t)sizeof(big)) partly++, wrote += n;
  }
  close(s[0]);
  while (recv(s[1], big, sizeof(big), 0) > 0) {}
  close(s[1]);
}

static void time_outs(void) {
  int s[2], e = epoll_create1(0);
  struct epoll_event event;
  struct timeval limit = {0, 5000};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, s)) exit(1);
  setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  for (int i = 0; i < 3; i++)
    if (recv(s[0], big, 1, 0) != -1 || errno != EAGAIN) exit(1);
  for (int i = 0; i < 2; i++) epoll_wait(e, &event, 1, 5);
  for (int i = 0; i < 6; i++) epoll_wait(e, &event, 1, 0);
}

static void refused(void) {
  struct sock_filter steps[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof(steps) / sizeof(*steps), .filter = steps};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) exit(1);
  for (int i = 0; i < 4; i++) syscall(SYS_getppid);
  for (int i = 0; i < 2; i++) syscall(SYS_getuid);
}

int main(int argc, char **argv) {
  follow_me(argv[argc - 1]);
  signals();
  stopped();
  short_writes();
  time_outs();
  refused();
  printf("{\"interrupted\": %d, \"restarted\": %d, \"short\": %d, \"short_moved\": %d, \"eagain\": %d}\n",
         interrupted, restarted, partly, wrote, refused_by_buffer);
  return 0;
}
