"""What networking does: one file a noun. Each function is part of one API change: it writes rows and notes what the
driver must be told; the driver hears of it after the commit."""
