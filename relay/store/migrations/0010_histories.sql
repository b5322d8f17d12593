-- What wallets ask for as lists, derived from events by the index (relay/index/history.py) and kept in pages, so that
-- a list of 100,000 entries is some hundred rows. A page holds the entries of 1024 blocks (page = block / 1024) in the
-- order of the chain: of each entry its block, the block's time and the length of its text, and the texts themselves,
-- separated by commas, in the very words in which the API answers them (docs/decisions/0010-histories.md).

-- Interest that a trustline's balance bore, entry by entry. Before the amount stands who gained it: > the user with the
-- lower address, < the other one.
CREATE TABLE interests (
    network_id integer   NOT NULL,
    lower      bytea     NOT NULL,
    higher     bytea     NOT NULL,
    page       bigint    NOT NULL,
    blocks     bigint[]  NOT NULL,
    times      bigint[]  NOT NULL,
    sizes      integer[] NOT NULL,
    entries    text      NOT NULL,
    PRIMARY KEY (network_id, lower, higher, page),
    CHECK (lower < higher)
);
CREATE INDEX interests_of_higher ON interests (higher);

-- What users earned by passing transfers on.
CREATE TABLE mediations (
    network_id integer   NOT NULL,
    mediator   bytea     NOT NULL,
    page       bigint    NOT NULL,
    blocks     bigint[]  NOT NULL,
    times      bigint[]  NOT NULL,
    sizes      integer[] NOT NULL,
    entries    text      NOT NULL,
    PRIMARY KEY (network_id, mediator, page)
);

-- Taking a long text apart again to compress it would cost more than reading it.
ALTER TABLE interests ALTER entries SET STORAGE EXTERNAL;
ALTER TABLE mediations ALTER entries SET STORAGE EXTERNAL;

-- The way each Transfer took: its users' addresses one after the other, what moved on each hop, and the log index of
-- the first of the BalanceUpdates that it ends.
CREATE TABLE transfers (
    network_id    integer   NOT NULL,
    block_number  bigint    NOT NULL,
    log_index     integer   NOT NULL,
    first_index   integer   NOT NULL,
    receiver_pays boolean   NOT NULL,
    path          bytea     NOT NULL,
    amounts       numeric[] NOT NULL,
    PRIMARY KEY (network_id, block_number, log_index)
);

-- How they are found. A piece of a hash or an address is enough for an index; queries name the whole beside it.
CREATE INDEX transfers_of_transaction ON events (substring(transaction_hash for 8)) WHERE type = 'Transfer';
CREATE INDEX transfers_of_pair ON events (substring(sender for 7), substring(receiver for 7)) WHERE type = 'Transfer';
CREATE INDEX blocks_of_hash ON blocks (substring(hash for 8));
CREATE INDEX debts_of_higher ON debts (higher);

-- A database of an earlier version has none of it. The index reads its events anew when it has time, while everything
-- else is served as before.
UPDATE networks SET repair_wanted = true
WHERE id IN (SELECT DISTINCT network_id FROM events WHERE type IN ('BalanceUpdate', 'Transfer'));
