"""The one list of tables that the stores of this room have in the site's database.

Each store defines its own where it is read; `schema.py` makes them all, and says which version of them a database has.
"""

from sqlalchemy import MetaData

TABLES = MetaData()
