"""A stage that does one thing wrong, the first time it runs. Usage: bad.py KIND FAULT; without NumPy, straight on the pipes."""

import array
import json
import os
import subprocess
import sys
import time

kind, fault = sys.argv[1:]
source, target = sys.stdin.buffer, sys.stdout.buffer


def send(header, *arrays):
    target.write(json.dumps(header).encode() + b"\n" + b"".join(arrays))
    target.flush()


def is_first():
    try:
        os.close(os.open("was-here", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def listed(name, dtype, shape):
    return {"name": name, "dtype": dtype, "shape": shape}


SIZES = {"uint8": 1, "uint32": 4, "int32": 4, "float32": 4, "uint64": 8, "int64": 8}
for line in source:
    request = json.loads(line)
    data = []
    for entry in request["arrays"]:
        count = SIZES[entry["dtype"]]
        for side in entry["shape"]:
            count *= side
        data.append(source.read(count))
    if request["request"] == "describe":
        if fault == "mute":
            time.sleep(3600)
        described = {"protocol": 1, "kind": kind, "version": "1", "options": [], "arrays": []}
        if fault == "old":
            described["protocol"] = 7
        if fault == "shouts":
            target.write(b"ready\n")
        send(described)
        continue
    if request["request"] == "configure":
        send({"halo": 0, "context": 1, "look_behind": 1, "look_ahead": 1, "arrays": []})
        continue
    now = fault if is_first() else ""
    arrays = request["arrays"]
    if kind == "denoise":
        height, width = arrays[0]["shape"]
        values = array.array("f", data[0])
        if now == "crash":
            os.abort()
        if now == "exit":
            print("the model is gone", file=sys.stderr)
            sys.exit(3)
        if now == "hang":
            subprocess.Popen(["sleep", "3600"])
            time.sleep(3600)
        if now == "flood":
            chunk = b"noise " * 10000 + b"\n"
            while True:
                os.write(2, chunk)
        if now == "refuse":
            send({"error": "this image is not of my taste"})
            continue
        if now == "garbage":
            target.write(os.urandom(4096).replace(b"\n", b" ") + b"\n")
        if now == "endless":
            while True:
                target.write(b"x" * 65536)
        if now == "nan":
            values[width + 2] = float("nan")
        if now == "range":
            values[0] = 1.5
        shape = [height, width + 1] if now == "shape" else [height, width]
        dtype = "float64" if now == "dtype" else "float32"
        number = -1 if now == "id" else request["id"]
        send({"id": number, "arrays": [listed("image", dtype, shape)]}, values.tobytes())
        if now == "more":
            time.sleep(0.1)
            target.write(b"and another thing")
            target.flush()
    elif kind == "watershed":
        height, width = arrays[0]["shape"][1:]
        labels = array.array("I", [7] * (height * width))
        if now == "labels":
            labels[3] = 1 << 23
        labels[0] = 0
        labels[-1] = 3
        send({"id": request["id"], "arrays": [listed("labels", "uint32", [height, width])]}, labels.tobytes())
    elif kind == "affinity":
        count, height, width = arrays[0]["shape"]
        index = request["index"]
        images = array.array("f", data[0])
        plane = images[index * height * width : (index + 1) * height * width]
        values = plane + plane + plane
        if now == "nan":
            values[5] = float("inf")
        shape = [1, height, width] if now == "shape" else [3, height, width]
        send({"id": request["id"], "arrays": [listed("affinities", "float32", shape)]}, values.tobytes())
    else:
        starts = array.array("q", data[[entry["name"] for entry in arrays].index("edge_start")])
        first, last = request["decided"]
        count = starts[last] - starts[first]
        accepted, scores = array.array("B", [1] * count), array.array("f", [0.75] * count)
        if now == "decision":
            accepted[0] = 2
        if now == "score":
            scores[0] = float("nan")
        wrong = count - 1 if now == "count" else count
        send(
            {"id": request["id"], "arrays": [listed("accepted", "uint8", [wrong]), listed("scores", "float32", [count])]},
            accepted.tobytes(),
            scores.tobytes(),
        )
