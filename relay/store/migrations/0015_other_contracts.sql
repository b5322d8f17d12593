-- Contracts other than currency networks whose events are followed. synced_to as in networks: the last block read of
-- one that came later, null where that is the cursor's. The row without an address stands for all identities, whose
-- events are known by their topics.
CREATE TABLE contracts (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text    NOT NULL CHECK (kind IN ('Exchange', 'UnwETH', 'Token', 'Identity')),
    address       bytea   UNIQUE,
    is_wanted     boolean NOT NULL DEFAULT true,
    synced_to     bigint,
    -- A block at or before the first event.
    first_block   bigint  NOT NULL DEFAULT 0,
    -- An operator wants its events to be read anew.
    repair_wanted boolean NOT NULL DEFAULT false,
    is_served     boolean NOT NULL GENERATED ALWAYS AS (is_wanted AND synced_to IS NULL) STORED,
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

-- Transfers and approvals of tokens, and of wrapped ether also its wrapping (Deposit) and unwrapping (Withdrawal), where
-- the one who does it is sender and receiver. There may be millions, so users are found as in events: by a piece of the
-- address, beside which queries name the whole.
CREATE TABLE token_events (
    contract_id       integer NOT NULL,
    block_number      bigint  NOT NULL,
    log_index         integer NOT NULL,
    type              text    NOT NULL CHECK (type IN ('Transfer', 'Approval', 'Deposit', 'Withdrawal')),
    transaction_hash  bytea   NOT NULL,
    transaction_index integer NOT NULL,
    sender            bytea   NOT NULL,
    receiver          bytea   NOT NULL,
    value             numeric NOT NULL,
    PRIMARY KEY (contract_id, block_number, log_index)
);
CREATE INDEX token_events_of_sender ON token_events (substring(sender for 7), block_number);
CREATE INDEX token_events_of_receiver ON token_events (substring(receiver for 7), block_number);

-- Executions of meta-transactions (meta_hash, succeeded) and the fees booked for them (value, recipient,
-- currency_network), by whichever contract says so.
CREATE TABLE identity_events (
    contract_id       integer NOT NULL,
    block_number      bigint  NOT NULL,
    log_index         integer NOT NULL,
    type              text    NOT NULL CHECK (type IN ('TransactionExecution', 'FeePayment')),
    transaction_hash  bytea   NOT NULL,
    transaction_index integer NOT NULL,
    identity          bytea   NOT NULL,
    meta_hash         bytea,
    succeeded         boolean,
    value             numeric,
    recipient         bytea,
    currency_network  bytea,
    PRIMARY KEY (contract_id, block_number, log_index)
);
CREATE INDEX identity_executions ON identity_events (substring(meta_hash for 8)) WHERE type = 'TransactionExecution';
CREATE INDEX identity_fees ON identity_events (substring(transaction_hash for 8)) WHERE type = 'FeePayment';

-- As withdrawn_events: what a commit withdrew of those that users are told of.
CREATE TABLE withdrawn_exchange_events (
    feed_position bigint NOT NULL,
    LIKE exchange_events,
    block_hash    bytea  NOT NULL,
    timestamp     bigint NOT NULL,
    PRIMARY KEY (feed_position, contract_id, block_number, log_index)
);
CREATE TABLE withdrawn_token_events (
    feed_position bigint NOT NULL,
    LIKE token_events,
    block_hash    bytea  NOT NULL,
    timestamp     bigint NOT NULL,
    PRIMARY KEY (feed_position, contract_id, block_number, log_index)
);
