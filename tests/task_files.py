"""Small files laid out as the original data sets are, for tests without a folder."""

import datetime
import gzip
import io
import tarfile

import numpy as np
from PIL import Image


def packed(members):
    """A tar of bytes by name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def picture(size, colour, kind="PNG", mode="RGB"):
    raw = io.BytesIO()
    Image.new(mode, size, colour).save(raw, kind)
    return raw.getvalue()


def table(head, rows):
    lines = [head, *(",".join(str(cell) for cell in row) for row in rows)]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def uci():
    raw = io.BytesIO()
    x = np.random.default_rng(0).standard_normal((40, 3))
    tests = np.stack([np.arange(4) + split for split in range(20)])
    np.savez(raw, x=x, y=x[:, 0] + 5.0, test_index=tests)
    return raw.getvalue()


def housing():
    head = (
        "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,"
        "households,median_income,median_house_value,ocean_proximity"
    )
    rows = [
        (
            -122,
            37,
            41,
            880 + i,
            "" if i == 3 else 129,
            322,
            126,
            8.3,
            100_000 + i,
            place,
        )
        for i, place in enumerate(["NEAR BAY", "INLAND"] * 15)
    ]
    return table(head, rows)


def etth1():
    hours = np.arange(20 * 30 * 24)
    series = np.sin(hours / 24 * 2 * np.pi).round(4)
    return table(
        "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT", [(0, *[v] * 7) for v in series]
    )


def ridership():
    first = datetime.date(2016, 6, 1)
    days = [first + datetime.timedelta(n) for n in range(1320)]  # into 2020
    rows = [
        (day.strftime("%m/%d/%Y"), "W", 100 + day.weekday(), 200, 300) for day in days
    ]
    head = "service_date,day_type,bus,rail_boardings,total_rides"
    return table(head, rows[::-1] + rows[:31])  # in no order, a month twice


def membranes():
    dark, light = (picture((8, 8), grey, mode="L") for grey in (0, 255))
    members = {f"train/image/{i}.png": light for i in range(30)}
    labels = {f"train/label/{i}.png": dark if i % 2 else light for i in range(30)}
    return packed(members | labels)


def bccd():
    thing = (
        "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
        "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
    )
    things = [("RBC", 0, 0, 64, 64), ("WBC", 320, 240, 400, 320), ("RBC", 9, 9, 9, 9)]
    text = "".join(thing.format(*each) for each in things)
    members = {}
    for part in ("train", "val", "test"):
        members[f"BCCD/ImageSets/Main/{part}.txt"] = f"{part}0\n{part}1".encode()
        for i in range(2):
            name = f"{part}{i}"
            image = picture((640, 480), (99 + i, 0, i), "JPEG")
            members[f"BCCD/JPEGImages/{name}.jpg"] = image
            annotation = f"<annotation>{text}</annotation>".encode()
            members[f"BCCD/Annotations/{name}.xml"] = annotation
    return packed(members)


def movielens():
    rows = [f"{i % 5 + 1}\t{i % 7 + 1}\t{i % 5 + 1}\t88" for i in range(60)]
    return "\n".join(rows).encode()


def tiny_imagenet():
    lines, members = ["path\tlabel\txmin\tymin\txmax\tymax"], {}
    image = picture((64, 64), (20, 9, 9), "JPEG")
    names = [f"train/{i}.JPEG" for i in range(520)] + [
        f"val/{i}.JPEG" for i in range(9)
    ]
    for i, name in enumerate(names):
        members[name] = image
        lines.append(f"{name}\t{i % 10}\t8\t16\t32\t64")
    return packed(members | {"boxes.tsv": "\n".join(lines).encode()})
