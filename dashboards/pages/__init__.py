"""One file a page, one folder a section; nothing lists them. A page's first line is its name and its question."""
