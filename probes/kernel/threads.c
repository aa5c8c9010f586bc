/* Threads: born, renamed, gone. */

/* A task's id in its own pid namespace, the one the program itself sees: task->thread_pid->numbers[level].nr */
static inline u32 namespace_id(u64 task) {
  u64 pid = peek(task, OFF_TASK_THREAD_PID);
  u32 level = peek32(pid, OFF_PID_LEVEL);
  return peek32(pid, OFF_PID_NUMBERS + (level & 31) * SIZE_UPID + OFF_UPID_NR);
}

static inline struct thread *follow(u64 task, u32 parent, int off, int worker, u64 now) {
  u32 tid = peek32(task, OFF_TASK_PID), zero = 0;
  u32 *serial = serials.lookup(&zero);
  struct thread *blank = fresh_thread.lookup(&zero);
  if (!serial || !blank)
    return 0;
  if (*serial >= 1U << 22)
    count(LOSS_SERIALS_FULL);
  u32 number = ++*serial << 10 | (bpf_get_smp_processor_id() & 1023);  /* atomic add with a result needs 5.12 */
  if (threads.update(&tid, blank)) {
    count(LOSS_THREADS_FULL);
    return 0;
  }
  struct thread *fresh = threads.lookup(&tid);  /* nobody else knows it yet: it has not run, or is the current one */
  if (!fresh)
    return 0;
  fresh->serial = number;
  fresh->where = IN_BIRTH;
  fresh->enter = now;
  fresh->off = off;
  fresh->off_at = now;
  REPORT(thread_record, r);
  r->kind = KIND_THREAD;
  r->thread = number;
  r->tid = tid;
  r->ns_tid = namespace_id(task);
  r->ns_tgid = namespace_id(peek(task, OFF_TASK_GROUP_LEADER));
  r->parent = parent;
  r->start = now;
  r->worker = worker;
  bpf_probe_read_kernel(r->comm, sizeof(r->comm), (void *)(task + OFF_TASK_COMM));
  submit(r);
  return fresh;
}

/* sched_process_fork(parent, child): runs in the parent, before the child first gets a CPU. */
int on_fork(struct raw *ctx) {
  struct thread *parent = current_thread(HIT_FORK);
  if (parent && !follow(ctx->args[1], parent->serial, NEWBORN, 0, bpf_ktime_get_ns()))
    parent->unfollowed = peek32(ctx->args[1], OFF_TASK_PID);
  return 0;
}

/* sched_wakeup_new(task): runs in the creator, after sched_process_fork. A task that did not come by there is one of the
 * kernel's own workers for this process, made by create_io_thread: io_uring's iou-wrk and iou-sqp. It makes no system call. */
int on_start(struct raw *ctx) {
  u32 tid = peek32(ctx->args[0], OFF_TASK_PID);
  struct thread *creator = current_thread(HIT_START);
  if (creator && creator->unfollowed != tid && !threads.lookup(&tid))
    follow(ctx->args[0], creator->serial, NEWBORN, 1, bpf_ktime_get_ns());
  return 0;
}

/* task_rename(task, comm): a worker of the kernel gets its name only when it runs. */
int on_name(struct raw *ctx) {
  struct thread *t = thread_of(peek32(ctx->args[0], OFF_TASK_PID), HIT_NAME);
  if (!t)
    return 0;
  REPORT(name_record, r);
  r->kind = KIND_NAME;
  r->thread = t->serial;
  r->at = bpf_ktime_get_ns();
  bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), (void *)ctx->args[1]);
  submit(r);
  return 0;
}

/* sched_process_exec(task, old_pid, binprm): a thread that is not the leader takes over the leader's id when it execs. */
int on_exec(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid(), old = (u32)ctx->args[1];
  struct thread *t = thread_of(old, HIT_EXEC);
  if (!t)
    return 0;
  if (old != tid) {
    threads.update(&tid, t);
    threads.delete(&old);
    t = threads.lookup(&tid);
    if (!t)
      return 0;
  }
  REPORT(exec_record, r);
  r->kind = KIND_EXEC;
  r->thread = t->serial;
  r->at = bpf_ktime_get_ns();
  r->ns_tid = namespace_id(ctx->args[0]);
  r->ns_tgid = namespace_id(peek(ctx->args[0], OFF_TASK_GROUP_LEADER));
  bpf_get_current_comm(r->comm, sizeof(r->comm));
  submit(r);
  return 0;
}
