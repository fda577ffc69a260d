"""The agent: the process on each host that drives guests. It holds no database and no credential of the
cloud.
"""
