"""Pack a plugin folder into the zip that a shop's upload form takes: one folder named `shopbridge`, no tests.

The zip is the same, byte for byte, for the same files, so that a published checksum means something.
"""

import sys
import zipfile
from pathlib import Path

LEFT_OUT_FOLDERS = {"tests", "node_modules", ".phpunit.cache", "__pycache__"}
LEFT_OUT_FILES = {
    "phpunit.xml.dist",
    "phpcs.xml.dist",
    "phpstan.neon.dist",
    ".phpunit.result.cache",
    "composer.lock",
}
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def packed_files(folder: Path) -> list[Path]:
    """The files of a plugin that a shop needs, in a fixed order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and path.name not in LEFT_OUT_FILES
        and LEFT_OUT_FOLDERS.isdisjoint(path.relative_to(folder).parts)
    )


def pack(folder: Path, target: Path) -> int:
    """Write the zip and say how many files are in it."""
    files = packed_files(folder)
    if not files:
        raise SystemExit(f"There is nothing to pack in {folder}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"shopbridge/{path.relative_to(folder).as_posix()}", LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return len(files)


if __name__ == "__main__":
    source, zip_file = Path(sys.argv[1]), Path(sys.argv[2])
    sys.stdout.write(f"{zip_file}: {pack(source, zip_file)} files\n")
