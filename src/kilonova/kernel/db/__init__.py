"""The database: engines, transactions, generations, pages. The only door to SQLAlchemy's engines."""

from sqlalchemy import Row

from kilonova.kernel.db.engine import Database
from kilonova.kernel.db.generation import StaleGeneration, update_where_generation
from kilonova.kernel.db.page import Page, paginate
from kilonova.kernel.db.schema import upgrade
from kilonova.kernel.db.transaction import (
    Duplicate,
    NotStorable,
    Overtaken,
    RowsDisagree,
    StorageFails,
    Transaction,
    in_transaction,
    refuse_in_transaction,
)
from kilonova.kernel.db.types import JsonText, UtcDateTime

__all__ = [
    "Database",
    "Duplicate",
    "JsonText",
    "NotStorable",
    "Overtaken",
    "Page",
    "Row",
    "RowsDisagree",
    "StaleGeneration",
    "StorageFails",
    "Transaction",
    "UtcDateTime",
    "in_transaction",
    "paginate",
    "refuse_in_transaction",
    "update_where_generation",
    "upgrade",
]
