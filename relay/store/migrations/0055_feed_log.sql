-- By what a cursor into the feed is known to be of this database, and of what it holds since it was last rebuilt.
ALTER TABLE feed_horizon ADD identity bigint NOT NULL DEFAULT floor(random() * 9007199254740991)::bigint;

-- Whether a network is told of for the first time: what it brings along is no news. False where it was repaired or
-- says something else of itself; not known of what is older.
ALTER TABLE feed ADD is_joining boolean NOT NULL DEFAULT true;

-- All that bends the order in which blocks were added.
CREATE INDEX feed_turns ON feed (position) WHERE undone_after IS NOT NULL OR kind = 'network';
