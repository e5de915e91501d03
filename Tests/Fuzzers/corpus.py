"""corpus.py: chooses the inputs that are kept of a codec: by and by the one that reaches most of what none before it reaches, while there is room.

    corpus.py CONTROL FOLDER    CONTROL is the control file of libFuzzer's -set_cover_merge=1, which tells what each input reaches
"""

import pathlib
import sys

FILES_MAX = 100
BYTES_MAX = 60 << 10


def reached(control):
    """The inputs' paths, and what each reaches."""
    lines = iter(control.read_text().splitlines())
    count = int(next(lines))
    next(lines)
    paths = [pathlib.Path(next(lines)) for _ in range(count)]
    reached = {}
    for line in lines:
        kind, *numbers = line.split()
        if kind == "FT":
            reached[paths[int(numbers[0])]] = set(numbers[1:])
    return reached


def chosen(reached):
    """Greedy: each covers as much that is new as any; of two the shorter."""
    left, seen, room = dict(reached), set(), BYTES_MAX
    sizes = {path: path.stat().st_size for path in left}
    for _ in range(FILES_MAX):
        left = {path: features - seen for path, features in left.items() if features - seen and sizes[path] <= room}
        if not left:
            return
        best = min(left, key=lambda path: (-len(left[path]), sizes[path], path.name))
        seen |= left[best]
        room -= sizes[best]
        yield best


def main(control, folder):
    folder = pathlib.Path(folder)
    contents = [path.read_bytes() for path in chosen(reached(pathlib.Path(control)))]
    for path in folder.iterdir():
        path.unlink()
    for number, content in enumerate(contents):
        (folder / f"{number:02}").write_bytes(content)
    print(f"{folder}: {len(contents)} files, {sum(map(len, contents))} bytes")


main(*sys.argv[1:])
