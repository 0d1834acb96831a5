"""Records what webdataset 1.0.2 makes of archives with entries of these names: webdataset.json.

Run in this folder, with webdataset installed: python record.py
The content of an entry is its number.
"""

import io
import json
import os
import tarfile
import tempfile

import webdataset

ARCHIVES = {
    "plain": ["000.jpg", "000.txt", "001.jpg", "001.txt"],
    "folders": ["a/000.jpg", "a/000.txt", "b/000.jpg", "b/000.txt"],
    "dots in folders": ["v1.0/000.jpg", "v1.0/000.txt", "v1.0/001.jpg", "v1.0/001.txt"],
    "begins with ./": ["./000.jpg", "./000.txt", "./001.jpg", "./001.txt"],
    "dots in names": ["v0.0.jpg", "v0.0.txt", "v0.1.jpg", "v0.1.txt", "w.jpg", "w.txt"],
    "other columns": ["000.depth.png", "000.jpg", "000.ocr.txt", "000.txt", "000.cls", "000.seg.json"],
    "hidden": [".hidden.jpg", "001.jpg", "001.txt", ".DS_Store", "002.jpg", "002.txt"],
    "macOS": ["./._000.jpg", "./000.jpg", "./._000.txt", "./000.txt", "./._001.jpg", "./001.jpg", "./._001.txt", "./001.txt"],
    "hidden, at the top": ["._000.jpg", "000.jpg", "._000.txt", "000.txt"],
    "no dot": ["000.jpg", "README", "000.txt", "LICENSE", "001.jpg", "001.txt"],
    "upper case": ["000.JPG", "000.TXT", "001.Jpeg", "001.Txt"],
    "upper-case keys": ["A.jpg", "A.txt", "a.jpg", "a.txt"],
    "meta": ["__meta__", "__index__/000.jpg", "000.jpg", "000.txt", "__no.jpg", "__no.txt"],
    "empty column": ["000.", "000.jpg", "000.txt", "001..jpg", "001.txt"],
    "not together": ["000.jpg", "001.jpg", "000.txt", "001.txt"],
    "twice": ["000.jpg", "000.txt", "000.jpg", "000.txt", "001.jpg", "001.txt"],
    "text of two columns": ["000.png", "000.text"],
}


def samples(names):
    file = tempfile.NamedTemporaryFile(suffix=".tar", delete=False)
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            content = str(number).encode()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    file.close()
    try:
        out = []
        for sample in webdataset.WebDataset(file.name, shardshuffle=False, empty_check=False):
            columns = {key: int(value) for key, value in sample.items() if not key.startswith("__")}
            out.append({"key": sample["__key__"], "columns": columns})
        return {"samples": out}
    except ValueError:
        return {"refused": True}
    finally:
        os.unlink(file.name)


if __name__ == "__main__":
    recorded = [{"name": name, "entries": names, **samples(names)} for name, names in ARCHIVES.items()]
    with open("webdataset.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(r) for r in recorded) + "\n]\n")
