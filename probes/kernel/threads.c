/* The threads that are followed: invited, born, renamed, executing another program.
 *
 * Needs the maps and helpers of instrument.c, and wants_details (sums.c). Offers follow to calls.c, where a thread asks to be followed, begin_life and
 * introduce to adopt.c. Attached: on_fork, on_start, on_name, on_exec. A thread's end is in calls.c (on_gone). */

/* A task's id in its own pid namespace, as the program itself sees it: task->thread_pid->numbers[level].nr */
static inline u32 namespace_id(u64 task) {
  u64 pid = peek(task, OFF_TASK_THREAD_PID);
  u32 level = peek32(pid, OFF_PID_LEVEL);
  return peek32(pid, OFF_PID_NUMBERS + (level & 31) * SIZE_UPID + OFF_UPID_NR);
}

/* A number that no other thread has: 22 bits count on each CPU, 10 bits are the CPU's own. (An atomic addition that returns its
 * result needs Linux 5.12.) */
static inline u32 new_serial(u32 *latest) {
  u32 cpu = bpf_get_smp_processor_id();
  if (*latest >= MAX_SERIALS || cpu > 1023)
    count(LOSS_SERIALS_FULL);
  return ++*latest << 10 | (cpu & 1023);
}

/* The first state of a thread: a serial number, an account. Returns 0 if there are no maps. */
static inline int begin_life(struct thread *fresh, int off, u64 now) {
  u32 zero = 0, *latest = serials.lookup(&zero);
  u64 *given = accounts.lookup(&zero);
  if (!latest || !given)
    return 0;
  fresh->serial = new_serial(latest);
  fresh->off = off;
  fresh->off_at = now;
  fresh->born = now;
  fresh->account = OTHERS;
  if (*given < MAX_ACCOUNTS) {
    __sync_fetch_and_add(given, 1);
    fresh->account = fresh->serial;
  }
  fresh->detailed = wants_details(fresh);
  return 1;
}

/* A new thread in the table. Returns 0 if the table is full. */
static inline struct thread *enter_table(u32 tid, int off, u64 now) {
  u32 zero = 0;
  struct thread *blank = fresh_thread.lookup(&zero);
  if (!blank)
    return 0;
  if (threads.update(&tid, blank)) {
    count(LOSS_THREADS_FULL);
    return 0;
  }
  struct thread *fresh = threads.lookup(&tid);
  return fresh && begin_life(fresh, off, now) ? fresh : 0;
}

/* Reports a thread that is new in the table; `comm` is an address in the kernel. Many threads have ended already if it has no
 * account of its own: then none of its events is reported. */
static inline int introduce(struct thread *t, u32 tid, u32 ns_tid, u32 ns_tgid, u64 comm, u64 now) {
  if (t->account == OTHERS)
    return 0;
  REPORT(thread_record, r);
  r->kind = KIND_THREAD;
  r->thread = t->serial;
  r->tid = tid;
  r->ns_tid = ns_tid;
  r->ns_tgid = ns_tgid;
  r->parent = t->parent;
  r->start = now;
  r->worker = t->worker;
  bpf_probe_read_kernel(r->comm, sizeof(r->comm), (void *)comm);
  submit(r);
  return 0;
}

/* No other program uses the entry yet: the task has not run, or is the current task. */
static inline struct thread *follow(u64 task, u32 parent, int off, int worker, u64 now) {
  u32 tid = peek32(task, OFF_TASK_PID);
  struct thread *fresh = enter_table(tid, off, now);
  if (!fresh)
    return 0;
  fresh->where = IN_BIRTH;
  fresh->enter = now;
  fresh->parent = parent;
  fresh->worker = worker;
  introduce(fresh, tid, namespace_id(task), namespace_id(peek(task, OFF_TASK_GROUP_LEADER)), task + OFF_TASK_COMM, now);
  return fresh;
}

/* sched_process_fork(parent, child): runs in the parent, before the child gets a CPU. */
int on_fork(struct raw *ctx) {
  struct thread *parent = current_thread(HIT_FORK);
  if (parent && !follow(ctx->args[1], parent->serial, NEWBORN, 0, bpf_ktime_get_ns()))
    parent->unfollowed = peek32(ctx->args[1], OFF_TASK_PID);
  return 0;
}

/* sched_wakeup_new(task): runs in the creator, after sched_process_fork. A task without a sched_process_fork is a worker that
 * create_io_thread made for this process (kernel/fork.c): iou-wrk and iou-sqp of io_uring. It makes no system call. A child that
 * on_fork found no room for comes here, too, and is not counted again. */
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
  if (!t || t->account == OTHERS)
    return 0;
  REPORT(name_record, r);
  r->kind = KIND_NAME;
  r->thread = t->serial;
  r->at = bpf_ktime_get_ns();
  bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), (void *)ctx->args[1]);
  submit(r);
  return 0;
}

/* sched_process_exec(task, old_pid, binprm): a thread that is not the leader of its process gets the leader's id when it
 * executes a program (fs/exec.c, de_thread). */
int on_exec(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid(), old = (u32)ctx->args[1];
  struct thread *t = thread_of(old, HIT_EXEC);
  if (!t)
    return 0;
  if (old != tid) {
    if (threads.update(&tid, t))
      count(LOSS_THREADS_FULL);
    threads.delete(&old);
    t = threads.lookup(&tid);
    if (!t)
      return 0;
  }
  if (t->account == OTHERS)
    return 0;
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
