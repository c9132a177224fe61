#!/usr/bin/env python3
"""Runs one program and writes down, as one line of JSON, what it cost beside the programs it started.

    recorder.py [--watch] FILE PROGRAM [ARGUMENT...]

Without --watch the program runs as if nobody looked; what is written is read off when it has ended:

  wall_ms      from its start until its end
  cpu_ms       what the kernel ran its first thread for (schedstat, in nanoseconds), without children
  queued_ms    what that thread waited for a processor that others had

With --watch the program is traced (ptrace) where it starts programs, gets signals and ends, not in its system
calls. Every such stop costs it some 0.1 ms, so its own time is taken without, and with it:

  wall_ms      as above
  children_ms  while at least one program that it started was running or being started
  beside_ms    wall_ms less children_ms, less what the tracer held it up: it computed, or waited for answers
  rss_kb       the largest resident set that it itself ever had (VmHWM at its end), children not counted
  threads      that it ever had, the first included
  children     [program, ms] of each
"""

import ctypes
import json
import os
import signal
import sys
import time

TRACEME, CONT, SETOPTIONS, GETEVENTMSG = 0, 7, 0x4200, 0x4201
FORK, VFORK, CLONE, EXEC, EXIT = 1, 2, 3, 4, 6  # PTRACE_EVENT_*; the option is 1 << event
EXITKILL = 1 << 20
ANY_CHILD = 0x40000000  # __WALL: threads too

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        # A process that has just been killed is no error: its end is reported next.
        if number != 3:
            raise OSError(number, os.strerror(number))


def event_message(pid):
    value = ctypes.c_ulong()
    ptrace(GETEVENTMSG, pid, ctypes.addressof(value))
    return value.value


def proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def status_field(pid, name):
    for line in proc(pid, "status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def covered(intervals):
    """Length of the union of the intervals."""
    total, until = 0, 0
    for begin, end in sorted(intervals):
        total += max(0, end - max(begin, until))
        until = max(until, end)
    return total


def watch(argv):
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(argv[0], argv)
    os.waitpid(pid, ANY_CHILD)
    own_events = 1 << FORK | 1 << VFORK | 1 << CLONE | 1 << EXEC | 1 << EXIT | EXITKILL
    ptrace(SETOPTIONS, pid, own_events)
    clock = time.perf_counter_ns
    begun = clock()
    ptrace(CONT, pid)
    threads, children, known, rss, held = {pid}, {}, {pid}, 0, 0
    # Between fork and exec the child's name is the parent's.
    while True:
        who, status = os.waitpid(-1, ANY_CHILD)
        at = clock()
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if who == pid:
                ended = at
                break
            if who in children and children[who][2] is None:
                children[who][2] = at
            continue
        event, pass_on = status >> 16, 0
        if event in (FORK, VFORK, CLONE):
            new = event_message(who)
            if event == CLONE and os.path.exists(f"/proc/{pid}/task/{new}"):
                threads.add(new)
            else:
                children.setdefault(new, ["?", at, None])[1] = at
        elif event == EXEC:
            if who in children:
                children[who][0] = os.path.basename(proc(who, "cmdline").split("\0")[0])
        elif event == EXIT:
            if who == pid:
                rss = status_field(pid, "VmHWM")
            elif who in children:
                children[who][2] = at
        elif who not in known and who not in threads:
            # The first stop of a child: from here on only its exec and its end are of interest.
            known.add(who)
            children.setdefault(who, ["?", at, None])
            ptrace(SETOPTIONS, who, 1 << EXEC | 1 << EXIT | EXITKILL)
        elif who not in known:
            known.add(who)  # the first stop of a thread
        else:
            pass_on = os.WSTOPSIG(status)
        ptrace(CONT, who, pass_on)
        if who == pid and not any(end is None for _, _, end in children.values()):
            held += clock() - at
    ms = 1e-6
    wall = ended - begun
    intervals = [(begin, end or ended) for _, begin, end in children.values()]
    beside = covered(intervals)
    return status, {
        "wall_ms": wall * ms,
        "children_ms": beside * ms,
        "beside_ms": (wall - beside - held) * ms,
        "rss_kb": rss,
        "threads": len(threads),
        "children": [[name, round(((end or ended) - begin) * ms, 3)] for name, begin, end in children.values()],
    }


def unwatched(argv):
    begun = time.perf_counter_ns()
    # By posix_spawn: after a fork, what taking leave of Python costs would be counted as the program's.
    pid = os.posix_spawn(argv[0], argv, os.environ)
    # Ended, but not yet forgotten by the kernel.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter_ns() - begun
    on, waited = map(int, proc(pid, "schedstat").split()[:2])
    _, status = os.waitpid(pid, 0)
    return status, {"wall_ms": wall * 1e-6, "cpu_ms": on * 1e-6, "queued_ms": waited * 1e-6}


def main(args):
    run = watch if args[0] == "--watch" else unwatched
    if args[0] == "--watch":
        args = args[1:]
    status, found = run(args[1:])
    code = os.waitstatus_to_exitcode(status)
    found["exit"] = code
    with open(args[0], "a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
