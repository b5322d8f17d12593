-- Events are found by a piece of an address, 7 bytes, and by their block: such an entry takes 24 bytes where one of the
-- whole address, the block and the log's index took 48, and is faster to write. Queries name the piece and the whole
-- address, so that whoever shares the piece is not confused. The order within a block is made when it is asked for.
-- docs/decisions/0007-schema-and-writing.md has the figures.
DROP INDEX events_of_network, events_of_sender, events_of_receiver, events_of_pair, events_that_close,
    debt_events_of_pair;

-- One index says in what order the events of a network came and keeps one from being stored twice.
ALTER TABLE events DROP CONSTRAINT events_pkey;
ALTER TABLE events ADD PRIMARY KEY (network_id, block_number, log_index);

CREATE INDEX events_of_sender ON events (substring(sender for 7), block_number);
CREATE INDEX events_of_receiver ON events (substring(receiver for 7), block_number);

-- What the state of a trustline, or of a debt, follows from.
CREATE INDEX balances_of_pair ON events
    (substring(LEAST(sender, receiver) for 7), substring(GREATEST(sender, receiver) for 7), block_number)
    WHERE type = 'BalanceUpdate';
CREATE INDEX terms_of_pair ON events
    (substring(LEAST(sender, receiver) for 7), substring(GREATEST(sender, receiver) for 7), block_number)
    WHERE type = 'TrustlineUpdate';
CREATE INDEX closings_of_pair ON events
    (substring(LEAST(sender, receiver) for 7), substring(GREATEST(sender, receiver) for 7), block_number)
    WHERE closes;
CREATE INDEX debts_of_pair ON events
    (substring(LEAST(sender, receiver) for 7), substring(GREATEST(sender, receiver) for 7), block_number)
    WHERE type = 'DebtUpdate';

-- Whoever lists these would otherwise look at every event of the network.
CREATE INDEX rare_events ON events (network_id, type, block_number)
    WHERE type IN ('TrustlineUpdateCancel', 'DebtUpdate', 'NetworkFreeze', 'NetworkUnfreeze', 'Onboard');

-- Room beside each trustline for its next state: the table stays small although states are replaced all the time, and
-- its index need not be told.
ALTER TABLE trustlines SET (fillfactor = 50);
