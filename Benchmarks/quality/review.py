"""Does the review queue save a proofreader's time? Its first items are answered from labels, through SQL.

Usage: review.py SECTIONS LABELS VOLUME PICTURE   (SECTIONS: <state_directory>/sections/<volume>; the database is that of PGHOST,
PGPORT, PGUSER and PGDATABASE; nothing in it is changed in the end; PICTURE: an SVG to write)

Every item names two fragments and asks whether they are of one neurite. The answer is whether most pixels of both have the
same label; merge, split or confirm says so. Items where most pixels of one have no label (0) are passed over, in every order.
The same is done with items drawn at random from all that the queue holds, and with the queue's first items in other orders.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import psycopg
import tifffile
from scipy import sparse

ITEMS = 200
SEEDS = 5
SHOWN = (0, 5, 10, 25, 50, 100, 150, 200)
Item = tuple[int, int]


class Truth:
    """What the labels say of fragments and of segmentations."""

    def __init__(self, folder: Path, labels: str, rows: list[tuple[int, int, int]]) -> None:
        """rows: id, z and label of every fragment."""
        truth = tifffile.imread(labels).astype(np.int64)
        with h5py.File(folder / "volume.h5") as volume:
            fragments = volume["fragments"][()].astype(np.int64)
        first = min(z for _, z, _ in rows)
        place = np.zeros((fragments.shape[0], int(fragments.max()) + 1), np.int64)  # 0: no fragment
        for index, (_, z, label) in enumerate(rows):
            place[z - first, label] = index + 1
        where = place[np.arange(len(fragments))[:, None, None], fragments]
        shape = (len(rows) + 1, int(truth.max()) + 1)
        pixels = sparse.coo_array((np.ones(truth.size), (where.ravel(), truth.ravel())), shape=shape).tocsr()
        self.majority = dict(zip((row[0] for row in rows), np.asarray(pixels.argmax(axis=1)).ravel()[1:].tolist()))
        self.scored = pixels[:, [*range(1, shape[1])]]
        self.ids = np.array([row[0] for row in rows])

    def voi(self, segments: dict[int, int]) -> float:
        """Variation of information, bits, of the pixels that have a label."""
        _, segment = np.unique([segments[id] for id in self.ids], return_inverse=True)
        gather = sparse.coo_array((np.ones(len(segment) + 1), (np.r_[0, segment + 1], np.arange(len(segment) + 1)))).tocsr()
        table = (gather @ self.scored).tocoo()
        total = table.data.sum()

        def sum_log(counts: np.ndarray) -> float:
            counts = counts[counts > 0]
            return float((counts * np.log2(counts)).sum())

        return (sum_log(table.sum(axis=0)) + sum_log(table.sum(axis=1)) - 2 * sum_log(table.data)) / total


class Proofreader:
    """Answers items, on a database whose changes are undone at the end."""

    def __init__(self, connection: psycopg.Connection, volume: str, truth: Truth | None = None) -> None:
        self.connection, self.volume, self.truth = connection, volume, truth

    def rows(self, sql: str, *values: object) -> list[tuple]:
        return self.connection.execute(sql, values).fetchall()

    def fragments(self) -> list[tuple[int, int, int]]:
        return self.rows(
            "select f.fragment_id, f.z, f.label from fragment f join volume v using (volume_id)"
            " where v.name = %s and f.state = 'final' order by 1", self.volume,
        )  # fmt: skip

    def segments(self) -> dict[int, int]:
        return dict(self.rows(
            "select f.fragment_id, s.live_id from fragment f join volume v using (volume_id)"
            " join segment s using (volume_id, segment_id) where v.name = %s and f.state = 'final'", self.volume,
        ))  # fmt: skip

    def queue(self, items: int) -> list[tuple[str, int, int, float, float]]:
        return self.rows(
            "select kind, fragment_a, fragment_b, change_bits, doubt from review_queue_of(%s, %s) order by rank",
            self.volume, items,
        )  # fmt: skip

    def can_tell(self, item: Item) -> bool:
        return all(self.truth.majority[fragment] > 0 for fragment in item)

    def answer(self, item: Item) -> str:
        """What was done: merge, split, confirm."""
        a, b = item
        label_a, label_b = self.truth.majority[a], self.truth.majority[b]
        segment_a, segment_b = (self.rows(
            "select live_segment(v.volume_id, %s) from volume v where v.name = %s", id, self.volume)[0][0] for id in item
        )  # fmt: skip
        if label_a == label_b and segment_a != segment_b:
            self.rows("select merge(%s, %s, %s, 'by the labels')", self.volume, segment_a, segment_b)
            return "merge"
        if label_a != label_b and segment_a == segment_b:
            self.rows("select split(%s, %s::bigint, %s::bigint, %s::bigint, 'by the labels')", self.volume, segment_a, a, b)
            return "split"
        self.rows("select confirm(%s, %s, %s, 'by the labels')", self.volume, a, b)
        return "confirm"

    def curve(self, items: Callable[[], Iterator[tuple[Item, Callable[[bool], None]]]]) -> tuple[list[float], dict]:
        """VOI after 0, 1, 2, ... answers, and how many of each."""
        self.connection.rollback()
        curve, counts = [self.truth.voi(self.segments())], {"merge": 0, "split": 0, "confirm": 0}
        for item, told in items():
            done = self.answer(item)
            counts[done] += 1
            changed = done in ("merge", "split")
            told(changed)
            curve.append(self.truth.voi(self.segments()) if changed else curve[-1])
            if len(curve) > ITEMS:
                break
        self.connection.rollback()
        return curve + [curve[-1]] * (ITEMS + 1 - len(curve)), counts

    def by_queue(self) -> Iterator[tuple[Item, Callable[[bool], None]]]:
        """The queue's first item, asked for again after every change."""
        seen: set[Item] = set()
        while True:
            stale = []
            fresh = [(a, b) for _, a, b, *_ in self.queue(len(seen) + 25) if (a, b) not in seen]
            if not fresh:
                return
            for item in fresh:
                seen.add(item)
                if not self.can_tell(item):
                    continue
                yield item, lambda changed: stale.append(1) if changed else None
                if stale:
                    break


def in_order(items: list[Item]) -> Callable[[], Iterator[tuple[Item, Callable[[bool], None]]]]:
    return lambda: ((item, lambda _: None) for item in items)


def picture(curves: list[tuple[str, str, list[float]]]) -> str:
    """An SVG of VOI against answers: (name, colour, values) for each line."""
    width, height, left, top = 640, 320, 60, 16
    values = [value for _, _, curve in curves for value in curve]
    low, high = min(values), max(values)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    x = lambda n: left + n / ITEMS * (width - left - 16)
    y = lambda v: top + (high - v) / (high - low) * (height - top - 44)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']  # fmt: skip
    for n in range(0, ITEMS + 1, 50):
        parts.append(f'<text x="{x(n):.0f}" y="{height - 26}" text-anchor="middle">{n}</text>')
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - 16}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>')  # fmt: skip
    parts.append(f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">answers</text>')
    parts.append(f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">VOI, bits</text>')
    for name, colour, curve in curves:
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in enumerate(curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for row, (name, colour) in enumerate(dict((name, colour) for name, colour, _ in curves).items()):
        parts.append(f'<text x="{width - 24}" y="{top + 14 + 16 * row}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    folder, labels, volume, target = sys.argv[1:]
    connection = psycopg.connect(options="-c search_path=fgnet")
    person = Proofreader(connection, volume)
    person.truth = Truth(Path(folder), labels, person.fragments())
    everything = person.queue(1_000_000)
    kinds = [item[0] for item in everything]
    print(f"{len(everything)} items: {kinds.count('merge')} merges, {kinds.count('split')} splits that are in doubt;"
          f" the labels tell of {sum(person.can_tell(item[1:3]) for item in everything)}")
    lines: list[tuple[str, str, list[float]]] = []

    def show(name: str, colour: str, items: Callable) -> list[float]:
        curve, counts = person.curve(items)
        lines.append((name.split(",")[0], colour, curve))
        told = f"{counts['merge']} merged, {counts['split']} split, {counts['confirm']} right"
        print(f"{name:16}", *(f"{curve[n]:.4f}" for n in SHOWN), f" {told}", flush=True)
        return curve

    print(f"{'VOI after':16}", *(f"{n:6}" for n in SHOWN))
    everything = [item for item in everything if person.can_tell(item[1:3])]
    pairs = [item[1:3] for item in everything]
    drawn = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(pairs))
        drawn.append(show(f"at random, {seed}", "#999999", in_order([pairs[place] for place in order])))
    print(f"{'random, mean':16}", *(f"{np.mean([curve[n] for curve in drawn]):.4f}" for n in SHOWN))
    for name, colour, column in (("by change alone", "#d08030", 3), ("by doubt alone", "#3070c0", 4)):
        order = sorted(range(len(pairs)), key=lambda place: (-everything[place][column], place))
        show(name, colour, in_order([pairs[place] for place in order]))
    queue = show("the queue", "#c02020", person.by_queue)
    Path(target).write_text(picture(lines))
    wins = all(queue[n] < min(curve[n] for curve in drawn) for n in SHOWN[2:])
    print("after 10 answers and more the queue is", "below every random draw" if wins else "NOT below every random draw")
    sys.exit(0 if wins else 1)


if __name__ == "__main__":
    main()
