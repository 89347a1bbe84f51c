"""Rows as text in columns, for the command line and for pages of plain text."""


def table(rows: list[list[str]], header: list[str]) -> str:
    """Columns as wide as what stands in them."""
    widths = [max(len(str(row[n])) for row in [header, *rows]) for n in range(len(header))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)
