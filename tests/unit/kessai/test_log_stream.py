"""A log's stream: nothing raises, whatever became of its reader, and what was lost is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kessai.log_stream import LogStream

GUARDED = "from kessai.log_stream import guard_stderr; guard_stderr()"


def test_lines_are_written_whole() -> None:
    """Of two who write at once no line is torn; what no encoding has is written all the same."""
    reading, writing = os.pipe()
    stream = LogStream(writing)
    threads = [
        threading.Thread(
            target=lambda name=name: [stream.write(f"{name * 30}\n") for _ in range(50)]
        )
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    stream.write("\udcff")
    stream.flush()
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        *whole, last = lines.read().splitlines()
    assert sorted(whole) == sorted(["a" * 30, "b" * 30] * 50)
    assert (last, stream.dropped) == ("\\udcff", 0)


def test_a_reader_that_has_gone_is_counted() -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing)
    os.close(reading)
    print("one\ntwo", file=stream, flush=True)
    stream.write("three")
    stream.flush()
    os.close(writing)
    stream.write("four\n")
    assert stream.dropped == 4


def test_a_full_disk_is_counted() -> None:
    with open("/dev/full", "wb") as full:
        stream = LogStream(full.fileno())
        for _ in range(3):
            print("a line", file=stream, flush=True)
        assert stream.dropped == 3


def test_a_reader_that_sleeps_is_not_waited_for_and_told_once_what_it_missed() -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing)
    begin = time.monotonic()
    written = 0
    while not stream.dropped:
        stream.write("x" * 999 + "\n")
        written += 1
    for _ in range(99):
        stream.write("lost\n")
    assert time.monotonic() - begin < 5
    assert stream.dropped == 100
    os.read(reading, 1 << 20)
    stream.write("again\n")
    stream.write("and again\n")
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        told, *after = lines.read().splitlines()
    assert json.loads(told) == {"event": "log_lines_lost", "count": 100, "level": "warning"}
    assert after == ["again", "and again"]


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_process_is_not_ended_by_its_stderr(tmp_path: Path, redirection: str) -> None:
    """Neither while it runs, nor by what Python flushes at its end; no file becomes its stderr."""
    kept = tmp_path / "kept"
    program = (
        f"import sys, logging; {GUARDED}; f = open({str(kept)!r}, 'w');"
        "print('a', file=sys.stderr); logging.warning('b'); sys.stderr.flush();"
        "f.write('whole'); f.close()"
    )
    command = f'{sys.executable} -c "$PROGRAM" {redirection}'
    ended = subprocess.run(
        ["sh", "-c", command], env=os.environ | {"PROGRAM": program}, timeout=60, check=False
    )
    assert (ended.returncode, kept.read_text()) == (0, "whole")


def test_last_words_end_a_process_that_cannot_say_them() -> None:
    program = "from kessai.last_words import end_process; end_process('the disk failed', 74)"
    for redirection, said in (("", "kessai: the disk failed\n"), ("2>/dev/full", ""), ("2>&-", "")):
        ended = subprocess.run(
            ["sh", "-c", f'{sys.executable} -c "{program}" {redirection}'],
            timeout=60, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr, ended.stdout) == (74, said, "")
