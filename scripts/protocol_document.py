"""Write docs/protocol.md and docs/protocol.json from the event table.

usage: python scripts/protocol_document.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from palaver_protocol.describe import to_json, to_markdown
from palaver_protocol.schema import make_schema

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    """Write both, or say which is stale."""
    parser = argparse.ArgumentParser(description="Write docs/protocol.md and docs/protocol.json from the event table.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one of them is stale")
    options = parser.parse_args()
    stale = [file for file, text in documents().items() if not file.exists() or file.read_text() != text]
    for file in stale:
        if not options.check:
            file.write_text(documents()[file])
        print(f"{'stale' if options.check else 'written'}: docs/{file.name}")
    return 1 if stale and options.check else 0


def documents() -> dict[Path, str]:
    """Each file and what it should say."""
    schema = make_schema()
    return {DOCS / "protocol.md": to_markdown(schema), DOCS / "protocol.json": to_json(schema)}


if __name__ == "__main__":
    sys.exit(main())
