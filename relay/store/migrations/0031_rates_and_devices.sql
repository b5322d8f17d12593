-- How often something was done lately, counted for all processes together: buckets of tokens. What a crash loses
-- begins anew, so nothing of it is logged.
CREATE UNLOGGED TABLE rates (
    what       text             NOT NULL,
    who        bytea            NOT NULL,
    left_over  double precision NOT NULL,
    counted_at timestamptz      NOT NULL,
    PRIMARY KEY (what, who)
);

CREATE INDEX message_signatures_by_age ON message_signatures (expires_at);

-- Whether the user signed the registration: such a device is not kept out by those that anybody registered.
ALTER TABLE push_tokens ADD COLUMN is_proven boolean NOT NULL DEFAULT false;
CREATE INDEX push_tokens_by_token ON push_tokens (token);

ALTER TABLE push_notifications ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- Which stream delivers what is told: what a message says of itself is not to be taken for an event.
ALTER TABLE push_notifications ADD COLUMN stream text NOT NULL DEFAULT 'events'
    CHECK (stream IN ('events', 'messages'));
