"""The parts of the index that need no model: vectors, store, queries. Searches with models: test_search.py."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_atelier.engine.core import UserError, WorkError
from clip_atelier.engine.search import Query, Term, parse_query
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.vectors import VectorSearch

BASE = Space("model", "letterbox")


def digest(i):
    return hashlib.sha256(str(i).encode()).hexdigest()


def vector(i, dim=8):
    return np.random.default_rng(i).standard_normal(dim).astype(np.float32)


# --- vectors ----------------------------------------------------------------------------------------------------


def naive_top(vectors, query, k, exclude=()):
    """Best items by cosine in float64, equal ones by item order."""

    def unit(v):
        v = np.asarray(v, np.float32)
        length = np.sqrt(np.einsum("d,d->", v, v))
        return v if abs(length - 1) <= 1e-6 or length == 0 else (v / length).astype(np.float32)

    query = unit(query).astype(np.float64)
    scores = [float((unit(v).astype(np.float64) * query).sum()) for v in vectors]
    items = [i for i in range(len(vectors)) if i not in exclude]
    return sorted(items, key=lambda i: (-scores[i], i))[:k], scores


@st.composite
def galleries(draw):
    """Few distinct rows in few dimensions, so that equal and nearly equal scores are the rule."""
    n, dim = draw(st.integers(1, 30)), draw(st.sampled_from([1, 3, 5, 16]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distinct = rng.standard_normal((draw(st.integers(1, 6)), dim))
    vectors = distinct[rng.integers(0, len(distinct), n)]
    if draw(st.booleans()):
        vectors = vectors + rng.standard_normal((n, dim)) * 1e-7
    vectors[rng.random(n) < 0.05] = 0
    exclude = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.0, 0.2, 1.0])))
    return vectors.astype(np.float32), rng.standard_normal(dim).astype(np.float32), exclude


@given(galleries(), st.integers(0, 40))
@settings(max_examples=300)
def test_search_is_exact_and_breaks_ties_by_item_order(gallery, k):
    vectors, query, exclude = gallery
    items, scores = VectorSearch(vectors).top(query, k, exclude)
    expected, all_scores = naive_top(vectors, query, k, set(exclude.tolist()))
    assert items.tolist() == expected
    np.testing.assert_allclose(scores, [all_scores[i] for i in expected], atol=1e-12)


@given(galleries())
def test_places_are_those_of_the_whole_ranking(gallery):
    vectors, query, exclude = gallery
    ranking = VectorSearch(vectors).rank(query, exclude)
    whole, _ = ranking.top(len(vectors))
    assert ranking.places(whole).tolist() == list(range(1, len(whole) + 1))


def test_rows_at_the_line_of_what_rounding_allows_have_one_place():
    """Their approximate score differs from another's true one by exactly what it may be wrong by."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        row, query = rng.standard_normal((2, 3))
        vectors = (row / np.linalg.norm(row) + rng.standard_normal((16, 3)) * 1e-7).astype(np.float32)
        ranking = VectorSearch(vectors).rank(query.astype(np.float32))
        whole, _ = ranking.top(len(vectors))
        assert ranking.places(whole).tolist() == list(range(1, len(whole) + 1))


def test_equal_rows_score_equally_in_a_large_gallery():
    # Matrix products treat the rows at the edge of a block differently; the ties must not show it.
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((10_007, 33)).astype(np.float32)
    copies = np.sort(rng.choice(len(vectors), 500, replace=False))
    vectors[copies] = vectors[copies[0]]
    items, scores = VectorSearch(vectors).top(vectors[copies[0]], 500)
    assert items.tolist() == copies.tolist()
    assert len(set(scores.tolist())) == 1


def test_many_queries_find_what_each_finds_alone(monkeypatch):
    monkeypatch.setattr("clip_atelier.engine.search.vectors._BLOCK_CELLS", 700)
    rng = np.random.default_rng(1)
    search = VectorSearch(rng.standard_normal((300, 24)))
    queries = rng.standard_normal((7, 24))
    items, scores = search.top_many(queries, 5)
    for row, query in enumerate(queries):
        alone = search.top(query, 5)
        assert items[row].tolist() == alone[0].tolist()
        assert scores[row].tolist() == alone[1].tolist()


def test_search_agrees_with_faiss():
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(2)
    search = VectorSearch(rng.standard_normal((5000, 64)))
    theirs = faiss.IndexFlatIP(64)
    theirs.add(search.vectors)
    queries = VectorSearch(rng.standard_normal((20, 64))).vectors
    scores, items = theirs.search(queries, 10)
    ours = search.top_many(queries, 10)
    np.testing.assert_array_equal(ours[0], items)
    np.testing.assert_allclose(ours[1], scores, atol=1e-6)


def test_unit_rows_are_not_copied_and_broken_ones_are_refused():
    vectors = VectorSearch(np.random.default_rng(0).standard_normal((50, 8))).vectors
    assert VectorSearch(vectors).vectors is vectors
    with pytest.raises(ValueError, match="finite"):
        VectorSearch(np.array([[1.0, np.nan]]))


def test_an_empty_gallery_has_no_results():
    items, scores = VectorSearch(np.zeros((0, 4), np.float32)).top(np.ones(4), 10)
    assert len(items) == len(scores) == 0


# --- store ------------------------------------------------------------------------------------------------------


def filled(path, count=20, space=BASE):
    store = EmbeddingStore(path)
    store.add(space, [digest(i) for i in range(count)], np.stack([vector(i) for i in range(count)]))
    return store


def test_vectors_come_back_bit_for_bit_in_the_order_asked_for(tmp_path):
    with filled(tmp_path / "index" / "index.sqlite") as store:
        order = [7, 3, 3, 19, 0]
        found = store.load(BASE, [digest(i) for i in order], 8)
    np.testing.assert_array_equal(found, np.stack([vector(i) for i in order]))
    with EmbeddingStore(tmp_path / "index" / "index.sqlite") as store:
        np.testing.assert_array_equal(store.load(BASE, [digest(5)], 8)[0], vector(5))


def test_only_what_is_new_is_missing_and_each_content_once(tmp_path):
    with filled(tmp_path / "index.sqlite", 3) as store:
        assert store.missing(BASE, [digest(i) for i in (0, 9, 2, 9, 8)]) == [1, 4]
        with pytest.raises(KeyError):
            store.load(BASE, [digest(9)], 8)


@pytest.mark.parametrize(
    "other",
    [
        Space("other model", "letterbox"),
        Space("model", "crop"),
        Space("model", "letterbox", "run"),
        Space("model", "letterbox", "run", 0.5),
    ],
)
def test_an_embedding_is_never_taken_for_another_spaces(tmp_path, other):
    with filled(tmp_path / "index.sqlite") as store:
        assert store.missing(other, [digest(0)]) == [0]
        store.add(other, [digest(0)], vector(99)[None])
        np.testing.assert_array_equal(store.load(BASE, [digest(0)], 8)[0], vector(0))
        np.testing.assert_array_equal(store.load(other, [digest(0)], 8)[0], vector(99))


def test_strengths_are_told_apart_to_a_thousandth_and_zero_is_the_base():
    def key(strength):
        return Space("m", "crop", "run", strength).key

    assert key(0.5) == key(0.5004) != key(0.501)
    assert key(0) == key(0.0001) == key(-0.0001) == Space("m", "crop").key


def test_old_strengths_of_the_dial_are_forgotten_and_nothing_else(tmp_path):
    dial = [Space("model", "letterbox", "run", 0.1 * i) for i in range(1, 21)]
    with filled(tmp_path / "index.sqlite") as store:
        store.add(Space("model", "letterbox", "other run"), [digest(0)], vector(0)[None])
        for space in dial:
            store.add(space, [digest(0)], vector(1)[None])
            store.forget_strengths(space)
        kept = [space for space in dial if not store.missing(space, [digest(0)])]
        assert kept == dial[-12:]
        assert not store.missing(Space("model", "letterbox", "other run"), [digest(0)])
        assert not store.missing(BASE, [digest(0)])


def test_a_failed_batch_leaves_the_old_state(tmp_path):
    with filled(tmp_path / "index.sqlite", 5) as store:
        with pytest.raises(ValueError, match="shorter"):
            store.add(BASE, [digest(90), digest(91)], vector(90)[None])
        assert store.missing(BASE, [digest(i) for i in (0, 4, 90)]) == [2]
        store.add(BASE, [digest(90)], vector(90)[None])
        assert not store.missing(BASE, [digest(90)])


@pytest.mark.fault(7)
def test_a_full_disk_is_named_and_the_old_index_stays(tmp_path):
    path = tmp_path / "index.sqlite"
    with filled(path, 5) as store:
        # SQLite raises this to what the file has, and then says "full".
        store._db.execute("PRAGMA max_page_count = 1")
        many = range(100, 5100)
        with pytest.raises(WorkError, match="disk is full") as caught:
            store.add(BASE, [digest(i) for i in many], np.stack([vector(i) for i in many]))
        assert str(path) in caught.value.message
        assert not store.missing(BASE, [digest(i) for i in range(5)])
    with EmbeddingStore(path) as store:
        np.testing.assert_array_equal(store.load(BASE, [digest(4)], 8)[0], vector(4))


_WRITE_WITH_LIMIT = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from clip_atelier.engine.core import WorkError
from clip_atelier.engine.search.embedding_store import EmbeddingStore as Store, Space
with Store(Path(sys.argv[1])) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for i in range(10_000):
            store.add(Space("model", "letterbox"), [f"{i:064x}"], np.ones((1, 512), np.float32))
    except WorkError as error:
        print(i, error)
"""


@pytest.mark.skipif(os.name == "nt", reason="no file size limits there")
def test_a_file_that_may_not_grow_is_an_error_not_a_crash(tmp_path):
    path = tmp_path / "index.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", _WRITE_WITH_LIMIT, str(path)], capture_output=True, text=True, check=True
    )
    count, _, message = ended.stdout.partition(" ")
    assert str(path) in message
    with EmbeddingStore(path) as store:
        assert store.missing(BASE, [f"{i:064x}" for i in range(int(count))]) == []


_WRITE_FOREVER = """
import sys
from pathlib import Path
import numpy as np
from clip_atelier.engine.search.embedding_store import EmbeddingStore as Store, Space
batch, start = 16, int(sys.argv[2])
with Store(Path(sys.argv[1])) as store:
    while True:
        ids = range(start, start + batch)
        rows = np.stack([np.full(256, i, np.float32) for i in ids])
        store.add(Space("model", "letterbox"), [f"{i:064x}" for i in ids], rows)
        start += batch
        print(start, flush=True)
"""


@pytest.mark.fault(4)
@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_at_any_time_the_index_holds_every_whole_batch(tmp_path):
    path = tmp_path / "index.sqlite"
    rng = np.random.default_rng(0)
    start = 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITE_FOREVER, str(path), str(start)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(int(rng.integers(1, 40))):
            start = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        said = child.communicate()[0].split()
        start = int(said[-1]) if said else start
        with EmbeddingStore(path) as store:
            digests = [f"{i:064x}" for i in range(start)]
            assert store.missing(BASE, digests) == []
            found = store.load(BASE, digests, 256)
            np.testing.assert_array_equal(found, np.arange(start, dtype=np.float32)[:, None].repeat(256, 1))
            assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


_KILLED_WITHIN = """
import os, signal, sys
from pathlib import Path
import numpy as np
from clip_atelier.engine.search.embedding_store import EmbeddingStore as Store, Space
with Store(Path(sys.argv[1])) as store:
    store._db.execute("PRAGMA cache_size = 10")  # so that SQLite writes long before the end of the batch
    def look(statement):
        if statement == "COMMIT":
            os.kill(os.getpid(), signal.SIGKILL)
    store._db.set_trace_callback(look)
    store.add(Space("model", "letterbox"), [f"{i:064x}" for i in range(20_000)], np.ones((20_000, 8), np.float32))
"""


@pytest.mark.fault(4)
@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_within_a_batch_the_old_index_works(tmp_path):
    path = tmp_path / "index.sqlite"
    filled(path, 500).close()
    ended = subprocess.run([sys.executable, "-c", _KILLED_WITHIN, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with EmbeddingStore(path) as store:
        assert store.replaced is None
        found = store.load(BASE, [digest(i) for i in range(500)], 8)
        np.testing.assert_array_equal(found, np.stack([vector(i) for i in range(500)]))
        assert len(store.missing(BASE, [f"{i:064x}" for i in range(20_000)])) == 20_000
    assert EmbeddingStore.fault_of(path) == ""


def test_two_writers_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "index.sqlite"
    with filled(path, 4) as one, EmbeddingStore(path) as other:
        other.add(BASE, [digest(10)], vector(10)[None])
        one.add(BASE, [digest(10)], vector(10)[None])
        assert one.missing(BASE, [digest(10)]) == other.missing(BASE, [digest(10)]) == []


@pytest.mark.fault(48)
def test_a_file_that_is_no_database_is_moved_aside(tmp_path):
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"this was once an index" * 100)
    with filled(path) as store:
        assert store.replaced == tmp_path / "index.damaged"
        assert not store.missing(BASE, [digest(0)])
    assert (tmp_path / "index.damaged").read_bytes().startswith(b"this was once")


def test_damage_inside_is_said_and_names_the_file(tmp_path):
    path = tmp_path / "index.sqlite"
    filled(path, 3000).close()
    data = bytearray(path.read_bytes())
    data[16384:] = b"\xaa" * (len(data) - 16384)
    path.write_bytes(data)
    with pytest.raises(WorkError, match="damaged") as caught, EmbeddingStore(path) as store:
        store.load(BASE, [digest(i) for i in range(3000)], 8)
    assert str(path) in caught.value.message


def test_an_index_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "index.sqlite"
    filled(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UserError, match="newer version"):
        EmbeddingStore(path)
    assert not path.with_suffix(".damaged").exists()


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(WorkError) as caught:
        EmbeddingStore(tmp_path / "home" / "index" / "index.sqlite")
    assert "index.sqlite" in caught.value.message


@pytest.mark.fault(6, 7)
@pytest.mark.skipif(
    not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("unshare")), reason="root only"
)
def test_a_small_disk_fills_without_a_crash(tmp_path):
    """A full disk on a real file system of 4 MB, in a mount namespace of its own."""
    script = tmp_path / "write.py"
    script.write_text(_WRITE_FOREVER)
    disk = tmp_path / "disk"
    disk.mkdir()
    check = (
        "import sys, pathlib; from clip_atelier.engine.search.embedding_store import *; store = EmbeddingStore(pathlib.Path(sys.argv[1]));"
        "print('kept', len(store._known(Space('model', 'letterbox'))))"
    )
    ended = subprocess.run(
        [
            "unshare", "-m", "sh", "-c",
            'mount -t tmpfs -o size=4m tmpfs "$1" || exit 77; "$2" "$3" "$1/index.sqlite" 0; echo ended $?;'
            ' "$2" -c "$4" "$1/index.sqlite"',
            "sh", str(disk), sys.executable, str(script), check,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if "ended" not in ended.stdout:
        pytest.skip("no mount namespaces here")
    lines = ended.stdout.split("\n")
    written = max(int(line) for line in lines if line.isdigit())
    assert "ended 1" in lines  # a Python exception, no signal
    assert "WorkError" in ended.stderr
    assert f"kept {written}" in lines


# --- queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("apple", [("apple", 1)]),
        ("  red   apple ", [("red apple", 1)]),
        ("horse + stripes", [("horse", 1), ("stripes", 1)]),
        ("apple - fruit", [("apple", 1), ("fruit", -1)]),
        ("apple − fruit + leaf", [("apple", 1), ("fruit", -1), ("leaf", 1)]),
        ("말 + 줄무늬", [("말", 1), ("줄무늬", 1)]),
        ("t-shirt", [("t-shirt", 1)]),
        ("1+1 -x", [("1+1 -x", 1)]),
        ('"rock + roll"', [("rock + roll", 1)]),
        ('"rock + roll" - guitar', [("rock + roll", 1), ("guitar", -1)]),
        ("- fruit", [("fruit", -1)]),
        ("-", None),
        ("apple +", None),
        ("apple + - fruit", None),
        ("", None),
        ('""', None),
    ],
)
def test_query_arithmetic(text, terms):
    if terms is None:
        with pytest.raises(UserError):
            parse_query(text)
    else:
        assert parse_query(text) == Query(tuple(Term(*term) for term in terms))


def test_words_and_pictures_mix():
    picture, path = Image.new("RGB", (4, 4)), Path("horse.png")
    query = parse_query("stripes - grass", [picture, path]).plus("night", 0.5)
    assert query.texts == ["stripes", "grass", "night"]
    assert query.pictures == [picture, path]
    assert parse_query("", [picture]) == Query.of(picture)
    assert Query.of("a + b").texts == ["a + b"]


@given(st.text())
def test_any_text_is_a_query_or_a_user_error(text):
    try:
        query = parse_query(text)
    except UserError:
        return
    assert all(words == " ".join(words.split()) and words for words in query.texts)
