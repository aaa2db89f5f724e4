"""``python -m fuzz``: damaged files for every reader, one line per reader. Exits with 1 if a fault was found."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import Campaign
from fuzz.readers import readers
from fuzz.reading import read_everything
from fuzz.worker import Worker

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    known = readers()
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="damaged files for each reader (%(default)s)")
    parser.add_argument("--reader", action="append", choices=[each.name for each in known], help="one; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (%(default)s)")
    parser.add_argument("--found", type=Path, default=ROOT / ".hypothesis" / "fuzz", help="where faults are kept")
    asked = parser.parse_args()
    real = Path(os.environ.get("MLOSCOPE_REAL_DATA", ROOT / "../shared/real"))
    if not real.is_dir():
        print(f"There are no real files at {real}; MLOSCOPE_REAL_DATA can name another folder.", file=sys.stderr)
        return 2
    failed = False
    for reader in known:
        if asked.reader and reader.name not in asked.reader:
            continue
        with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary, Worker(read_everything) as worker:
            campaign = Campaign(reader, real, worker, Path(temporary), asked.found)
            wrong = [outcome for outcome in campaign.undamaged() if outcome.is_fault]
            for outcome in wrong:
                print(f"{reader.name}: undamaged, but {outcome.signature}\n{outcome.details}", flush=True)
            tally = campaign.run(asked.examples, asked.seed, lambda line: print(line, flush=True))
            print(tally, flush=True)
            for signature, count in sorted(tally.faults.items(), key=lambda pair: -pair[1]):
                print(f"    {count:6,} x {signature}", flush=True)
            failed = failed or bool(tally.faults or wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
