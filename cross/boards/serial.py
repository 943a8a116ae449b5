"""Starts QEMU and sits at the board's serial line and power button.

Prints what the script inside prints, between the two lines that begin with the token, and exits
as it did. A line @press makes a QMP system_powerdown, a line @cut kills QEMU as a power cut
would. 124: time was up; 125: the board ended by itself; 137: after @cut. QEMU is ended by its
own process id in every case, and --work, the folder of the call, is removed. It does not know
what QEMU was told to be.
"""

import argparse
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

TIME_WAS_UP, BOARD_FAILED, POWER_CUT = 124, 125, 137


def press_power_button(path):
    """Sends the one command, after the greeting and the handshake QMP asks for."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(path)
        answers = line.makefile()
        answers.readline()
        for command in ("qmp_capabilities", "system_powerdown"):
            line.sendall(json.dumps({"execute": command}).encode() + b"\n")
            while "return" not in json.loads(answers.readline()):
                pass


def die_with_parent():
    """Asks the kernel to kill QEMU when this process is gone, even by a -9."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def lines_until(stream, deadline, log):
    """Yields whole lines without their end; stops at end of file or when time is up."""
    waiting = selectors.DefaultSelector()
    waiting.register(stream, selectors.EVENT_READ)
    rest = b""
    while (left := deadline - time.monotonic()) > 0:
        if not waiting.select(left):
            break
        got = os.read(stream.fileno(), 65536)
        if not got:
            yield None
            return
        log.write(got)
        *whole, rest = (rest + got).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r").decode(errors="replace")


def attend(lines, token, qmp):
    """Follows the serial line to its end; returns the exit status."""
    is_inside = False
    for line in lines:
        if line is None:
            print("the board ended by itself", file=sys.stderr)
            return BOARD_FAILED
        if line == f"{token} begin":
            is_inside = True
        elif line.startswith(f"{token} end "):
            return int(line.rsplit(" ", 1)[1])
        elif is_inside:
            print(line, flush=True)
            if line == "@press":
                press_power_button(qmp)
            elif line == "@cut":
                return POWER_CUT
    print("time was up", file=sys.stderr)
    return TIME_WAS_UP


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--token", required=True)
    flags.add_argument("--timeout", type=float, required=True)
    flags.add_argument("--work", required=True)
    flags.add_argument("--log", required=True)
    flags.add_argument("qemu", nargs="+")
    asked = flags.parse_args()
    # A caller's SIGTERM must end QEMU too: as an exception it passes through `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    qmp = os.path.join(asked.work, "qmp")
    command = asked.qemu + ["-serial", "stdio", "-qmp", f"unix:{qmp},server=on,wait=off"]
    with open(asked.log, "wb", buffering=0) as log:
        qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=die_with_parent
        )
        try:
            deadline = time.monotonic() + asked.timeout
            status = attend(lines_until(qemu.stdout, deadline, log), asked.token, qmp)
        except BrokenPipeError:  # Whoever read has seen enough.
            status = 128 + signal.SIGPIPE
        finally:
            qemu.kill()
            qemu.wait()
            shutil.rmtree(asked.work, ignore_errors=True)
    if status in (TIME_WAS_UP, BOARD_FAILED):
        print(f"the whole serial line is in {asked.log}", file=sys.stderr)
    sys.exit(status)


main()
