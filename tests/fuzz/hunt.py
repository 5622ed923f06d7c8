"""Coverage-guided fuzzing of the targets: `make fuzz`, or `python -m tests.fuzz.hunt [SECONDS [TARGET ...]]`.

Each target runs for a while in a process of its own.  Inputs that cover new code are kept in `.fuzz/TARGET/`
for the next time.  An input that breaks a promise, hangs or takes too much memory is written to
`corpus/TARGET/`, where `test_corpus.py` tries it from then on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["CORPUS"]

CORPUS = Path(__file__).parent / "corpus"
KEPT = Path(".fuzz")
TIMEOUT_S = 10
MEMORY_MB = 1024
INPUT_BYTES_MAX = 4096


def main(seconds: int, names: list[str]) -> int:
    """Hunt with each target in turn, and return how many found a failure."""
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in names or TARGETS:
        print(f"== {name}, for {seconds} s", flush=True)
        kept, seeds = KEPT / name, CORPUS / name
        for folder in (kept, seeds):
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            command = [
                sys.executable,
                "-m",
                "tests.fuzz.hunt",
                "--one",
                name,
                *_options(seconds, kept, seeds),
            ]
            status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
            log.seek(0)
            lines = log.read().splitlines()
        print("\n".join(lines[-60:] if status else lines[-1:]), flush=True)
        if status:
            failed.append(name)
    print(f"found something: {', '.join(failed)}" if failed else "found nothing", flush=True)
    return len(failed)


def _options(seconds: int, kept: Path, seeds: Path) -> list[str]:
    return [
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-artifact_prefix={seeds}/",
        "-print_final_stats=0",
        str(kept),
        str(seeds),
    ]


def _hunt_one(name: str, options: list[str]) -> None:
    """Hunt with one target, in a process of its own, which ends here."""
    import atheris

    with atheris.instrument_imports(include=["epaxos"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _hunt_one(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(min(1, main(int(sys.argv[1]) if sys.argv[1:] else 60, sys.argv[2:])))
