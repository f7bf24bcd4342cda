"""Records of other engines: read, understood, and made into runs that read like our own."""

from stretto.records.facts import Facts, read_facts
from stretto.records.importing import Imported, import_record, imported
from stretto.records.reading import FORMS, form_of, read_record
from stretto.records.record import Record

__all__ = [
    "FORMS",
    "Facts",
    "Imported",
    "Record",
    "form_of",
    "import_record",
    "imported",
    "read_facts",
    "read_record",
]
