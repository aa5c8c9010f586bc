/* Polling and wait queues: how often a descriptor was asked whether it is ready, and in whose queue somebody was entered.
 *
 * Functions only: no tracepoint tells of them. Each is counted once, at the outermost level: sock_poll, and not the tcp_poll
 * that it calls; add_wait_queue, which __pollwait (select, poll) and epoll's ep_ptable_queue_proc call alike.
 */

/* select, poll and epoll_wait hand descriptors in and answers out before and after they ask: that bounds what they copy. */
static inline void asked(struct thread *t) {
  if (t->where == IN_CALL && is_multiplexer(t->nr))
    fold_asked(t, is_epoll_wait(t->nr), bpf_ktime_get_ns());
}

/* sock_poll(file, socket, wait) and its like: file->f_op->poll */
static inline int poll_method(u64 file, u64 unused) {
  struct thread *t = current_thread(HIT_POLLED);
  if (!t)
    return 0;
  t->polled++;
  asked(t);
  return 0;
}
AT_ENTRY(sock_poll, poll_method, 0, 0)
AT_ENTRY(pipe_poll, poll_method, 0, 0)
AT_ENTRY(eventfd_poll, poll_method, 0, 0)

struct watcher { u64 queue; u32 thread; u32 unused; };
BPF_HASH(watchers, u64, struct watcher, MAX_WATCHERS);  /* epoll's entries in the queues of what it watches */

/* add_wait_queue(queue, entry) */
static inline int entered(u64 queue, u64 entry) {
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
AT_ENTRY(add_wait_queue, entered, 0, 1)
AT_ENTRY(add_wait_queue_exclusive, entered, 0, 1)

/* remove_wait_queue(queue, entry): also by somebody who isn't followed, or no longer */
static inline int left(u64 queue, u64 entry) {
  watchers.delete(&entry);
  struct thread *t = current_thread(HIT_QUEUED);
  if (!t)
    return 0;
  t->unqueued++;
  asked(t);
  return 0;
}
AT_ENTRY(remove_wait_queue, left, 0, 1)

/* ep_poll_callback(entry, mode, sync, key): runs in whoever made the descriptor ready; it puts it on epoll's ready list. */
static inline int called_back(u64 entry, u64 key) {
  u64 now = bpf_ktime_get_ns();
  int zero = 0;
  struct watcher *who = watchers.lookup(&entry);
  u32 *stop = stopped.lookup(&zero);
  if (!who || !stop || *stop)
    return 0;
  hit(HIT_READY_LIST);
  struct ready *cause = key & 1 /* EPOLLIN */ ? latest_ready.lookup(&zero) : 0;
  REPORT(ready_list_record, r);
  r->kind = KIND_READY_LIST;
  r->thread = who->thread;
  r->ready = cause && who->queue == peek(cause->socket, OFF_SOCK_WQ) + OFF_WQ_WAIT ? cause->at : 0;
  r->at = now;
  submit(r);
  if (cause)
    cause->socket = 0;  /* told once */
  return 0;
}
AT_ENTRY(ep_poll_callback, called_back, 0, 3)
