/* Data: ready in a socket, and copied to user space. */

static inline int arrived(u64 socket, u64 now) {
  struct arrival *seen = arrivals.lookup(&socket);
  if (seen) {
    __sync_fetch_and_add(&seen->count, 1);
  } else {
    struct arrival fresh = {.first = now, .count = 1};
    arrivals.update(&socket, &fresh);
  }
  return 0;
}

/* How many datagrams wait in a UDP socket: those that came, and those that its reader has moved to a queue of its own. */
static inline u32 waiting(u64 socket) {
  return peek32(socket, OFF_SOCK_QUEUE_LENGTH) + peek32(socket, OFF_UDP_READER_LENGTH);
}

/* A datagram is a message of its own, so the arrival of each is remembered, for as many as WAITING: `came` and `taken` count the
 * datagrams that came and went, at[] holds the times of those between. Arrivals on several CPUs may use one place at the same
 * time: then one of them has no time, and 0 says so. What leaves the counts apart, the kernel's own count of the waiting
 * datagrams puts right. A place is written before its arrival is counted and zeroed when it is taken, so none holds an old time. */
static inline int datagram_arrived(u64 socket, u64 now) {
  int zero = 0;
  struct datagrams *seen = datagrams.lookup(&socket);
  u64 inode = socket_inode(socket);  /* addresses are used again */
  if (!seen || seen->inode != inode) {
    struct datagrams *blank = fresh_datagrams.lookup(&zero);
    if (!blank)
      return 0;
    datagrams.update(&socket, blank);
    seen = datagrams.lookup(&socket);
    if (!seen)
      return 0;
    seen->inode = inode;
  }
  if ((s64)(seen->came - seen->taken) > 1 && waiting(socket) == 1)  /* one may be on its way to its reader */
    seen->taken = seen->came;
  u64 ahead = seen->came - seen->taken;
  if (ahead < WAITING)  /* not, if more wait: their reader counts them (LOSS_ARRIVAL) */
    seen->at[seen->came & (WAITING - 1)] = now;
  __sync_fetch_and_add(&seen->came, 1);
  return 0;
}

/* When the datagram that was just taken had arrived; 0: not known. A reader that was faster than the report of the arrival
 * took it as soon as it was there. */
static inline u64 datagram_taken(u64 socket, u64 now) {
  struct datagrams *seen = datagrams.lookup(&socket);
  if (!seen)
    return 0;
  u32 at = seen->taken & (WAITING - 1);
  u64 arrival = seen->taken < seen->came ? seen->at[at] : now;
  seen->at[at] = 0;
  __sync_fetch_and_add(&seen->taken, 1);
  if (seen->taken < seen->came && !waiting(socket))
    seen->taken = seen->came;
  return arrival;
}

/* The data is in the receive queue; the wake-ups follow, on this CPU. Whose socket it is only its reader will tell, so
 * arrivals wait in a table under the socket's address, and leave it only with a read. */
static inline int became_ready(u64 socket, u64 unused) {
  struct ready now = {.socket = socket, .at = bpf_ktime_get_ns()};
  int zero = 0;
  u32 protocol = peek16(socket, OFF_SOCK_PROTOCOL);
  latest_ready.update(&zero, &now);
  if (protocol == IPPROTO_TCP)
    return arrived(socket, now.at);
  if (protocol == IPPROTO_UDP)
    return datagram_arrived(socket, now.at);
  return 0;
}

/* sk_data_ready(sk), and the function that has it, where the tracepoint isn't there */
int on_ready(struct raw *ctx) {
  return became_ready(ctx->args[0], 0);
}
AT_ENTRY(sock_def_readable, became_ready, 0, 0)

/* tcp_probe(sk, skb), where sk_data_ready isn't there: the segment enters TCP, a moment earlier. A bare ACK carries no
 * sequence space (TCP_SKB_CB(skb)->end_seq == seq). */
int on_segment(struct raw *ctx) {
  u64 cb = peek(ctx->args[1], OFF_SKB_CB);
  if ((u32)(cb >> 32) == (u32)cb)
    return 0;
  return arrived(ctx->args[0], bpf_ktime_get_ns());
}

/* inet_sock_set_state(sk, old, new): the address may have been another connection's before. */
int on_state(struct raw *ctx) {
  u64 socket = ctx->args[0];
  if ((u32)ctx->args[2] != 1 /* TCP_ESTABLISHED */)
    return 0;
  arrivals.delete(&socket);
  u32 first = 1, *generation = generations.lookup(&socket);
  if (generation)
    (*generation)++;
  else if (generations.update(&socket, &first))
    count(LOSS_GENERATIONS_FULL);
  return 0;
}

/* A name for a connection: its socket's address, whose 16 upper bits say nothing, with the number of the connections that
 * had that address before. */
static inline u64 connection(u64 socket) {
  u32 *generation = generations.lookup(&socket);
  return (socket & 0xffffffffffffULL) | (u64)(generation ? *generation & 0xffff : 0) << 48;
}

/* After each buffer that TCP copies, on_copied tells of it; what is copied from other sockets nobody tells of. */
static inline void taking(struct thread *t, u32 bytes, u64 now) {
  t->taking_at = now;
  t->taken = bytes;
}

/* skb_copy_datagram_iovec(skb, len): the copy of one buffer to user space begins. Its end is not told. */
int on_copy(struct raw *ctx) {
  struct thread *t = current_thread(HIT_COPY);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  came_back_unseen(t, now);  /* first: what it was off the CPU belongs to no copy */
  fold_copy_start(t, now);
  t->linear = 0;
  taking(t, ctx->args[1], now);
  return 0;
}

/* The end of a copy by what follows it. If its true end was to be told, and wasn't, the figure is an upper bound. */
static inline void copy_ended_before(struct thread *t, u64 now) {
  came_back_unseen(t, now);
  end_untold(t);
  fold_copy_end(t, now);
}

/* skb_copy_datagram_iter(skb, offset, iter, len): the function around that tracepoint, where both ends can be had. */
static inline int copy_begins(u64 skb, u64 length) {
  struct thread *t = current_thread(HIT_COPY);
  if (!t)
    return 0;
  u64 now = bpf_ktime_get_ns();
  came_back_unseen(t, now);
  if (t->bracketed) {
    end_untold(t);
    fold_copy_end(t, now);
  }
  fold_copy_restart(t, now);
  t->bracketed = 1;
  t->linear = 0;
  taking(t, length, now);
  return 0;
}
AT_ENTRY(skb_copy_datagram_iter, copy_begins, 0, 3)

/* The tracepoint in that function stands in for its entry where the kernel may skip a program (calls.c). */
int on_copy_stand_in(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  return t && !t->bracketed ? copy_begins(ctx->args[0], ctx->args[1]) : 0;
}

static inline int copy_ends(void) {
  u64 now = bpf_ktime_get_ns();
  struct thread *t = current_thread(HIT_COPY);
  if (t && t->bracketed) {
    came_back_unseen(t, now);
    fold_copy_end(t, now);
    t->bracketed = 0;
  }
  return 0;
}
AT_EXIT(skb_copy_datagram_iter, copy_ends)

/* One system call may take from several sockets (io_uring), and a worker of the kernel makes no system call at all. */
static inline int report_socket_copy(struct thread *t, u64 now) {
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
  submit(r);
  t->ready = 0;
  t->arrivals = 0;
  t->socket = 0;
  return 0;
}

/* tcp_rcv_space_adjust(sk): called after each buffer that tcp_recvmsg copied, with the socket locked, so the queue and the
 * table of arrivals agree. */
static inline int tcp_copied(u64 socket) {
  u64 now = bpf_ktime_get_ns();
  struct thread *t = current_thread(HIT_COPIED);
  if (!t)
    return 0;
  t->handled |= HANDLED_COPIED;
  copy_ended_before(t, now);
  t->socket = connection(socket);
  t->unread = peek32(socket, OFF_TCP_RCV_NXT) - peek32(socket, OFF_TCP_COPIED_SEQ);
  if (t->unread && peek(socket, OFF_SOCK_FLAGS) >> 1 & 1 /* SOCK_DONE */)
    t->unread--;  /* the FIN has a number, too, and is no data (tcp_inq) */
  struct arrival *seen = arrivals.lookup(&socket);
  if (seen) {
    hit(HIT_READY);
    if (!t->ready || seen->first < t->ready)
      t->ready = seen->first;
    t->arrivals += seen->count;
    seen->count = 0;  /* counted once, though the data may take several reads */
    if (!t->unread)
      arrivals.delete(&socket);
  } else if (!t->ready) {
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

/* A datagram in one piece is copied without skb_copy_datagram_iter. But between __skb_recv_udp, which takes it from the queue,
 * and skb_consume_udp, which gives its memory back, the kernel checks once that the memory to copy is one object
 * (CONFIG_HARDENED_USERCOPY), and copies. */
static inline int datagram_asked_for(u64 socket, u64 unused) {
  struct thread *t = current_thread(HIT_DATAGRAM);
  if (t)
    t->datagram = t->where != IN_USER;
  return 0;
}
AT_ENTRY(__skb_recv_udp, datagram_asked_for, 0, 0)

static inline int object_checked(void) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);  /* at every copy of every process: as short as can be */
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
  u64 arrival = datagram_taken(socket, now);  /* whoever took it */
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
  t->socket = connection(socket);
  t->ready = arrival;
  t->arrivals = 1;
  t->unread = 0;
  t->drained = 1;
  if (t->where != IN_CALL || !is_read(t->nr)) {
    if (!started)
      t->taking_at = now;  /* only the end of its copy is known */
    t->taken = size;
    report_socket_copy(t, now);
  }
  t->taken = 0;
  return 0;
}

/* sock_recv_length(sk, ret, flags): a receive on any kind of socket is over, in whatever call. A datagram was taken whole. */
int on_received(struct raw *ctx) {
  u64 socket = ctx->args[0];
  s32 size = ctx->args[1];
  if (size < 0 || ctx->args[2] & 2 /* MSG_PEEK */ || peek16(socket, OFF_SOCK_PROTOCOL) != IPPROTO_UDP)
    return 0;
  return datagram_received(socket, size, bpf_ktime_get_ns());
}

/* skb_consume_udp(sk, skb, len): the same, with the copy just over; len is negative if it was only looked at (MSG_PEEK). */
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
