"""Turns itself into another program that ends when the starter ends, even by `kill -9`.

Run as a file, with nothing but the standard library, because it starts before every server and every worker.
On Linux the kernel sends the signal (PR_SET_PDEATHSIG); elsewhere a small watcher process looks twice a second.
As root it can also give its rights away first, for programs that refuse to run as root (PostgreSQL).

    launcher.py '{"parent": 4711, "signal": 15, "uid": null, "gid": null, "reach": false, "watch": false}' program ...

What may go wrong: the starter dies before the signal is set (we look once more and end), and a container may forbid
to keep the one capability that reaches into folders closed to others (then the program says what it cannot open).
"""

import ctypes
import json
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
WATCH_SECONDS = 0.5


def drop_rights(uid: int, gid: int, *, reach: bool) -> None:
    """Become another user for good; with `reach`, still able to walk into folders that are closed to that user."""
    libc = ctypes.CDLL(None, use_errno=True) if reach and sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if libc is not None:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        kept = 1 << CAP_DAC_OVERRIDE
        # Three words (effective, permitted, inheritable) for capabilities 0-31, three more for the rest.
        libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel for the signal. It comes when the *thread* that started us ends: see launch.spawn."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def watch_parent(parent: int, signal_number: int) -> None:
    """Leave a watcher behind that signals this process when the starter is gone."""
    watched = os.getpid()
    if os.fork() != 0:
        return
    os.setsid()
    while os.getppid() == watched:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os.kill(watched, signal_number)
            break
        time.sleep(WATCH_SECONDS)
    os._exit(0)


def main() -> None:
    """Do what the first argument says, then become the program."""
    plan = json.loads(sys.argv[1])
    program = sys.argv[2:]
    if plan["uid"] is not None:
        drop_rights(plan["uid"], plan["gid"], reach=plan["reach"])
    # After the change of user, which would clear it.
    if plan["watch"]:
        watch_parent(plan["parent"], plan["signal"])
    else:
        die_with_parent(plan["signal"])
    # Python ignores these two, and the program would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if os.getppid() != plan["parent"]:
        sys.exit("The process that started this one is already gone.")
    try:
        os.execvpe(program[0], program, os.environ)
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
