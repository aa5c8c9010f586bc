/* Polling and wait queues: how many descriptors a call polls, and how many entries it makes in wait queues.
 *
 * Needs the maps and helpers of instrument.c, latest_ready (data.c) and is_multiplexer (kernel.h). Offers nothing to others.
 * Attached: functions only, as no tracepoint shows them. Each event is counted once, at the outermost function: sock_poll, but
 * not tcp_poll, which sock_poll calls; add_wait_queue, which __pollwait (select, poll) and ep_ptable_queue_proc (epoll) call.
 */

/* select, poll and epoll_wait copy descriptors in before they poll, and copy answers out afterwards: this bounds the copies. */
static inline void polls(struct thread *t) {
  if (t->where == IN_CALL && is_multiplexer(t->nr))
    fold_polled(t, is_epoll_wait(t->nr), bpf_ktime_get_ns());
}

/* file->f_op->poll(file, wait): sock_poll and others */
static inline int poll_method(u64 file, u64 unused) {
  struct thread *t = current_thread(HIT_POLLED);
  if (!t)
    return 0;
  t->polled++;
  polls(t);
  return 0;
}
AT_ENTRY(sock_poll, poll_method, 0, 0)
AT_ENTRY(pipe_poll, poll_method, 0, 0)
AT_ENTRY(eventfd_poll, poll_method, 0, 0)

struct watcher { u64 queue; u32 thread; u32 unused; };
BPF_HASH(watchers, u64, struct watcher, MAX_WATCHERS);  /* epoll's entries in the wait queues of registered descriptors */

/* add_wait_queue(queue, entry) */
static inline int entry_added(u64 queue, u64 entry) {
  struct thread *t = current_thread(HIT_QUEUED);
  if (!t)
    return 0;
  t->queued++;
  if (t->where == IN_CALL && t->nr == NR_EPOLL_CTL) {
    struct watcher fresh = {.queue = queue, .thread = t->serial};
    if (watchers.update(&entry, &fresh))
      count(LOSS_WATCHERS_FULL);
  }
  return 0;
}
AT_ENTRY(add_wait_queue, entry_added, 0, 1)
AT_ENTRY(add_wait_queue_exclusive, entry_added, 0, 1)

/* remove_wait_queue(queue, entry): the caller may be a task that is not followed, or no longer followed. */
static inline int entry_removed(u64 queue, u64 entry) {
  watchers.delete(&entry);
  struct thread *t = current_thread(HIT_QUEUED);
  if (!t)
    return 0;
  t->unqueued++;
  polls(t);
  return 0;
}
AT_ENTRY(remove_wait_queue, entry_removed, 0, 1)

/* ep_poll_callback(entry, mode, sync, key): runs in the task that made the descriptor ready, and puts the descriptor on the ready
 * list of epoll. */
static inline int listed_as_ready(u64 entry, u64 key) {
  u64 now = bpf_ktime_get_ns();
  int zero = 0;
  struct watcher *watcher = watchers.lookup(&entry);
  u32 *stop = stopped.lookup(&zero);
  if (!watcher || !stop || *stop)
    return 0;
  hit(HIT_READY_LIST);
  struct ready *cause = key & 1 /* EPOLLIN */ ? latest_ready.lookup(&zero) : 0;
  REPORT(ready_list_record, r);
  r->kind = KIND_READY_LIST;
  r->thread = watcher->thread;
  r->ready = cause && watcher->queue == peek(cause->socket, OFF_SOCK_WQ) + OFF_WQ_WAIT ? cause->at : 0;
  r->at = now;
  submit(r);
  if (cause)
    cause->socket = 0;  /* each arrival is the cause of one event */
  return 0;
}
AT_ENTRY(ep_poll_callback, listed_as_ready, 0, 3)
