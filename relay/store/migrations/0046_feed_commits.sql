-- What tells a commit apart from another one at its place: a replica that is promoted may lack the last commits of its
-- primary, and the next ones take their positions. A reader goes on from a commit, not from a position.
ALTER TABLE feed ADD commit_id uuid NOT NULL DEFAULT gen_random_uuid();
