"""The image service: Glance's API v2 over one database and a folder of blobs.

A row in the database says what an image is; its data is one file whose name only the row knows. Data comes and goes
in pieces, is inspected while it comes, and belongs to an image only once the row says so.
"""
