/* Sockets: their addresses when they are used for the first time and when they change, and what nobody took from them.
 *
 * Needs the maps and helpers of instrument.c and kernel.h, first_argument (arguments.c). Offers socket_call_ended and
 * socket_closing to calls.c; connection, waiting, socket_used and socket_changed to data.c. Attached: on_destroy, on_process_gone.
 * The instrument runs on_socket_found and on_socket_open, by BPF_PROG_TEST_RUN.
 *
 * A call on a socket that is known costs nothing more: only calls that make or name a socket (FACT_SOCKET), and the first copy
 * from a socket (data.c), come here. */

struct known_socket { u64 inode; u32 thread; s32 fd; };
BPF_HASH(sockets, u64, struct known_socket, MAX_SOCKETS);  /* by the address of struct sock */
/* When data of sockets that are neither TCP nor UDP arrived (queues.c). A socket has no inode before accept: 0. writer: the process
 * that sent what is unread; 0: several. */
struct queue_arrival { u64 inode, first, latest; u32 count, writer; };
BPF_TABLE("lru_hash", u64, struct queue_arrival, queue_arrivals, MAX_QUEUE_SOCKETS);
BPF_ARRAY(socket_records, u64, 2);  /* how many were reported; how many of these were no TCP sockets */

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RECV, TCP_CLOSE = 7, TCP_CLOSE_WAIT, TCP_LISTEN = 10 };
enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10 };

/* A name for a connection: the address of its socket, whose 16 upper bits are the same for all, and the number of connections that
 * had this address before. */
static inline u64 connection(u64 socket) {
  u32 *generation = generations.lookup(&socket);
  return (socket & 0xffffffffffffULL) | (u64)(generation ? *generation & 0xffff : 0) << 48;
}

/* A name for a socket of any kind. A socket without connections has the number of its inode in the upper bits. */
static inline u64 socket_name(u64 sk, u32 tcp, u64 inode) {
  return tcp ? connection(sk) : (sk & 0xffffffffffffULL) | inode << 48;
}

/* How many datagrams wait in a UDP socket: in its receive queue, and in the queue that its reader moved them to. */
static inline u32 waiting(u64 socket) {
  return peek32(socket, OFF_SOCK_QUEUE_LENGTH) + peek32(socket, OFF_UDP_READER_LENGTH);
}

static inline u32 type_of(u64 sk) {
  return peek16(sk, OFF_SOCK_FAMILY) | (u32)(peek16(sk, OFF_SOCK_TYPE) & 255) << 8 | (u32)peek16(sk, OFF_SOCK_PROTOCOL) << 16;
}
static inline int is_tcp(u32 type) { return type >> 16 == IPPROTO_TCP && (type & 255) != AF_UNIX; }
static inline u32 state_of(u64 sk) { return peek16(sk, OFF_SOCK_STATE) & 255; }

/* The socket behind a descriptor of a task; 0 if the descriptor is no socket. */
static inline u64 socket_of_file(u64 file) {
  if (!file || (peek16(peek(file, OFF_FILE_INODE), OFF_INODE_MODE) & 0170000) != 0140000 /* S_IFSOCK */)
    return 0;
  return peek(peek(file, OFF_FILE_OBJECT), OFF_SOCKET_SK);
}

/* Only addresses are counted: a socket that was reported ends once. */
static inline int has_room(void) {
  int zero = 0;
  u64 *number = socket_records.lookup(&zero);
  if (!number)
    return 0;
  if (*number >= MAX_SOCKET_RECORDS) {
    count(LOSS_SOCKETS_FULL);
    return 0;
  }
  __sync_fetch_and_add(number, 1);
  return 1;
}

/* ---- addresses ---- */

/* The path of an AF_UNIX socket: its own, or that of its peer. unix_sk(sk)->addr is set once. A name in the abstract namespace
 * begins with a zero byte (man 7 unix), which becomes "@", as in ss(8). */
static inline void read_path(struct socket_record *r, u64 sk) {
  if (!HAS_UNIX || !HAS_UNIX_NAME)
    return;
  u64 address = peek(sk, OFF_UNIX_ADDRESS);
  if (!address) {
    u64 peer = peek(sk, OFF_UNIX_PEER);
    address = peer ? peek(peer, OFF_UNIX_ADDRESS) : 0;
    r->flags |= SOCKET_PEERS_PATH;
  }
  if (!address)
    return;
  u64 path = address + OFF_UNIX_NAME + 2;  /* sun_path */
  bpf_probe_read_kernel_str(r->path, 108, (void *)path);
  u32 length = peek32(address, OFF_UNIX_LENGTH) - 3;  /* without sun_family and the zero byte */
  if (r->path[0] || length > 107)
    return;
  r->path[0] = '@';
  __asm__ __volatile__("" : "+r"(length));  /* or the compiler leaves the mask out, and the verifier knows no bound */
  bpf_probe_read_kernel(r->path + 1, length & 127, (void *)(path + 1));
}

static inline void read_addresses(struct socket_record *r, u64 sk, u32 family) {
  r->local_port = peek16(sk, OFF_SOCK_LOCAL_PORT);
  r->peer_port = __builtin_bswap16(peek16(sk, OFF_SOCK_PEER_PORT));
  if (family == AF_INET) {
    r->local[0] = peek32(sk, OFF_SOCK_LOCAL4);
    r->peer[0] = peek32(sk, OFF_SOCK_PEER4);
  } else if (HAS_IPV6) {
    bpf_probe_read_kernel(r->local, sizeof(r->local), (void *)(sk + OFF_SOCK_LOCAL6));
    bpf_probe_read_kernel(r->peer, sizeof(r->peer), (void *)(sk + OFF_SOCK_PEER6));
  }
}

static inline int report_socket(u64 sk, struct known_socket *known, u32 event, u64 now) {
  u32 type = type_of(sk), family = type & 255;
  int other = 1;
  if (!has_room())
    return 0;
  if (sockets.update(&sk, known))
    count(LOSS_SOCKETS_FULL);
  u64 *others = socket_records.lookup(&other);
  if (others && !is_tcp(type))
    *others = 1;
  REPORT(socket_record, r);
  r->kind = KIND_SOCKET;
  r->thread = known->thread;
  r->at = now;
  r->socket = socket_name(sk, is_tcp(type), known->inode);
  r->inode = known->inode;
  r->fd = known->fd;
  r->event = event;
  r->type = type;
  r->state = state_of(sk);
  r->flags = r->unused = r->local_port = r->peer_port = 0;
  __builtin_memset(r->local, 0, sizeof(r->local));
  __builtin_memset(r->peer, 0, sizeof(r->peer));
  __builtin_memset(r->path, 0, sizeof(r->path));
  if (family == AF_UNIX)
    read_path(r, sk);
  else if (family == AF_INET || family == AF_INET6)
    read_addresses(r, sk, family);
  submit(r);
  return 0;
}

/* Reports a socket that has not been reported, or, with `again`, any. A socket has no inode before accept takes it, and its address
 * may have been another socket's. */
static inline void socket_seen(u64 sk, u32 thread, s32 fd, u32 event, int again, u64 now) {
  struct known_socket *known = sockets.lookup(&sk), fresh = {.inode = socket_inode(sk), .thread = thread, .fd = fd};
  if (again || !known || known->inode != fresh.inode)
    report_socket(sk, &fresh, event, now);
}

/* Data was copied from a socket: `t` reads it, or works for the thread that does. */
static inline void socket_used(struct thread *t, u64 sk, u64 now) {
  if (t->account != OTHERS)
    socket_seen(sk, t->serial, t->where == IN_CALL && is_read(t->nr) ? (s32)first_argument(t) : -1, EVENT_USED, 0, now);
}

/* A call that makes or names a socket has ended (FACT_SOCKET), and has its arguments. accept also shows its listener, which may
 * have been open before the recording. */
static inline void socket_call_ended(struct thread *t, s64 ret, u64 now) {
  u32 event = t->nr == NR_CONNECT ? EVENT_CONNECTED : t->nr == NR_BIND ? EVENT_BOUND : t->nr == NR_LISTEN ? EVENT_LISTENS : EVENT_USED;
  s32 fd = t->args[0], pair[2] = {ret, -1};
  if ((ret < 0 && ret != -115 /* EINPROGRESS */) || t->account == OTHERS)
    return;
  if (t->nr == NR_SOCKETPAIR) {
    bpf_probe_read_user(pair, sizeof(pair), (void *)t->args[3]);
    event = EVENT_PAIRED;
    fd = pair[1];
  }
  u32 more = t->nr == NR_SOCKETPAIR || IN_LIST(t->nr, ACCEPTS);
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < 2; i++) {
    u64 sk = socket_of_file(file_of(fd));
    if (sk)
      socket_seen(sk, t->serial, fd, event, event != EVENT_USED, now);
    if (!more)
      return;
    fd = pair[0];
    event = t->nr == NR_SOCKETPAIR ? EVENT_PAIRED : EVENT_ACCEPTED;
    more = 1;
  }
}

/* ---- what nobody took ---- */

#define COUNTED 16  /* buffers of a queue whose bytes are added up */

/* All bits where the buffer is not the head of its queue, else none. The compiler can't make a branch of it. */
static inline u64 is_buffer(u64 skb, u64 head) {
  u64 other = skb ^ head, sign = other | -other;
  __asm__ __volatile__("" : "+r"(sign));
  return (s64)sign >> 63;
}

struct queue_bytes { u64 bytes, more; };  /* more: all bits if there are more buffers than were counted */

/* Adds up the first buffers of the receive queue. The queue is not locked: a buffer that is just taken may be counted, or the way
 * through the queue may end early. The loop has no branch and no early exit, so the verifier goes through it once. */
static inline struct queue_bytes queue_bytes(u64 sk, u32 type) {
  u64 head = sk + OFF_SOCK_QUEUE, skb = peek(head, 0), bytes = 0;
  u32 stream = HAS_UNIX_CONSUMED && (type & 0xffff) == (AF_UNIX | 1 << 8 /* SOCK_STREAM */) ? ~0U : 0;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < COUNTED; i++) {
    u64 here = is_buffer(skb, head);
    bytes += (peek32(skb, OFF_SKB_LENGTH) - (peek32(skb, OFF_SKB_CB + OFF_UNIX_CONSUMED) & stream)) & here;
    skb = (peek(skb, 0) & here) | (head & ~here);
  }
  struct queue_bytes found = {.bytes = bytes, .more = is_buffer(skb, head)};
  return found;
}

/* The bytes of the first buffer alone. */
static inline u32 first_buffer(u64 sk, u32 type) {
  u64 head = sk + OFF_SOCK_QUEUE, skb = peek(head, 0);
  u32 taken = HAS_UNIX_CONSUMED && (type & 0xffff) == (AF_UNIX | 1 << 8) ? peek32(skb, OFF_SKB_CB + OFF_UNIX_CONSUMED) : 0;
  return skb != head ? peek32(skb, OFF_SKB_LENGTH) - taken : 0;
}

static inline void count_queue(struct socket_end_record *r, u64 sk) {
  struct queue_bytes found = queue_bytes(sk, r->type);
  r->unread = found.bytes;
  r->flags |= SOCKET_AT_LEAST & found.more;
}

static inline void count_tcp(struct socket_end_record *r, u64 sk) {
  if (r->state == TCP_LISTEN) {
    r->backlog = peek32(sk, OFF_SOCK_BACKLOG);
  } else if (r->state != TCP_SYN_SENT) {
    u32 unread = peek32(sk, OFF_TCP_RCV_NXT) - peek32(sk, OFF_TCP_COPIED_SEQ);
    if (unread && peek(sk, OFF_SOCK_FLAGS) >> 1 & 1 /* SOCK_DONE */)
      unread--;  /* the FIN takes a sequence number, but is no data (tcp_inq) */
    r->unread = unread;
  }
  struct arrival *seen = arrivals.lookup(&sk);
  if (seen && (r->unread || r->backlog)) {
    r->first = seen->first;
    r->latest = seen->latest;
  }
}

static inline void count_others(struct socket_end_record *r, u64 sk) {
  u32 family = r->type & 255, protocol = r->type >> 16;
  r->messages = protocol == IPPROTO_UDP ? waiting(sk) : peek32(sk, OFF_SOCK_QUEUE_LENGTH);
  if (family == AF_UNIX && r->state == TCP_LISTEN) {
    r->backlog = r->messages;  /* connect puts a buffer into the listener's queue (net/unix/af_unix.c) */
    r->messages = 0;
  } else if (family == AF_UNIX || protocol == IPPROTO_UDP) {
    if (r->messages)
      count_queue(r, sk);
  } else {
    r->messages = 0;
    r->flags |= SOCKET_UNKNOWN;
  }
  struct datagrams *seen = protocol == IPPROTO_UDP && r->messages ? datagrams.lookup(&sk) : 0;
  if (seen)
    r->first = seen->at[seen->taken & (WAITING - 1)];
  struct queue_arrival *queued = r->unread || r->backlog ? queue_arrivals.lookup(&sk) : 0;
  if (queued && (!queued->inode || queued->inode == r->inode)) {
    r->first = queued->first;
    r->latest = queued->latest;
  }
}

static inline int report_socket_end(u64 sk, struct known_socket *known, u32 flags, u64 now) {
  REPORT(socket_end_record, r);
  r->kind = KIND_SOCKET_END;
  r->thread = known->thread;
  r->at = now;
  r->type = type_of(sk);
  r->socket = socket_name(sk, is_tcp(r->type), known->inode);
  r->inode = known->inode;
  r->fd = known->fd;
  r->state = state_of(sk);
  r->flags = flags;
  r->unread = r->first = r->latest = 0;
  r->messages = r->backlog = 0;
  if (is_tcp(r->type))
    count_tcp(r, sk);
  else
    count_others(r, sk);
  submit(r);
  return 0;
}

static inline void socket_ends(u64 sk, struct known_socket *known) {
  int zero = 0;
  u32 *stop = stopped.lookup(&zero);
  if (stop && !*stop)
    report_socket_end(sk, known, 0, bpf_ktime_get_ns());
  sockets.delete(&sk);
  queue_arrivals.delete(&sk);  /* the kernel uses addresses again */
}

/* Is this change of state part of a close? __tcp_close forbids reading and writing first (sk_shutdown), then changes the state:
 * of a listener to TCP_CLOSE; else by new_state[] (net/ipv4/tcp.c), where a state may change to itself. Later changes, which come
 * with the segments of the peer, begin in other states. shutdown(SHUT_RDWR) makes the same changes: the socket stays open. */
static inline int is_closed_by(u64 sk, u32 old, u32 new) {
  if ((peek16(sk, OFF_SOCK_SHUTDOWN) & 3) != 3)
    return 0;
  u32 tid = (u32)bpf_get_current_pid_tgid();
  struct thread *t = threads.lookup(&tid);
  if (t && t->where == IN_CALL && t->nr == NR_SHUTDOWN && old != TCP_LISTEN)
    return 0;
  return old == new || old == TCP_ESTABLISHED || old == TCP_SYN_SENT || old == TCP_SYN_RECV || old == TCP_CLOSE_WAIT ||
         old == TCP_LISTEN;
}

/* inet_sock_set_state(sk, old, new) of any TCP socket. The kernel changes the state after this event. */
static inline void socket_changed(u64 sk, u32 old, u32 new) {
  int zero = 0;
  u32 *stop = stopped.lookup(&zero);
  struct known_socket *known = sockets.lookup(&sk);
  if (!known || !stop || *stop)
    return;
  struct known_socket copy = *known;
  if (is_closed_by(sk, old, new))
    socket_ends(sk, &copy);
  else if (new == TCP_ESTABLISHED)
    report_socket(sk, &copy, EVENT_CONNECTED, bpf_ktime_get_ns());
}

static inline void end_of(u64 sk) {
  struct known_socket *known = sockets.lookup(&sk);
  if (known) {
    struct known_socket copy = *known;
    socket_ends(sk, &copy);
  }
}

/* tcp_destroy_sock(sk): a socket that no process has any more, and that TCP has no more work with. Its close comes here without
 * another event if the connection had ended before. */
int on_destroy(struct raw *ctx) {
  end_of(ctx->args[0]);
  return 0;
}

/* Has the file one reference, that of its descriptor? */
static inline int is_last(u64 file) {
  if (HAS_FILE_REFERENCES)
    return peek(file, OFF_FILE_REFERENCES) == 0;
  return HAS_FILE_COUNT && peek(file, OFF_FILE_COUNT) == 1;
}

/* The socket of a file that is about to be closed; 0 if the file is no known socket, stays open elsewhere, or is a TCP socket: only the
 * close of a TCP socket has an event. */
static inline u64 ends_with(u64 file) {
  u64 sk = socket_of_file(file);
  struct known_socket *known = sk ? sockets.lookup(&sk) : 0;
  return known && known->inode == socket_inode(sk) && is_last(file) && !is_tcp(type_of(sk)) ? sk : 0;
}

static inline int has_others(void) {
  int other = 1;
  u64 *others = socket_records.lookup(&other);
  return others && *others;
}

/* close(fd) begins. */
static inline void socket_closing(struct thread *t) {
  u64 sk = has_others() ? ends_with(file_of((u32)first_argument(t))) : 0;
  if (sk)
    end_of(sk);
}

#define LOOKED_AT 32  /* descriptors of a process that exits */
#define OTHERS_SEEN 16 /* so many of its files that are no TCP sockets are checked; a power of two */
#define ENDING 4       /* so many of its sockets are reported at most; a power of two */
/* The numbers are not in registers, where the verifier would tell all their values apart. */
struct ending { u64 file[OTHERS_SEEN], files, sk[ENDING], number; };
BPF_PERCPU_ARRAY(ending, struct ending, 1);

/* sched_process_exit(task): the last thread of a process exits, and its descriptors are closed soon (kernel/exit.c). The sockets are
 * collected in two steps before the reports: the verifier follows all paths through a loop's body once for each turn, and takes
 * 0.05 s for 128 turns with all checks in them, and a second with the reports in them. */
int on_process_gone(struct raw *ctx) {
  u32 tid = (u32)bpf_get_current_pid_tgid();
  int zero = 0;
  u64 task = bpf_get_current_task();
  struct ending *found = ending.lookup(&zero);
  if (!found || !has_others() || !followed(tid) || peek32(peek(task, OFF_TASK_SIGNAL), OFF_SIGNAL_LIVE))
    return 0;
  u64 table = peek(peek(task, OFF_TASK_FILES), OFF_FILES_TABLE), files = peek(table, OFF_TABLE_FILES);
  u32 length = peek32(table, OFF_TABLE_LENGTH);
  __builtin_memset(found, 0, sizeof(*found));
#pragma clang loop unroll(disable)
  for (u32 fd = 0; fd < LOOKED_AT; fd++) {
    u64 file = fd < length ? peek(files + 8 * (u64)fd, 0) : 0, sk = file ? socket_of_file(file) : 0;
    if (sk && !is_tcp(type_of(sk)))
      found->file[found->files++ & (OTHERS_SEEN - 1)] = file;
  }
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < OTHERS_SEEN; i++) {
    u64 sk = found->file[i] ? ends_with(found->file[i]) : 0;
    if (sk)
      found->sk[found->number++ & (ENDING - 1)] = sk;
  }
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < ENDING; i++)
    if (found->sk[i])
      end_of(found->sk[i]);
  return 0;
}

/* on_socket_found(tid, fd, own): a socket of a process that is joined. `own` is a descriptor of the same file in the process that
 * runs this program. */
int on_socket_found(struct raw *ctx) {
  u32 tid = (u32)ctx->args[0];
  struct thread *t = threads.lookup(&tid);
  u64 sk = socket_of_file(file_of((u32)ctx->args[2]));
  if (t && sk && t->account != OTHERS)
    socket_seen(sk, t->serial, (s32)ctx->args[1], EVENT_FOUND, 1, bpf_ktime_get_ns());
  return 0;
}

/* on_socket_open(sk, end): a socket that may be open at the end of the recording. One that was freed meanwhile is left out. */
int on_socket_open(struct raw *ctx) {
  u64 sk = ctx->args[0], now = ctx->args[1];
  struct known_socket *known = sockets.lookup(&sk);
  if (known && known->inode && known->inode == socket_inode(sk)) {
    struct known_socket copy = *known;
    report_socket_end(sk, &copy, SOCKET_OPEN, now);
  }
  return 0;
}
