"""HTTP: one file a noun. Handlers are short stories; wire words live in *_fields.py, *_schemas.py and
routes.py.
"""
