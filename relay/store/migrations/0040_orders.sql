-- Signed orders of Exchange contracts, as their makers sent them. No state of the chain: what has been filled or
-- cancelled of them tells exchange_events, so nothing here has to follow a reorg.
CREATE TABLE orders (
    -- In the order in which they came.
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash           bytea    NOT NULL UNIQUE,
    exchange       bytea    NOT NULL,
    maker          bytea    NOT NULL,
    taker          bytea    NOT NULL,
    maker_token    bytea    NOT NULL,
    taker_token    bytea    NOT NULL,
    fee_recipient  bytea    NOT NULL,
    maker_amount   numeric  NOT NULL,
    taker_amount   numeric  NOT NULL,
    maker_fee      numeric  NOT NULL,
    taker_fee      numeric  NOT NULL,
    -- Unix seconds, any uint256.
    expires_at     numeric  NOT NULL,
    salt           numeric  NOT NULL,
    v              smallint NOT NULL,
    r              bytea    NOT NULL,
    s              bytea    NOT NULL,
    received_at    bigint   NOT NULL,
    -- Since when (Unix seconds) its maker could not fill what is left of it, null while it can.
    unfunded_since bigint
);
CREATE INDEX orders_of_pair ON orders (maker_token, taker_token);
CREATE INDEX orders_of_maker ON orders (maker);
CREATE INDEX orders_by_expiry ON orders (expires_at);
CREATE INDEX orders_unfunded ON orders (unfunded_since) WHERE unfunded_since IS NOT NULL;
