"""Long texts in windows, compared with the same texts as one."""
