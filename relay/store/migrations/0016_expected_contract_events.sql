-- As expected_events: what waiting transactions will leave in tokens and exchanges that are served, listed while the
-- node holds them unmined. Whose they are: a user's transaction or one of the relay's own.
CREATE TABLE expected_contract_events (
    relayed_hash   bytea,
    transaction_id bigint,
    position       integer NOT NULL,
    expected_at    bigint  NOT NULL,
    -- The indexed block then: the events themselves come later, or little before it.
    at_block       bigint  NOT NULL,
    contract       bytea   NOT NULL,
    type           text    NOT NULL,
    -- Tokens: sender, receiver and value; exchanges: maker, taker and the order.
    sender         bytea   NOT NULL,
    receiver       bytea,
    value          numeric,
    order_hash     bytea,
    fee_recipient  bytea,
    maker_token    bytea,
    taker_token    bytea,
    maker_amount   numeric,
    taker_amount   numeric,
    maker_fee      numeric,
    taker_fee      numeric,
    CHECK ((relayed_hash IS NULL) <> (transaction_id IS NULL))
);
CREATE INDEX expected_contract_events_of_user ON expected_contract_events (sender);
CREATE INDEX expected_contract_events_of_other ON expected_contract_events (receiver);
CREATE INDEX expected_contract_events_at ON expected_contract_events (expected_at);
