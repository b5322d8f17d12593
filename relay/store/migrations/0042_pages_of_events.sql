-- Lists of events from and up to a time: which blocks those are.
CREATE INDEX blocks_by_time ON blocks (timestamp, number);

-- How often all events were forgotten, to be read anew: who goes on with a list from before may have missed some.
ALTER TABLE networks ADD readings integer NOT NULL DEFAULT 0;
ALTER TABLE contracts ADD readings integer NOT NULL DEFAULT 0;
