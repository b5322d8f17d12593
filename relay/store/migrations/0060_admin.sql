-- What operators decided. No state of the chain: a rebuild leaves it alone.

-- What stands still until it is resumed, whatever process does it and however often it starts anew.
CREATE TABLE pauses (
    part      text        PRIMARY KEY CHECK (part IN ('index', 'delegate')),
    paused_at timestamptz NOT NULL DEFAULT now(),
    paused_by text        NOT NULL
);

-- Identities and senders that are not served.
CREATE TABLE bans (
    address   bytea       PRIMARY KEY CHECK (octet_length(address) = 20),
    reason    text        NOT NULL,
    banned_at timestamptz NOT NULL DEFAULT now(),
    banned_by text        NOT NULL
);

-- Every process looks at this row about once a second: the one number grows with each pause and ban and with the end
-- of each, the other whenever nodes are to be chosen anew. One row.
CREATE TABLE decisions (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    changes    bigint  NOT NULL DEFAULT 0,
    reconnects bigint  NOT NULL DEFAULT 0
);
INSERT INTO decisions DEFAULT VALUES;

ALTER TABLE index_status DROP CONSTRAINT index_status_state_check;
ALTER TABLE index_status ADD CONSTRAINT index_status_state_check
    CHECK (state IN ('backfilling', 'following', 'waiting', 'stopped', 'paused'));
