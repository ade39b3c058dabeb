"""docs/client.md: its signatures are those of the code, and its examples pass mypy in strict mode."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

from componentrun import client
from dev.generate.clientpage import with_signatures

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/client.md"
EXAMPLE = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def test_the_signatures_are_those_of_the_code() -> None:
    page = PAGE.read_text()
    assert with_signatures(page) == page, "run `make generate`"


def test_all_names_of_the_package_can_be_imported() -> None:
    assert all(getattr(client, name).__name__ == name for name in client.__all__)


def test_examples_pass_mypy_in_strict_mode_and_mistakes_do_not(tmp_path: Path) -> None:
    page = PAGE.read_text().partition("## Signatures")[0]
    examples = [dedent(found[2]) for found in EXAMPLE.finditer(page)]
    assert len(examples) == 4
    file = tmp_path / "program.py"
    body = "".join(f"{example}\n" for example in examples[:3])
    wrong = dedent("""
        from componentrun.client import Client

        def wrong(client: Client) -> int:
            return client.submit("delays", nmae="a").phase
    """)
    file.write_text(f"def work() -> None:\n{indent(body, '    ')}\n\n{examples[3]}\n\n{wrong}")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--ignore-missing-imports",
        "--cache-dir", str(ROOT / ".mypy_cache/users"), str(file),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    errors = [line.partition(" error: ")[2] for line in result.stdout.splitlines() if " error: " in line]
    assert len(errors) == 2, result.stdout
    assert "nmae" in errors[0]
    assert 'expected "int"' in errors[1]
