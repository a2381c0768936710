#!/usr/bin/env python3
"""A large section from a small one: section.py SMALL.tif SIDE LARGE.tif

Repeats the small section, each time mirrored against its neighbours, so that there are no seams. Greyscale of 8 bits in
and out; the large file is a BigTIFF of one strip for each row of the small section. Only the standard library."""
import struct
import sys

WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, ROWS, COUNTS = 256, 257, 258, 259, 273, 278, 279


def tags(data):
    """Tags of the first page of an uncompressed little-endian TIFF, each a list of whole numbers."""
    if data[:4] != b"II*\0":
        sys.exit("the small section must be a TIFF of little-endian numbers")
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    found = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from("<HHI", data, entry)
        letter = {3: "H", 4: "I"}.get(kind)
        if letter:
            size = number * struct.calcsize(letter)
            at = entry + 8 if size <= 4 else struct.unpack_from("<I", data, entry + 8)[0]
            found[tag] = list(struct.unpack_from(f"<{number}{letter}", data, at))
    return found


def read(path):
    data = open(path, "rb").read()
    found = tags(data)
    if found.get(BITS, [1])[0] != 8 or found.get(COMPRESSION, [1])[0] != 1:
        sys.exit("the small section must have 8 bits and no compression")
    pixels = b"".join(data[o : o + n] for o, n in zip(found[OFFSETS], found[COUNTS]))
    width = found[WIDTH][0]
    return [pixels[y * width : (y + 1) * width] for y in range(found[HEIGHT][0])]


def write(path, rows, side):
    mirrored = [row + row[::-1] for row in rows]
    wide = [(row * (side // len(row) + 1))[:side] for row in mirrored]
    cycle = wide + wide[::-1]
    strip = len(rows)
    strips = [(y, min(strip, side - y)) for y in range(0, side, strip)]
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        offsets, counts = [], []
        for first, number in strips:
            offsets.append(file.tell())
            counts.append(number * side)
            for y in range(first, first + number):
                file.write(cycle[y % len(cycle)])
        lists = {}
        for tag, values in ((OFFSETS, offsets), (COUNTS, counts)):
            lists[tag] = file.tell()
            file.write(struct.pack(f"<{len(values)}Q", *values))
        entries = [(WIDTH, side), (HEIGHT, side), (BITS, 8), (COMPRESSION, 1), (262, 1), (OFFSETS, None), (277, 1),
                   (ROWS, strip), (COUNTS, None)]
        place = file.tell()
        file.write(struct.pack("<Q", len(entries)))
        for tag, value in entries:
            number = len(strips) if value is None else 1
            if value is None:
                value = (offsets, counts)[tag == COUNTS][0] if number == 1 else lists[tag]
            file.write(struct.pack("<HHQQ", tag, 16, number, value))
        file.write(struct.pack("<Q", 0))
        file.seek(8)
        file.write(struct.pack("<Q", place))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    write(sys.argv[3], read(sys.argv[1]), int(sys.argv[2]))
