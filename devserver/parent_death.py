"""Runs a command that ends when the process that started it ends, however that one dies (on Linux).

    python parent_death.py PARENT_PID SIGNAL [--user UID:GID] COMMAND...

The caller passes its own process id; SIGNAL is the number that the command gets when the caller is gone.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Give up root for `user` ("UID:GID"), before the tie: a change of user would undo it."""
    uid, gid = (int(part) for part in user.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def tie(parent: int, signal_number: int) -> None:
    """Ask the kernel for `signal_number` at the parent's death; leave if that has already happened."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def main(arguments: list[str]) -> None:
    parent, signal_number, *command = arguments
    if command[0] == "--user":
        become(command[1])
        command = command[2:]
    tie(int(parent), int(signal_number))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
