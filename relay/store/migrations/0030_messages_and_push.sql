-- Messages between users, kept until they are read. No state of the chain.
CREATE TABLE messages (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver      bytea       NOT NULL,
    type          text        NOT NULL,
    body          text        NOT NULL,
    -- Who sent it, where a signature proves that.
    sender        bytea,
    sent_at       timestamptz NOT NULL,
    -- On its way to a reader until then; who gives up earlier sets it back to null.
    claimed_until timestamptz,
    -- That reader asked for it, so it need not be delivered live as well.
    is_fetched    boolean     NOT NULL DEFAULT false,
    -- A message that was read stays a little longer: another process may be about to bring it to another device.
    read_at       timestamptz
);
CREATE INDEX messages_of_receiver ON messages (receiver, id) WHERE read_at IS NULL;
CREATE INDEX messages_read ON messages (read_at) WHERE read_at IS NOT NULL;
CREATE INDEX messages_by_age ON messages (sent_at);

-- The signatures of messages that would still count, so that each counts once.
CREATE TABLE message_signatures (
    digest     bytea       PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- The devices that are told of what concerns a user.
CREATE TABLE push_tokens (
    user_address  bytea       NOT NULL,
    token         text        NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_address, token)
);

-- How far on the feed notifications have been made of what happened. One row, or none before the first.
CREATE TABLE push_progress (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position  bigint NOT NULL
);

-- waiting: to be sent at due_at or later; sent: kept for a while, so that nothing is sent twice; dead: given up.
CREATE TABLE push_notifications (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_address bytea       NOT NULL,
    token        text        NOT NULL,
    -- What it tells, so that the same is not told again when a block is replaced.
    subject      bytea,
    event        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    attempts     integer     NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    fault        text,
    changed_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX push_notifications_by_subject ON push_notifications (token, user_address, subject);
CREATE INDEX push_notifications_due ON push_notifications (due_at, id) WHERE state = 'waiting';
CREATE INDEX push_notifications_by_age ON push_notifications (changed_at) WHERE state <> 'waiting';
