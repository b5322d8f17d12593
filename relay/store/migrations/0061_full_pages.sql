-- A list's pages are filled one after the other from here on (relay/store/history_rows.py, PAGE_ENTRIES), instead of
-- holding the entries of 1024 blocks each: what is added at the end of a list rewrites a small page. Pages of before
-- stay as they are, and come first: they have any number, and others follow on the highest.
COMMENT ON COLUMN interests.page IS 'Where the page comes in its list.';
COMMENT ON COLUMN mediations.page IS 'Where the page comes in its list.';
