"""Tables of an earlier version of the state folder: columns that came later are added to them."""

from sqlalchemy import Engine, Table, inspect, text


def add_columns(engine: Engine, *tables: Table) -> None:
    """Update tables that are there already. Versions so far only added columns of text with a default."""
    for table in tables:
        there = {column["name"] for column in inspect(engine).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                with engine.begin() as connection:
                    kind = column.type.compile(engine.dialect)
                    connection.execute(
                        text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind} NOT NULL DEFAULT ''")
                    )
