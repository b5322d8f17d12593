-- What was counted since the database began, for who watches the relay: it is no state of the chain, and a rebuild of
-- that leaves it alone.
CREATE TABLE totals (
    name  text   PRIMARY KEY,
    value bigint NOT NULL
);

-- Those that were given up are few among many that were sent.
CREATE INDEX push_notifications_given_up ON push_notifications (changed_at) WHERE state = 'dead';
