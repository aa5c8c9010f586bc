/* A child whose 50 calls of getppid are emulated by its tracer: none of them reaches the kernel. Then it is killed at a call. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 50 };

static void child(void) {
  ptrace(PTRACE_TRACEME, 0, 0, 0);
  raise(SIGSTOP);
  for (int i = 0; i <= CALLS; i++)
    syscall(SYS_getppid);
}

int main(void) {
  int status;
  pid_t pid = fork();
  if (!pid) {
    child();
    _exit(1);
  }
  waitpid(pid, &status, 0);
  for (int emulated = 0; emulated <= CALLS; emulated++) {
    struct user_regs_struct registers;
    ptrace(PTRACE_SYSEMU, pid, 0, 0);
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status))
      return 1;
    ptrace(PTRACE_GETREGS, pid, 0, &registers);
    registers.rax = 42;
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
  }
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return !WIFSIGNALED(status);
}
