-- Version 4: of each delete, when the newest item of ours was begun that was shown when it was decided.

ALTER TABLE deletes ADD COLUMN newest_created_at TEXT;
