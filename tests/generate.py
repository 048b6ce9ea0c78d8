"""Generate the Python code of the protos: `python -m tests.generate`, and `--check` to compare.

`make protos` calls it after a change of protos/kessai/v1/*.proto; `make check` and CI call it with
`--check`, which fails if what is committed is not what the protos say.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parents[1] / "protos"
PACKAGE = Path("kessai/v1")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
TIMEOUT_S = 120


def main(arguments: list[str]) -> int:
    """Write the generated code, or with --check tell what is stale; give the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tests.generate [--check]\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        if not generate(PROTOS, fresh):
            return 1
        if not arguments:
            install(fresh, PROTOS)
            return 0
        stale = differences(fresh, PROTOS)
    for path in stale:
        sys.stderr.write(f"protos/{path}: not what the protos say: run `make protos`\n")
    return 1 if stale else 0


def generate(protos: Path, target: Path) -> bool:
    """Compile protos/kessai/v1/*.proto into a folder; False, with protoc's words, if it cannot."""
    sources = sorted(
        path.relative_to(protos).as_posix() for path in protos.glob(f"{PACKAGE}/*.proto")
    )
    beside = Path(sys.executable).parent
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", "-I", str(protos)),
        f"--plugin=protoc-gen-mypy={beside / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={beside / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *sources,
    ]
    if subprocess.run(command, check=False, timeout=TIMEOUT_S).returncode:
        return False
    for source in sources:
        if "\nservice " not in (protos / source).read_text():
            for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
                (target / source.replace(".proto", suffix)).unlink()
    return True


def install(fresh: Path, protos: Path) -> None:
    """Put the generated files beside the protos, and take away those that are no longer made."""
    for path in differences(fresh, protos):
        (protos / path).unlink(missing_ok=True)
        if (fresh / path).exists():
            shutil.copyfile(fresh / path, protos / path)


def differences(fresh: Path, protos: Path) -> list[Path]:
    """List the generated files that are missing, left over or not equal, relative to protos."""
    return sorted(
        path
        for path in _generated(fresh) | _generated(protos)
        if _content(fresh / path) != _content(protos / path)
    )


def _generated(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for pattern in GENERATED
        for path in (folder / PACKAGE).glob(pattern)
    }


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
