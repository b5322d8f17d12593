-- Contracts other than currency networks whose events are followed. synced_to as in networks: the last block read of
-- one that came later, null where that is the cursor's. The row without an address stands for all identities, whose
-- events are known by their topics.
CREATE TABLE contracts (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text    NOT NULL CHECK (kind IN ('Exchange', 'UnwETH', 'Token', 'Identity')),
    address   bytea   UNIQUE,
    is_wanted boolean NOT NULL DEFAULT true,
    synced_to bigint,
    CHECK ((address IS NULL) = (kind = 'Identity'))
);
CREATE UNIQUE INDEX contracts_identities ON contracts (kind) WHERE address IS NULL;

-- LogFill and LogCancel; on the latter taker and fees are null, and the amounts are what was cancelled.
CREATE TABLE exchange_events (
    contract_id       integer NOT NULL,
    block_number      bigint  NOT NULL,
    log_index         integer NOT NULL,
    type              text    NOT NULL CHECK (type IN ('LogFill', 'LogCancel')),
    transaction_hash  bytea   NOT NULL,
    transaction_index integer NOT NULL,
    order_hash        bytea   NOT NULL,
    maker             bytea   NOT NULL,
    taker             bytea,
    fee_recipient     bytea   NOT NULL,
    maker_token       bytea   NOT NULL,
    taker_token       bytea   NOT NULL,
    maker_amount      numeric NOT NULL,
    taker_amount      numeric NOT NULL,
    maker_fee         numeric,
    taker_fee         numeric,
    PRIMARY KEY (contract_id, block_number, log_index)
);
CREATE INDEX exchange_events_of_order ON exchange_events (order_hash);
CREATE INDEX exchange_events_of_maker ON exchange_events (maker, block_number);
CREATE INDEX exchange_events_of_taker ON exchange_events (taker, block_number);
