-- Version 4: of each delete, when the newest item with a mark was begun that was shown when it was decided.

ALTER TABLE deletes ADD COLUMN newest_created_at TEXT;
