"""A few damaged files for every reader, always the same; ``make fuzz`` takes 10,000. And whether the watch sees faults."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import planted_readings
import pytest
from PIL import Image

from fuzz.campaign import Campaign
from fuzz.containers import BundleIndex, Gzip, Png, ZipMember
from fuzz.mutations import Cut, Flip, Insert, Number, Overwrite, Repeat, Splice, Truncate, Word, mutated
from fuzz.readers import Reader, Seed, readers
from fuzz.reading import read_everything
from fuzz.worker import Outcome, Worker, allowed_bytes
from mloscope.adaptors.readers.tensorflow.tensor_bundle import open_bundle

EXAMPLES = 25


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(read_everything) as worker:
        yield worker


@pytest.mark.real_data
@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_reader_refuses_or_reads_damaged_files(
    reader: Reader, real_data: Path, worker: Worker, tmp_path: Path
) -> None:
    campaign = Campaign(reader, real_data, worker, tmp_path / "examples", tmp_path / "found")
    assert [outcome for outcome in campaign.undamaged() if outcome.is_fault] == []
    tally = campaign.run(EXAMPLES, 0)
    found = "\n".join(path.read_text() for path in (tmp_path / "found").rglob("*.txt"))
    assert not tally.faults, found
    assert tally.tried == EXAMPLES == tally.refused + tally.read


@pytest.mark.real_data
@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_sealing_an_undamaged_payload_leaves_the_file_what_it_was(reader: Reader, real_data: Path) -> None:
    for seed in reader.seeds(real_data):
        payload = seed.container.payload(seed.files[seed.target])
        assert seed.container.payload(seed.container.sealed(payload, seed.files[seed.target])) == payload


# ------------------------------------------------------------------------------------------------------- the watch


@pytest.mark.parametrize(
    ("reading", "kind"),
    [
        (planted_readings.healthy, "read"),
        (planted_readings.refusing, "refused"),
        (planted_readings.toiling, "hang"),
        (planted_readings.hanging, "hang"),
        (planted_readings.crashing, "crash"),
        (planted_readings.greedy, "memory"),
        (planted_readings.greedier, "memory"),
        (planted_readings.escaping, "escaped"),
        (planted_readings.raising_its_own, "escaped"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_watch_tells_what_came_of_an_example(
    reading: Callable[[Path, str, str], list[str]], kind: str, tmp_path: Path
) -> None:
    with Worker(reading, hang_s=0.5 if kind == "hang" else 20.0) as worker:
        outcome = worker.read(tmp_path, "run", "any", 1000)
        assert outcome.kind == kind, outcome
        assert outcome.is_fault == (kind not in ("read", "refused"))


def test_a_file_is_allowed_four_times_its_size_and_256_megabytes() -> None:
    assert allowed_bytes(0) == 256 * 2**20
    assert allowed_bytes(10**9) == 4 * 10**9 + 256 * 2**20


def _plain_reader(name: str = "plain") -> Reader:
    return Reader(name, "run", name, lambda real: [Seed("plain", {"plain": planted_readings.KEPT + b" and more" * 40})])


def test_the_least_damage_that_brings_a_fault_about_is_kept(tmp_path: Path) -> None:
    with Worker(planted_readings.touchy) as worker:
        campaign = Campaign(_plain_reader(), tmp_path, worker, tmp_path / "examples", tmp_path / "found")
        tally = campaign.run(60, 0, told=lambda line: None)
    assert tally.tried == 60
    assert list(tally.faults) == ["ValueError in reading"]
    (told,) = (tmp_path / "found" / "plain").glob("*.txt")
    assert "the first word is another" in told.read_text()
    assert sum(told.read_text().count(f"{kind}(") for kind in ("Truncate", "Flip", "Overwrite", "Insert", "Cut")) <= 1
    kept = (told.with_suffix("") / "plain").read_bytes()
    assert not kept.startswith(planted_readings.KEPT)


class _Recording(Worker):
    """Reads nothing; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(planted_readings.healthy)
        self.given: list[bytes] = []

    def read(self, path: Path, kind: str, format: str, size: int) -> Outcome:
        self.given.append((path / "plain").read_bytes())
        assert size == len(self.given[-1])
        return Outcome("read")


def test_a_number_gives_the_same_files_again_and_another_gives_others(tmp_path: Path) -> None:
    given = []
    for number in (0, 0, 1):
        worker = _Recording()
        Campaign(_plain_reader(), tmp_path, worker, tmp_path / "examples", tmp_path / "found").run(50, number)
        given.append(worker.given)
    assert given[0] == given[1] != given[2]
    assert len(set(given[0])) > 40


# --------------------------------------------------------------------------------------------- mutations, containers


def test_what_each_mutation_does() -> None:
    def once(mutation: object, data: bytes = b"abcdef") -> bytes:
        return mutated(data, [mutation], [b"abcdef", b"XYZ"])  # type: ignore[list-item]

    assert once(Flip(7, 0)) == b"accdef"  # places count on from the beginning
    assert once(Overwrite(4, b"1234")) == b"abcd12"
    assert once(Insert(6, b"!")) == b"abcdef!"
    assert once(Truncate(2)) == b"ab"
    assert once(Cut(1, 3)) == b"aef"
    assert once(Repeat(1, 2, 2)) == b"abcbcbcdef"
    assert once(Splice(1, 1, 2, 0, between=False)) == b"YZcdef"
    assert once(Splice(1, 1, 2, 0, between=True)) == b"YZabcdef"
    assert once(Number(0, 0x102, 4, big_endian=False)) == b"\x02\x01\x00\x00ef"
    assert once(Number(0, 0x102, 4, big_endian=True)) == b"\x00\x00\x01\x02ef"
    assert once(Number(0, 300, 0, big_endian=False)) == b"\xac\x02cdef"
    assert once(Word(1, b"99"), b"[1, 2.5, 3]") == b"[1, 99, 3]"
    for mutation in (Flip(0, 0), Overwrite(0, b"1"), Truncate(0), Cut(0, 1), Repeat(0, 1, 1), Number(0, 1, 1, False)):
        assert once(mutation, b"") == b""


def test_containers_are_sealed_so_that_only_their_inside_is_damaged(real_data: Path, tmp_path: Path) -> None:
    assert gzip.decompress(Gzip().sealed(b"damaged", b"")) == b"damaged"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("one", b"1")
        members.writestr("two", b"2", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(io.BytesIO(ZipMember("two").sealed(b"damaged", archive.getvalue()))) as members:
        assert members.testzip() is None
        assert {name: members.read(name) for name in members.namelist()} == {"one": b"1", "two": b"damaged"}
    whole = real_data / "tensorflow/pnet_tf1/PNet-2"
    container, index = BundleIndex(), (whole.with_name("PNet-2.index")).read_bytes()
    renamed = container.payload(index).replace(b"weights", b"WEIGHTS")
    (tmp_path / "PNet-2.index").write_bytes(container.sealed(renamed, index))
    shutil.copy(f"{whole}.data-00000-of-00001", tmp_path)
    entries = open_bundle(tmp_path / "PNet-2").entries
    assert any("WEIGHTS" in key for key in entries)
    assert len(entries) == len(open_bundle(whole).entries)


def test_a_picture_with_a_damaged_chunk_has_its_checksum() -> None:
    made = io.BytesIO()
    Image.new("L", (5, 4)).save(made, "PNG")
    wider = bytearray(made.getvalue())
    wider[16 + 3] = 3  # the width, in the first chunk
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(bytes(wider)))
    assert Image.open(io.BytesIO(Png().sealed(bytes(wider), b""))).size == (3, 4)
