/* Data: it arrives in a socket, and it is copied to user space.
 *
 * Needs the maps and helpers of instrument.c, switch_in_missed (sched.c), the sockets (sockets.c, queues.c), copy_end_missed and HANDLED_COPIED (calls.c). Offers
 * latest_ready to poll.c. Attached: on_ready or on_segment, on_state, on_copy, on_copied, on_received, their stand-ins, and
 * functions. */

/* ---- arrivals at TCP sockets ---- */

static inline void arrivals_held_add(s64 number) {
  int zero = 0;
  u64 *held = arrivals_held.lookup(&zero);
  if (held)
    __sync_fetch_and_add(held, number);
}

static inline void forget_arrival(u64 socket) {
  if (!arrivals.delete(&socket))
    arrivals_held_add(-1);
}

/* Only a read shows whether a socket belongs to a followed process, so the table has an entry for each socket of the machine that
 * got data. `first` is 0 where all data was read. The entry stays until the socket is closed, because making and deleting an entry
 * takes longer than everything else here.
 *
 * The kernel evicts the entry that was used least recently, without a report, and may begin before the table is full
 * (kernel/bpf/bpf_lru_list.c: free entries wait on lists of each CPU). An evicted entry's first arrival is lost, and the next
 * arrival at that socket looks like the first. So an entry that is made in a table that is three quarters full is marked, and
 * its reader counts it as LOSS_ARRIVAL. */
static inline int arrived(u64 socket, u64 now) {
  int zero = 0;
  struct arrival *seen = arrivals.lookup(&socket);
  if (seen) {
    seen->latest = now;
    if (seen->first) {
      __sync_fetch_and_add(&seen->count, 1);
    } else {
      seen->first = now;
      seen->count = 1;
    }
    return 0;
  }
  u64 *held = arrivals_held.lookup(&zero);
  struct arrival fresh = {.first = now, .latest = now, .count = 1, .crowded = !held || *held >= MAX_ARRIVALS / 4 * 3};
  if (!arrivals.update(&socket, &fresh))
    arrivals_held_add(1);
  return 0;
}

/* ---- arrivals of datagrams ---- */

/* Each datagram is a message, so the table keeps the arrival of each, up to WAITING of them. `came` and `taken` count datagrams;
 * at[] has the times of those between. Two CPUs may use one place at the same time: one datagram then has no time (0). The
 * kernel's own number of waiting datagrams corrects the counts. A place is written before its arrival is counted, and set to 0
 * when it is taken, so no place holds an old time.
 *
 * The socket is new to the table if its address was another socket's, if it had datagrams before the recording, or if its entry
 * was evicted. Datagrams that wait already then have no time (0), and their reader counts them as LOSS_ARRIVAL. */
static inline int datagram_arrived(u64 socket, u64 now) {
  int zero = 0;
  struct datagrams *seen = datagrams.lookup(&socket);
  u64 inode = socket_inode(socket);  /* the kernel uses addresses again */
  if (!seen || seen->inode != inode) {
    struct datagrams *blank = fresh_datagrams.lookup(&zero);
    if (!blank)
      return 0;
    datagrams.update(&socket, blank);
    seen = datagrams.lookup(&socket);
    if (!seen)
      return 0;
    seen->inode = inode;
    u64 *made = datagram_entries.lookup(&zero);
    if (made)
      __sync_fetch_and_add(made, 1);
    u32 queued = waiting(socket);
    if (queued > 1)
      seen->came = queued - 1;
  }
  if ((s64)(seen->came - seen->taken) > 1 && waiting(socket) == 1)  /* a reader may be about to report one datagram */
    seen->taken = seen->came;
  u64 ahead = seen->came - seen->taken;
  if (ahead < WAITING)  /* otherwise the datagram has no time: its reader counts it (LOSS_ARRIVAL) */
    seen->at[seen->came & (WAITING - 1)] = now;
  __sync_fetch_and_add(&seen->came, 1);
  return 0;
}

/* A datagram was taken from a socket without an entry. A polling reader was faster than the report of the first arrival, which
 * is counted here as taken; or the table is so full that the entry may have been evicted, and the time is unknown (0). */
static inline u64 datagram_without_entry(u64 socket, u64 now) {
  int zero = 0;
  u64 *made = datagram_entries.lookup(&zero);
  struct datagrams *blank = fresh_datagrams.lookup(&zero);
  if (!made || !blank || waiting(socket))
    return 0;
  u64 before = *made;
  datagrams.update(&socket, blank);
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen)
    return 0;
  seen->inode = socket_inode(socket);
  seen->taken = 1;
  __sync_fetch_and_add(made, 1);
  return before < MAX_DATAGRAM_SOCKETS / 4 * 3 ? now : 0;
}

/* When the datagram that was just taken had arrived; 0: unknown. A reader may take a datagram before its arrival is reported: the
 * datagram has just arrived then. */
static inline u64 datagram_taken(u64 socket, u64 now) {
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen)
    return datagram_without_entry(socket, now);
  u32 at = seen->taken & (WAITING - 1);
  u64 arrival = seen->taken < seen->came ? seen->at[at] : now;
  seen->at[at] = 0;
  __sync_fetch_and_add(&seen->taken, 1);
  if (seen->taken < seen->came && !waiting(socket))
    seen->taken = seen->came;
  return arrival;
}

/* The data is in the receive queue. The wake-ups follow on this CPU. */
static inline int became_ready(u64 socket, u64 unused) {
  u64 now = bpf_ktime_get_ns();
  int zero = 0;
  u32 protocol = peek16(socket, OFF_SOCK_PROTOCOL);
  struct settings *set = settings.lookup(&zero);
  struct ready *latest = set && set->callbacks ? latest_ready.lookup(&zero) : 0;
  if (latest) {
    latest->socket = socket;
    latest->at = now;
  }
  if (protocol == IPPROTO_TCP)
    return arrived(socket, now);
  if (protocol == IPPROTO_UDP)
    return datagram_arrived(socket, now);
  return queue_arrived(socket, protocol, now);
}

/* sk_data_ready(sk), or, on kernels without that tracepoint, the function that contains it */
int on_ready(struct raw *ctx) {
  return became_ready(ctx->args[0], 0);
}
AT_ENTRY(sock_def_readable, became_ready, 0, 0)

/* tcp_probe(sk, skb), on kernels without sk_data_ready: the segment enters TCP, a moment earlier. A bare ACK takes no sequence
 * space (TCP_SKB_CB(skb)->end_seq == seq). */
int on_segment(struct raw *ctx) {
  u64 cb = peek(ctx->args[1], OFF_SKB_CB);
  if ((u32)(cb >> 32) == (u32)cb)
    return 0;
  return arrived(ctx->args[0], bpf_ktime_get_ns());
}

/* inet_sock_set_state(sk, old, new). A socket that becomes established starts without arrivals: its address may have been another
 * connection's. A socket that is closed, and that no process has any more (SOCK_DEAD), has no reader. */
int on_state(struct raw *ctx) {
  u64 socket = ctx->args[0];
  u32 state = ctx->args[2];
  socket_changed(socket, (u32)ctx->args[1], state);
  if (state == 7 /* TCP_CLOSE */ && peek(socket, OFF_SOCK_FLAGS) & 1 /* SOCK_DEAD */)
    forget_arrival(socket);
  if (state != 1 /* TCP_ESTABLISHED */)
    return 0;
  forget_arrival(socket);
  u32 first = 1, *generation = generations.lookup(&socket);
  if (generation)
    (*generation)++;
  else if (generations.update(&socket, &first))
    count(LOSS_GENERATIONS_FULL);
  return 0;
}

/* ---- copies ---- */

/* The copy of one buffer begins. After each buffer of TCP, on_copied runs; no event follows the copy from other sockets. */
static inline void buffer_begins(struct thread *t, u32 bytes, u64 now) {
  t->taking_at = now;
  t->taken = bytes;
}

/* skb_copy_datagram_iovec(skb, len): the copy of one buffer to user space begins. No tracepoint shows the end. */
int on_copy(struct raw *ctx) {
  struct thread *t = current_thread(HIT_COPY);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  switch_in_missed(t, now);  /* first: an absence from the CPU belongs to no copy */
  fold_copy_start(t, now);
  t->linear = 0;
  buffer_begins(t, ctx->args[1], now);
  return 0;
}

/* The copy has ended before this event. If the probe at the end of the copy was attached and has not run, the figure is an upper
 * bound. */
static inline void copy_ended_before(struct thread *t, u64 now) {
  switch_in_missed(t, now);
  copy_end_missed(t);
  fold_copy_end(t, now);
}

/* skb_copy_datagram_iter(skb, offset, iter, len): the function around that tracepoint, which has both ends of the copy. */
static inline int copy_begins(u64 skb, u64 length) {
  struct thread *t = current_thread(HIT_COPY);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  switch_in_missed(t, now);
  if (t->bracketed) {
    copy_end_missed(t);
    fold_copy_end(t, now);
  }
  fold_copy_restart(t, now);
  t->bracketed = 1;
  t->linear = 0;
  buffer_begins(t, length, now);
  return 0;
}
AT_ENTRY(skb_copy_datagram_iter, copy_begins, 0, 3)

/* The tracepoint inside the function stands in for its entry where the kernel may skip a program (calls.c). */
int on_copy_stand_in(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  return t && !t->bracketed ? copy_begins(ctx->args[0], ctx->args[1]) : 0;
}

static inline int copy_ends(void) {
  struct thread *t = current_thread(HIT_COPY);
  if (t && t->bracketed) {
    u64 now = bpf_ktime_get_ns();
    switch_in_missed(t, now);
    fold_copy_end(t, now);
    t->bracketed = 0;
  }
  return 0;
}
AT_EXIT(skb_copy_datagram_iter, copy_ends)

/* A copy outside a reading call: one system call may read from several sockets (io_uring), and a worker of the kernel makes no
 * system call. */
static inline int report_socket_copy(struct thread *t, u64 now) {
  if (!t->detailed) {
    t->ready = t->latest = 0;
    t->arrivals = 0;
    t->socket = 0;
    return 0;
  }
  REPORT(socket_copy_record, r);
  r->kind = KIND_SOCKET_COPY;
  r->thread = t->serial;
  r->socket = t->socket;
  r->ready = t->ready;
  r->started = t->taking_at;
  r->copied = now;
  r->bytes = t->taken;
  r->arrivals = t->arrivals;
  r->unread = t->unread;
  r->latest = t->latest;
  spend(sizeof(*r));
  submit(r);
  t->ready = t->latest = 0;
  t->arrivals = 0;
  t->socket = 0;
  return 0;
}

/* tcp_rcv_space_adjust(sk): tcp_recvmsg calls it after each buffer that it copied, with the socket locked, so the receive queue and
 * the table of arrivals agree. */
static inline int tcp_copied(u64 socket) {
  struct thread *t = current_thread(HIT_COPIED);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  t->handled |= HANDLED_COPIED;
  copy_ended_before(t, now);
  t->unread = peek32(socket, OFF_TCP_RCV_NXT) - peek32(socket, OFF_TCP_COPIED_SEQ);
  if (t->unread && peek(socket, OFF_SOCK_FLAGS) >> 1 & 1 /* SOCK_DONE */)
    t->unread--;  /* the FIN takes a sequence number, but is no data (tcp_inq) */
  struct arrival *seen = arrivals.lookup(&socket);
  t->socket = seen && seen->connection ? seen->connection : connection(socket);
  if (!seen || !seen->named) {
    socket_used(t, socket, now);
    if (seen) {
      seen->named = 1;
      seen->connection = t->socket;
    }
  }
  if (seen && seen->first) {
    hit(HIT_READY);
    if (seen->crowded)
      count(LOSS_ARRIVAL);
    if (!t->ready || seen->first < t->ready)
      t->ready = seen->first;
    t->latest = seen->latest;
    t->arrivals += seen->count;
    seen->count = 0;  /* several reads may take the data of one arrival: it counts once */
    if (!t->unread)
      seen->first = seen->crowded = 0;
  } else if (!t->ready && t->taken) {  /* splice calls tcp_rcv_space_adjust several times, and copies nothing (tcp_read_sock) */
    count(LOSS_ARRIVAL);
  }
  t->drained = !t->unread;
  if (t->where != IN_CALL || !is_read(t->nr))
    report_socket_copy(t, now);
  t->taken = 0;
  return 0;
}

int on_copied(struct raw *ctx) {
  return tcp_copied(ctx->args[0]);
}

int on_copied_stand_in(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  if (!t)
    return 0;
  if (!(t->handled & HANDLED_COPIED))
    tcp_copied(ctx->args[0]);
  t->handled &= ~HANDLED_COPIED;
  return 0;
}

/* ---- datagrams ---- */

/* The kernel copies a datagram in one piece without skb_copy_datagram_iter. __skb_recv_udp takes the datagram from the queue and
 * skb_consume_udp gives its memory back. Between these two, the kernel checks once that the memory to copy is one object
 * (CONFIG_HARDENED_USERCOPY), and copies. */
static inline int datagram_read_begins(u64 socket, u64 unused) {
  struct thread *t = current_thread(HIT_DATAGRAM);
  if (t)
    t->datagram = t->where != IN_USER;
  return 0;
}
AT_ENTRY(__skb_recv_udp, datagram_read_begins, 0, 0)

static inline int object_checked(void) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);  /* runs at each copy of each process, so it does little */
  if (t && t->datagram && !t->bracketed) {
    u64 now = bpf_ktime_get_ns();
    fold_copy_restart(t, now);
    t->linear = 1;
    t->taking_at = now;
  }
  return 0;
}
static inline int object_to_check(u64 pointer, u64 size) {
  return object_checked();
}
AT_ENTRY(__check_object_size, object_to_check, 0, 1)
AT_EXIT(__check_object_size, object_checked)

static inline int datagram_received(u64 socket, s64 size, u64 now) {
  u64 arrival = datagram_taken(socket, now);  /* also where the reader is not followed */
  struct thread *t = current_thread(HIT_RECEIVED);
  if (!t)
    return 0;
  int started = t->copy_at || t->taken;
  copy_ended_before(t, now);
  t->datagram = 0;
  if (arrival)
    hit(HIT_READY);
  else
    count(LOSS_ARRIVAL);
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen || !seen->named) {
    socket_used(t, socket, now);
    if (seen)
      seen->named = 1;
  }
  t->socket = socket_name(socket, 0, socket_inode(socket));
  t->ready = t->latest = arrival;
  t->arrivals = 1;
  t->unread = 0;
  t->drained = 1;
  if (t->where != IN_CALL || !is_read(t->nr)) {
    if (!started)
      t->taking_at = now;  /* only the end of the copy is known */
    t->taken = size;
    report_socket_copy(t, now);
  }
  t->taken = 0;
  return 0;
}

/* sock_recv_length(sk, ret, flags): a receive on a socket of any kind is over, in any call. A datagram is always taken whole. */
int on_received(struct raw *ctx) {
  u64 socket = ctx->args[0];
  s32 size = ctx->args[1];
  if (size < 0 || ctx->args[2] & 2 /* MSG_PEEK */ || peek16(socket, OFF_SOCK_PROTOCOL) != IPPROTO_UDP)
    return 0;
  return datagram_received(socket, size, bpf_ktime_get_ns());
}

/* skb_consume_udp(sk, skb, len): the same, directly after the copy. len is negative for MSG_PEEK. */
static inline int datagram_consumed(u64 socket, u64 length) {
  u64 now = bpf_ktime_get_ns();
  s32 size = length;
  if (size < 0) {
    struct thread *t = current_thread(HIT_RECEIVED);
    if (t)
      copy_ended_before(t, now);
    return 0;
  }
  return datagram_received(socket, size, now);
}
AT_ENTRY(skb_consume_udp, datagram_consumed, 0, 2)
