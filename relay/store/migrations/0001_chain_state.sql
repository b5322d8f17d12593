-- The chain this database follows. One row.
CREATE TABLE chain (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    chain_id     bigint NOT NULL,
    genesis_hash bytea  NOT NULL
);

-- How far the index has come: everything else in this schema is the state after this block. One row.
CREATE TABLE cursor (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    block_number bigint NOT NULL,
    block_hash   bytea  NOT NULL,
    timestamp    bigint NOT NULL
);

CREATE TABLE networks (
    id                         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address                    bytea    NOT NULL UNIQUE,
    name                       text     NOT NULL,
    symbol                     text     NOT NULL,
    decimals                   smallint NOT NULL,
    fee_divisor                integer  NOT NULL,
    default_interest_rate      integer  NOT NULL,
    custom_interests           boolean  NOT NULL,
    prevent_mediator_interests boolean  NOT NULL,
    first_block                bigint   NOT NULL,
    -- Some contracts start frozen without an event, so what was before the first event must be kept.
    starts_frozen              boolean  NOT NULL,
    is_frozen                  boolean  NOT NULL,
    is_proxied                 boolean  NOT NULL,
    is_served                  boolean  NOT NULL DEFAULT true
);

-- Headers of the blocks that can still be replaced, and of all blocks with events.
CREATE TABLE blocks (
    number    bigint PRIMARY KEY,
    hash      bytea  NOT NULL,
    timestamp bigint NOT NULL
);

CREATE TYPE event_type AS ENUM (
    'TrustlineUpdate', 'TrustlineUpdateRequest', 'TrustlineUpdateCancel', 'BalanceUpdate', 'Transfer',
    'DebtUpdate', 'NetworkFreeze', 'NetworkUnfreeze', 'Onboard'
);

CREATE TABLE events (
    block_number      bigint     NOT NULL,
    log_index         integer    NOT NULL,
    network_id        integer    NOT NULL,
    type              event_type NOT NULL,
    transaction_hash  bytea      NOT NULL,
    transaction_index integer    NOT NULL,
    -- The users in the order of the event's arguments; null on events of the whole network.
    sender            bytea,
    receiver          bytea,
    -- Transfer: amount; BalanceUpdate: new balance seen by the sender; DebtUpdate: new debt.
    value             numeric,
    given             numeric,
    received          numeric,
    rate_given        smallint,
    rate_received     smallint,
    is_frozen         boolean,
    -- Whether this event closed its trustline, so that nothing before it counts any more.
    closes            boolean,
    extra_data        bytea,
    PRIMARY KEY (block_number, log_index)
);

CREATE INDEX events_of_network ON events (network_id, block_number, log_index);
CREATE INDEX events_of_sender ON events (sender, block_number, log_index);
CREATE INDEX events_of_receiver ON events (receiver, block_number, log_index);
CREATE INDEX events_of_pair ON events
    (network_id, LEAST(sender, receiver), GREATEST(sender, receiver), type, block_number, log_index)
    WHERE type IN ('TrustlineUpdate', 'BalanceUpdate');

CREATE INDEX events_that_close ON events
    (network_id, LEAST(sender, receiver), GREATEST(sender, receiver), block_number, log_index)
    WHERE closes;

-- The state of every trustline that ever was, seen by the user with the lower address. All zero: closed.
CREATE TABLE trustlines (
    network_id    integer  NOT NULL,
    lower         bytea    NOT NULL,
    higher        bytea    NOT NULL,
    balance       numeric  NOT NULL,
    given         numeric  NOT NULL,
    received      numeric  NOT NULL,
    rate_given    smallint NOT NULL,
    rate_received smallint NOT NULL,
    is_frozen     boolean  NOT NULL,
    mtime         bigint   NOT NULL,
    PRIMARY KEY (network_id, lower, higher),
    CHECK (lower < higher)
);

-- What changed, in the order of the commits: a trustline, or (without users) a network's own row.
-- Readers take the new state itself from the tables, in the same snapshot.
CREATE TABLE feed (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network_id   integer NOT NULL,
    lower        bytea,
    higher       bytea,
    block_number bigint  NOT NULL,
    block_hash   bytea   NOT NULL
);

-- The last position that is no longer kept; whoever stands before it must load everything anew. One row.
CREATE TABLE feed_horizon (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position  bigint NOT NULL
);
INSERT INTO feed_horizon (position) VALUES (0);
