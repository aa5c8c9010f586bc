/* Waits for a time, a signal, another process; stops; a supervisor. */
#pragma once
#include "waits.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/random.h>

static void block_nanosleep(void) { arm(); nanosleep(&soon, NULL); }
static void block_clock(void) { arm(); clock_nanosleep(CLOCK_MONOTONIC, 0, &soon, NULL); }

static void block_pause(void) { arm(); pause(); }
static void block_sigsuspend(void) { sigset_t none; sigemptyset(&none); arm(); sigsuspend(&none); }
static void hold_usr1(sigset_t *set) { sigemptyset(set); sigaddset(set, SIGUSR1); sigprocmask(SIG_BLOCK, set, NULL); }
static void block_sigwait(void) { sigset_t set; hold_usr1(&set); arm(); sigwaitinfo(&set, NULL); }
static void block_sigwait_limit(void) { sigset_t set; hold_usr1(&set); arm(); sigtimedwait(&set, NULL, &soon); }
static void block_read_interrupted(void) { arm(); read(p[0], big, 1); }

/* The child's child ends, stops, or lives until the parent writes. */
static pid_t grandchild(void (*life)(void)) {
  pid_t pid = fork();
  if (!pid) {
    char c;
    read(p[0], &c, 1);
    if (life) life();
    _exit(0);
  }
  return pid;
}
static int prepare_child(void) { return pipe(p); }
static void stops(void) { raise(SIGSTOP); }
static void ends_now(pid_t child) { (void)child; write_x(p[1]); }
static void block_wait(void) { pid_t pid = grandchild(0); arm(); waitpid(pid, NULL, 0); }
static void block_waitid(void) { siginfo_t i; pid_t pid = grandchild(0); arm(); waitid(P_PID, pid, &i, WEXITED); }
static void block_wait_stop(void) { int status; pid_t pid = grandchild(stops); arm(); waitpid(pid, &status, WUNTRACED); kill(pid, SIGKILL); }
static void block_pidfd(void) {
  struct pollfd set = {syscall(SYS_pidfd_open, grandchild(0), 0), POLLIN, 0};
  arm();
  poll(&set, 1, -1);
}
static void block_vfork(void) {
  arm();
  pid_t pid = vfork();
  if (!pid) {
    struct pollfd set = {p[0], POLLIN, 0};
    poll(&set, 1, -1);
    _exit(0);
  }
}

static void block_stop(void) { arm(); raise(SIGSTOP); }
static void wake_stop(pid_t child) { kill(child, SIGCONT); }
static void block_traced(void) { ptrace(PTRACE_TRACEME, 0, 0, 0); arm(); raise(SIGUSR2); }
static void wake_traced(pid_t child) { waitpid(child, NULL, WUNTRACED); ptrace(PTRACE_CONT, child, 0, 0); }
static void block_tracer(void) {  /* the tracer waits for its tracee */
  pid_t pid = fork();
  int status;
  if (!pid) {
    char c;
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    read(p[0], &c, 1);
    raise(SIGUSR2);
    _exit(0);
  }
  arm();
  waitpid(pid, &status, 0);
  ptrace(PTRACE_CONT, pid, 0, 0);
  waitpid(pid, &status, 0);
}

/* getppid is answered by a supervisor: the parent, which gets the filter's descriptor by a socket. */
static int prepare_supervisor(void) { return socketpair(AF_UNIX, SOCK_DGRAM, 0, p); }
static void pass(int through, int what) {
  char space[CMSG_SPACE(sizeof(int))] = {}, c = 'x';
  struct iovec piece = {&c, 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  *rights = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(rights), &what, sizeof(int));
  check(sendmsg(through, &message, 0) == 1, "sendmsg");
}
static int passed(int through) {
  char space[CMSG_SPACE(sizeof(int))], c;
  struct iovec piece = {&c, 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
  int what;
  check(recvmsg(through, &message, 0) == 1, "recvmsg");
  memcpy(&what, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
  return what;
}
static void block_supervised(void) {
  struct sock_filter steps[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof(steps) / sizeof(*steps), .filter = steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int notifies = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  check(notifies >= 0, "seccomp");
  pass(p[1], notifies);
  arm();
  check(syscall(SYS_getppid) == 4711, "getppid");
}
static void wake_supervised(pid_t child) {
  (void)child;
  int notifies = passed(p[0]);
  struct seccomp_notif question = {};
  check(!ioctl(notifies, SECCOMP_IOCTL_NOTIF_RECV, &question), "SECCOMP_IOCTL_NOTIF_RECV");
  struct seccomp_notif_resp answer = {.id = question.id, .val = 4711};
  check(!ioctl(notifies, SECCOMP_IOCTL_NOTIF_SEND, &answer), "SECCOMP_IOCTL_NOTIF_SEND");
}

static const struct wait TASKS[] = {
  {"nanosleep", 0, block_nanosleep, 0},
  {"clock_nanosleep", 0, block_clock, 0},
  {"pause", 0, block_pause, interrupt},
  {"sigsuspend", 0, block_sigsuspend, interrupt},
  {"sigwait", 0, block_sigwait, interrupt},
  {"sigwait limit", 0, block_sigwait_limit, 0},
  {"read interrupted", prepare_child, block_read_interrupted, interrupt},
  {"wait", prepare_child, block_wait, ends_now},
  {"waitid", prepare_child, block_waitid, ends_now},
  {"wait for a stop", prepare_child, block_wait_stop, ends_now},
  {"pidfd", prepare_child, block_pidfd, ends_now},
  {"vfork", prepare_child, block_vfork, ends_now},
  {"stop", 0, block_stop, wake_stop},
  {"ptrace stop", 0, block_traced, wake_traced},
  {"tracer", prepare_child, block_tracer, ends_now},
  {"seccomp", prepare_supervisor, block_supervised, wake_supervised},
};
