"""The files of a small shop as they come: another encoding, blank users, lost pictures.

python examples/data/messy_shop.py FOLDER writes two days of them, the input of
docs/from-a-shop.md.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

KINDS = ["thé", "café", "gâteau", "vélo"]
COLOURS = np.array([[90, 150, 70], [90, 60, 40], [230, 190, 120], [60, 90, 200]])
ITEMS, NEW_ITEMS, CUSTOMERS, NEW_CUSTOMERS = 120, 8, 300, 10

rng = np.random.default_rng(0)


def sku(item: int) -> str:
    return f"{item:05}"  # leading zeros: a string, not a number


def kind_of(item: int) -> int:
    return item % len(KINDS)


def catalogue(items: int) -> pd.DataFrame:
    """A title and a picture for each item; some have none, two have the same."""
    rows = [
        {"sku": sku(i), "nom": f"{KINDS[kind_of(i)]} n° {i}", "photo": f"{sku(i)}.jpg"}
        for i in range(items)
    ]
    rows[3]["photo"] = ""
    rows[7]["photo"] = rows[11]["photo"]
    rows[9]["nom"] = ""
    return pd.DataFrame([*rows, rows[20]])  # a row that occurs twice


def orders(customers: range, items: int) -> pd.DataFrame:
    """Ten purchases each, nearly all of one kind."""
    rows = []
    for customer in customers:
        liked = [i for i in range(items) if kind_of(i) == customer % len(KINDS)]
        basket = [*rng.choice(liked, 9, replace=False), rng.integers(items)]
        for i in basket:
            day = f"2026-{rng.integers(1, 11):02}-{rng.integers(1, 29):02}"
            row = {"client": f"c-{customer:04}", "article": sku(i), "le": day}
            rows.append({**row, "note": str(rng.integers(3, 6))})
    return pd.DataFrame(rows)


def main(folder: Path) -> None:
    (folder / "photos").mkdir(parents=True)
    for i in range(ITEMS + NEW_ITEMS):
        noise = rng.integers(-40, 40, (32, 32, 3)) + COLOURS[kind_of(i)]
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        picture.save(folder / "photos" / f"{sku(i)}.jpg")
    (folder / "photos" / f"{sku(5)}.jpg").unlink()  # lost
    (folder / "photos" / f"{sku(6)}.jpg").write_bytes(b"not a picture")
    style = rng.normal(size=(ITEMS + NEW_ITEMS, 8)).astype(np.float16)
    style[:, 0] += [kind_of(i) for i in range(len(style))]
    ids = np.array([sku(i) for i in range(len(style))])
    np.savez(folder / "style.npz", features=style, sku=ids)

    day_one = orders(range(CUSTOMERS), ITEMS)
    broken = day_one.iloc[:4].copy()
    broken["client"] = ["", "", "c-0000", "c-0001"]
    broken["note"] = ["5", "4", "very good", "1"]
    repeated = day_one.iloc[40:50]
    day_one = pd.concat([day_one, broken, repeated])
    arrivals = range(CUSTOMERS, CUSTOMERS + NEW_CUSTOMERS)
    day_two = pd.concat([day_one, orders(arrivals, ITEMS + NEW_ITEMS - 2)])
    for day, table, items in (
        ("monday", day_one, ITEMS),
        ("tuesday", day_two, ITEMS + NEW_ITEMS),
    ):
        options = {"sep": ";", "index": False, "encoding": "latin-1"}
        table.to_csv(folder / f"orders-{day}.csv", **options)
        catalogue(items).to_csv(folder / f"catalogue-{day}.csv", **options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
