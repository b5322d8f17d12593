-- What the relay sends: its own transactions, those it passes on for users, and what the faucet gave. None of this is
-- state of the chain, so a rebuild of that leaves it alone.

-- An account that the relay signs with. Another chain, also one of the same id, begins at its own nonce.
CREATE TABLE signers (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address      bytea  NOT NULL,
    chain_id     bigint NOT NULL,
    genesis_hash bytea  NOT NULL,
    -- The nonce that the next transaction gets. Whoever takes it holds the lock of this row.
    next_nonce   bigint NOT NULL,
    -- The nonces below are used on chain, as far as was last seen.
    used_nonce   bigint NOT NULL,
    UNIQUE (address, chain_id, genesis_hash)
);

-- A transaction of the relay's own, whatever it takes to bring it into a block.
CREATE TABLE signed_transactions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signer_id    integer NOT NULL REFERENCES signers,
    nonce        bigint  NOT NULL,
    purpose      text    NOT NULL CHECK (purpose IN ('meta-transaction', 'identity', 'faucet', 'filler')),
    -- Whom it is for: the identity of a meta-transaction, the one deployed, the address that gets ether.
    subject      bytea   NOT NULL,
    recipient    bytea   NOT NULL,
    data         bytea   NOT NULL,
    value        numeric NOT NULL,
    gas_limit    bigint  NOT NULL,
    -- The most that it can cost, in wei.
    cost         numeric NOT NULL,
    meta_hash    bytea,
    -- Null for the nonces of meta-transactions that may come in any order.
    meta_nonce   numeric,
    -- From this time on (Unix seconds) it would fail; 0: never.
    expires_at   numeric NOT NULL,
    created_at   bigint  NOT NULL,
    -- open: still watched; settled: too deep in the chain to be undone; withdrawn: its nonce went to another.
    state        text    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'withdrawn')),
    is_held      boolean NOT NULL,
    -- Null while it is in no block. failure: what it was for failed; reverted: all of it was undone.
    outcome      text CHECK (outcome IN ('success', 'failure', 'reverted')),
    block_number bigint,
    block_hash   bytea,
    mined_hash   bytea,
    mined_at     bigint,
    gas_used     bigint,
    -- Since when its nonce is used on chain though none of its attempts is known to be in a block.
    missed_since bigint
);
CREATE UNIQUE INDEX signed_transactions_nonce ON signed_transactions (signer_id, nonce) WHERE state <> 'withdrawn';
CREATE INDEX signed_transactions_open ON signed_transactions (signer_id, nonce) WHERE state = 'open';
CREATE INDEX signed_transactions_of_subject ON signed_transactions (subject, created_at);
CREATE INDEX signed_transactions_given ON signed_transactions (created_at) WHERE purpose = 'faucet';
CREATE INDEX signed_transactions_deployed ON signed_transactions (created_at) WHERE purpose = 'identity';
-- Only one of each can be on its way; what was reverted left the contract as it was and may come again.
CREATE UNIQUE INDEX signed_transactions_meta ON signed_transactions (subject, meta_hash)
    WHERE purpose = 'meta-transaction' AND state <> 'withdrawn' AND outcome IS DISTINCT FROM 'reverted';
CREATE UNIQUE INDEX signed_transactions_meta_nonce ON signed_transactions (subject, meta_nonce)
    WHERE purpose = 'meta-transaction' AND state <> 'withdrawn' AND outcome IS DISTINCT FROM 'reverted';

-- The forms in which a transaction was handed to the node, written down before it was: one more for every higher fee.
CREATE TABLE signed_attempts (
    hash           bytea   PRIMARY KEY,
    transaction_id bigint  NOT NULL REFERENCES signed_transactions ON DELETE CASCADE,
    raw            bytea   NOT NULL,
    max_fee        numeric NOT NULL,
    tip            numeric,
    created_at     bigint  NOT NULL,
    -- The head of the chain then: only if blocks came since did they pass it over.
    at_block       bigint  NOT NULL,
    refusals       integer NOT NULL DEFAULT 0
);
CREATE INDEX signed_attempts_of_transaction ON signed_attempts (transaction_id, created_at);

-- Transactions of users, kept until their nonce is used.
CREATE TABLE relayed_transactions (
    hash         bytea   PRIMARY KEY,
    raw          bytea   NOT NULL,
    sender       bytea   NOT NULL,
    nonce        numeric NOT NULL,
    received_at  bigint  NOT NULL,
    -- open: may still come into a block; mined; replaced: another one used its nonce; dropped: given up.
    state        text    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'mined', 'replaced', 'dropped')),
    is_held      boolean NOT NULL,
    is_settled   boolean NOT NULL DEFAULT false,
    block_number bigint,
    block_hash   bytea,
    tries        integer NOT NULL DEFAULT 0,
    due_at       bigint  NOT NULL
);
CREATE INDEX relayed_transactions_due ON relayed_transactions (due_at) WHERE NOT is_settled;
CREATE INDEX relayed_transactions_of_sender ON relayed_transactions (sender) WHERE NOT is_settled;

-- The events that a transaction is expected to leave, listed while the node holds it unmined.
CREATE TABLE expected_events (
    relayed_hash   bytea  REFERENCES relayed_transactions ON DELETE CASCADE,
    transaction_id bigint REFERENCES signed_transactions ON DELETE CASCADE,
    position       integer NOT NULL,
    expected_at    bigint  NOT NULL,
    -- The indexed block then: the events themselves come later, or little before it.
    at_block       bigint  NOT NULL,
    network        bytea   NOT NULL,
    type           event_type NOT NULL,
    sender         bytea,
    receiver       bytea,
    value          numeric,
    given          numeric,
    received       numeric,
    rate_given     smallint,
    rate_received  smallint,
    is_frozen      boolean,
    extra_data     bytea,
    CHECK ((relayed_hash IS NULL) <> (transaction_id IS NULL))
);
CREATE INDEX expected_events_of_relayed ON expected_events (relayed_hash);
CREATE INDEX expected_events_of_transaction ON expected_events (transaction_id);
