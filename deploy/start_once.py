"""Starts a program until it answers, and ends it: start_once.py PATH ... -- PROGRAM ... with the word PORT for a free one.

Building an image, it shows that the program starts, and leaves the bytecode of all that a start imports.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request

WITHIN_S = 120

words = sys.argv[1:]
paths, program = words[: words.index("--")], words[words.index("--") + 1 :]
with socket.create_server(("127.0.0.1", 0)) as free:  # a build may share the machine's network
    port = str(free.getsockname()[1])
process = subprocess.Popen(
    [word.replace("PORT", port) for word in program], env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
)
ends = time.monotonic() + WITHIN_S
try:
    for path in paths:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WITHIN_S)
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > ends:
                    sys.exit(f"{' '.join(program)} does not answer at {path}: {error}")
                time.sleep(0.2)
finally:
    process.terminate()
    process.wait(30)
