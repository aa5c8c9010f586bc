"""Hostile and broken submissions for a class (machines/course.py): programs for /usr/bin/python3, by what they do.

Each gets its port as the first argument. None of them serves its clients well.
"""

from __future__ import annotations

_HEAD = """import os, signal, socket, sys, threading, time
def listener():
    return socket.create_server(("127.0.0.1", int(sys.argv[1])))
def serve(listening):
    while True:
        connection, _ = listening.accept()
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()
"""

_BODIES = {
    "never_listens": "time.sleep(600)\n",
    "listens_elsewhere": "socket.create_server(('127.0.0.9', 4321))\ntime.sleep(600)\n",
    "ends_at_once": "sys.exit('a module is missing')\n",
    "crashes": "listening = listener()\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "never_answers": "listening = listener()\ntime.sleep(600)\n",
    "answers_without_end": """
listening = listener()
while True:
    connection, _ = listening.accept()
    try:
        while True:
            connection.sendall(bytes(65536))
    except OSError:
        pass
""",
    "forks_without_end": """
listening = listener()
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
""",
    "starts_threads_without_end": """
listening = listener()
while True:
    try:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    except RuntimeError:
        time.sleep(0.01)
""",
    "ignores_sigterm": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve(listener())\n",
    "becomes_a_daemon": """
listening = listener()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        serve(listening)
    os._exit(0)
serve(listening)
""",
    "kills_all": """
listening = listener()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for target in (0, -1, os.getppid(), 1):
    try:
        os.kill(target, signal.SIGTERM)
    except OSError:
        pass
serve(listening)
""",
    "prints_without_end": """
threading.Thread(target=serve, args=(listener(),), daemon=True).start()
while True:
    sys.stdout.buffer.write(b"\\x1b[2J\\x07\\xff" * 4096)
""",
    "fills_the_disk": """
listening = listener()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for number in range(100):
    try:
        with open(f"/tmp/full-{number}", "wb") as file:
            for _ in range(60):
                file.write(bytes(1 << 20))
    except OSError:
        break
serve(listening)
""",
    "takes_memory": """
listening = listener()
kept = []
try:
    while True:
        kept.append(b"x" * (16 << 20))
except MemoryError:
    pass
serve(listening)
""",
    "opens_files_without_end": """
listening = listener()
kept = []
try:
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
serve(listening)
""",
    "polls_in_a_loop": """
listening = listener()
listening.setblocking(False)
while True:
    try:
        listening.accept()
    except BlockingIOError:
        pass
""",
    "traces_and_mounts": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace(16, os.getppid(), 0, 0)
libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
libc.prctl(0x696F6C61, 1, 2, 3, 4)
serve(listener())
""",
    "reads_the_others": """
for place in ("..", "/srv", "/root", "/proc/1/root", "/etc/shadow"):
    try:
        print(place, os.listdir(place) if os.path.isdir(place) else open(place).read())
    except OSError as error:
        print(place, error.strerror)
serve(listener())
""",
}

PROGRAMS = {name: _HEAD + body for name, body in _BODIES.items()}
"""The programs by their names."""
